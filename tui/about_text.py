"""Two lines about what is under the cursor: an architecture, a field, a layer. Safe to print."""

from __future__ import annotations

from dlcore.text_safety import safe_text
from tui import field_text
from tui.catalogue import Builder, Catalogue
from tui.form_rows import Row
from tui.shape_rows import NONE, ShapeRow

Lines = tuple[str, str]


def about_model(catalogue: Catalogue, model: Builder, data: str) -> Lines:
    """What it is and takes, and what would become of the data."""
    if catalogue.why_not("model", model.name, data):
        instead = catalogue.data_for(model.name)
        change = f": the data would be {instead}." if instead else f", not {safe_text(data, limit=60)}."
        return model.summary, f"Takes {model.takes}{change}"
    return model.summary, f"Takes {model.takes}." if model.takes else ""


def about_row(row: Row) -> Lines:
    """What a field is for, allows, and is unless chosen."""
    option = row.option
    if row.kind in ("builder", "more"):
        return option.help, ""
    default = field_text.show(option, option.default)
    standard = "required" if option.required else f"default {default}" if default else "no default"
    place = ".".join(row.place)
    about = f"{place}: {option.help}" if option.help else place
    return safe_text(about), safe_text(f"{field_text.limits(option)} · {standard}", limit=300)


def about_layer(layer: ShapeRow) -> Lines:
    """A row of the shape table with the columns that it may have had no room for."""
    flops = f" · {layer.mega} MFLOP" if layer.mega != NONE else ""
    parameters = f" · {layer.parameters} parameters" if layer.parameters != NONE else ""
    return f"{layer.layer}: {layer.type}", f"{layer.inputs} → {layer.output}{parameters}{flops}"
