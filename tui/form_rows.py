"""The rows of the New-run form, made from the catalogue and a draft: plain data for the widget."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from tui import field_text
from tui.catalogue import AUTO, OWN, Builder, Catalogue, Option
from tui.draft import Draft

Place = tuple[str, str]  # section and key

NAME = "name"
MORE: Place = ("", "more")
FIRST = ("epochs", "batch_size", "patience", "clip_norm", "seed", "device", "precision")
"""Keys of the training section that everybody meets; the others wait behind one row."""


class Row(NamedTuple):
    """One field.

    Attributes:
        label: what stands before it.
        kind: how it is edited; ``builder`` is chosen from a list with descriptions, ``more`` folds.
        text: as a person would type it.
        chosen: somebody chose the value; else it is the default.
        indent: the field belongs to the builder named above it.
        first: a group of fields begins here.
    """

    place: Place
    label: str
    kind: str
    option: Option
    text: str
    chosen: bool = False
    indent: bool = True
    first: bool = False


def form_rows(
    catalogue: Catalogue, draft: Draft, *, everything: bool = False, shown: Collection[Place] = ()
) -> list[Row]:
    """All rows from top to bottom.

    Args:
        everything: also the keys that hardly anybody changes.
        shown: places to show in any case, because something is wrong there.
    """
    rows: list[Row] = []
    for section in ("data", "model", "optimizer", "scheduler"):
        rows += _builder_rows(catalogue, draft, section)
    training = {option.name: option for option in catalogue.sections["training"]}
    first = [training[name] for name in FIRST if name in training]
    always = [_row(draft, "training", option, indent=False) for option in first]
    rows += [row._replace(first=not number) for number, row in enumerate(always)]
    hidden = _builder_rows(catalogue, draft, "task")
    for section, options in catalogue.sections.items():
        rest = [option for option in options if section != "training" or option.name not in FIRST]
        hidden += [_row(draft, section, option, indent=False) for option in rest]
    kept = [row for row in hidden if everything or row.chosen or row.place in shown]
    count = len(hidden) - (0 if everything else len(kept))
    label = "fewer settings" if everything else f"{count} more settings"
    more = Row(
        MORE, label, "more", Option("more", "", None), "▾" if everything else "▸", indent=False, first=True
    )
    return [*rows, *([] if everything else kept), *([more] if count else []), *(kept if everything else [])]


def name_of(catalogue: Catalogue, draft: Draft, section: str) -> str:
    """The builder that a section names, or would if it named one."""
    return str(draft.get(section, NAME) or catalogue.names.get(section, ""))


def default_of(catalogue: Catalogue, draft: Draft, place: Place) -> Any:
    """What a key is when nobody chooses."""
    section, key = place
    if key == NAME:
        return catalogue.names.get(section)
    builder = catalogue.builder(section, name_of(catalogue, draft, section))
    options = catalogue.sections.get(section) or (builder.options if builder else ())
    return next((option.default for option in options if option.name == key), None)


def choices(catalogue: Catalogue, draft: Draft, row: Row) -> list[tuple[Builder, str]]:
    """What a row can be set to, each with the reason why it cannot, or ""."""
    section = row.place[0]
    if row.kind != "builder":
        return [(Builder(str(choice)), "") for choice in row.option.choices]
    builders = list(catalogue.builders[section].values())
    if section == "data":
        model = name_of(catalogue, draft, "model")
        told = [(each, catalogue.why_not("model", model, each.name)) for each in builders]
        return sorted(told, key=lambda pair: pair[1] != "")
    if section == "task":
        data = name_of(catalogue, draft, "data")
        automatic = Builder(AUTO, summary="What the data's target asks for.")
        return [(automatic, ""), *((each, catalogue.why_not(section, each.name, data)) for each in builders)]
    return [(each, "") for each in builders]


def _builder_rows(catalogue: Catalogue, draft: Draft, section: str) -> list[Row]:
    name = name_of(catalogue, draft, section)
    told = catalogue.builder(section, name)
    summary = told.summary if told else OWN
    head = Option(NAME, "", catalogue.names.get(section), help=summary)
    chosen = draft.get(section, NAME) is not None
    rows = [Row((section, NAME), section, "builder", head, name, chosen, indent=False, first=True)]
    return rows + [_row(draft, section, option) for option in (told.options if told else ())]


def _row(draft: Draft, section: str, option: Option, *, indent: bool = True) -> Row:
    chosen = draft.get(section, option.name)
    value = option.default if chosen is None else chosen
    text = field_text.show(option, value)
    label = option.name.replace("_", " ")
    return Row(
        (section, option.name), label, field_text.kind(option), option, text, chosen is not None, indent
    )
