"""The rows of the New-run form, made from the catalogue and a draft: plain data for the widget."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from dlcore.text_safety import safe_text
from tui import field_text
from tui.catalogue import AUTO, OWN, Builder, Catalogue, Option
from tui.draft import Draft

Place = tuple[str, str]  # section and key

NAME = "name"
MORE: Place = ("", "more")
FIRST = ("epochs", "batch_size", "patience", "clip_norm", "seed", "device", "precision")
"""Keys of the training section that everybody meets; the others wait behind one row."""
_ALWAYS = {("training", name) for name in FIRST}
UNKNOWN = "set by the preset, and known to nobody; ctrl+d takes it out"


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
    training = {option.name: option for option in options_of(catalogue, draft, "training")}
    always = [_row(draft, "training", training[name], indent=False) for name in FIRST if name in training]
    rows += [row._replace(first=not number) for number, row in enumerate(always)]
    hidden = _builder_rows(catalogue, draft, "task")
    for section in catalogue.sections:
        rest = [each for each in options_of(catalogue, draft, section) if (section, each.name) not in _ALWAYS]
        hidden += [_row(draft, section, option, indent=False) for option in rest]
    kept = [row for row in hidden if everything or row.chosen or row.place in shown]
    if any(row.place[0] == "task" for row in kept) and hidden[0] not in kept:
        kept.insert(0, hidden[0])  # options do not stand without what they belong to
    count = len(hidden) - (0 if everything else len(kept))
    label = "fewer settings" if everything else f"{count} more settings"
    more = Row(
        MORE, label, "more", Option("more", "", None), "▾" if everything else "▸", indent=False, first=True
    )
    return [*rows, *([] if everything else kept), *([more] if count else []), *(kept if everything else [])]


def name_of(catalogue: Catalogue, draft: Draft, section: str) -> str:
    """The builder that a section names, or would if it named one."""
    return str(draft.get(section, NAME) or catalogue.names.get(section, ""))


def options_of(catalogue: Catalogue, draft: Draft, section: str) -> list[Option]:
    """The keys of a section, and those that a preset sets and nobody knows, so that they can be taken out."""
    known = catalogue.sections.get(section, ())
    if section not in catalogue.sections:
        name = name_of(catalogue, draft, section)
        if (section, name) == ("task", AUTO):
            name = _automatic_task(catalogue, name_of(catalogue, draft, "data"))
        builder = catalogue.builder(section, name)
        known = builder.options if builder else ()
    names = {NAME, *(option.name for option in known)}
    others = [key for key in draft.values.get(section, {}) if key not in names]
    return [*known, *(Option(key, "any value", None, help=UNKNOWN) for key in others)]


def default_of(catalogue: Catalogue, draft: Draft, place: Place) -> Any:
    """What a key is when nobody chooses."""
    section, key = place
    if key == NAME:
        return catalogue.names.get(section)
    options = options_of(catalogue, draft, section)
    return next((option.default for option in options if option.name == key), None)


def _automatic_task(catalogue: Catalogue, data: str) -> str:
    """What ``auto`` will probably become; the data itself decides."""
    fitting = [name for name in catalogue.builders["task"] if not catalogue.why_not("task", name, data)]
    return fitting[0] if fitting else ""


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
    return rows + [_row(draft, section, option) for option in options_of(catalogue, draft, section)]


def _row(draft: Draft, section: str, option: Option, *, indent: bool = True) -> Row:
    chosen = draft.get(section, option.name)
    value = option.default if chosen is None else chosen
    text = field_text.show(option, value)
    label = safe_text(option.name.replace("_", " "), limit=60)
    return Row(
        (section, option.name), label, field_text.kind(option), option, text, chosen is not None, indent
    )
