"""A draft is a preset being set up: values by section, possibly wrong. It is checked and written as TOML.

What is wrong is told in the same words as for a preset file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcore.engine.catalogue import described, misfit
from dlcore.errors import UserError
from dlcore.preset import REGISTRIES, Named, PresetError, Training, dump, loads
from dlcore.preset.sections import FIXED, NAMED, OF_A_STEP, Preset
from dlcore.preset.toml import to_toml
from dlcore.problems import Place, show_place
from dlcore.registry import OPTIMIZERS, Entry
from dlcore.user_code import is_user_name

Values = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Draft:
    """Values by section, and what errors call them.

    Attributes:
        values: for sections that name a builder, its ``name`` among them.
        base: folder of relative paths, after the working folder.
    """

    values: Values = field(default_factory=dict)
    source: str = "new run"
    base: Path | None = None

    @classmethod
    def read(cls, question: Mapping[str, Any]) -> Draft:
        """The draft in a question; what is no table there is left out."""
        given = question.get("values")
        values = given if isinstance(given, dict) else {}
        base = question.get("base")
        return cls(
            {str(name): dict(table) for name, table in values.items() if isinstance(table, dict)},
            str(question.get("source") or "new run"),
            Path(base) if isinstance(base, str) and base else None,
        )

    @property
    def toml(self) -> str:
        """As given, nothing filled in."""
        return to_toml({section: table for section, table in self.values.items() if table})

    def named(self, section: str) -> tuple[str, dict[str, Any]]:
        """The builder that a section names and the options given to it."""
        table = self.values.get(section, {})
        name = table.get("name", "")
        return name if isinstance(name, str) else "", {k: v for k, v in table.items() if k != "name"}

    def entry(self, section: str) -> Entry:
        """The builder that a section names.

        Raises:
            UserError: there is none of that name.
        """
        return REGISTRIES[section].entry(self.named(section)[0], self.base)

    def setting(self, section: str, key: str) -> Any:
        """The value of a key in a section that names no builder; its default where a wrong one is given."""
        table = self.values.get(section, {})
        try:
            given = FIXED[section].model_validate_json(json.dumps({key: table[key]}), strict=True)
        except (KeyError, ValueError, TypeError):
            return FIXED[section].model_fields[key].default
        return getattr(given, key)

    def training(self) -> Training:
        """What the section says of a step, with defaults for what is wrong and for all else."""
        return Training(**{key: self.setting("training", key) for key in OF_A_STEP})

    def optimizer(self) -> Named:
        """With all its options, and defaults for what is wrong."""
        usual: str = Preset.model_fields["optimizer"].default.name
        name, given = self.named("optimizer")
        try:
            entry = OPTIMIZERS.entry(name or usual, self.base)
        except UserError:
            entry, given = OPTIMIZERS.entry(usual), {}
        return Named(name=entry.name, options=entry.validate(given)[0])


def validate(question: Mapping[str, Any]) -> dict[str, Any]:
    """What is wrong with a draft, place by place.

    Returns:
        Plain data: ``faults``, a list of [place, message]; ``lines``, the same as told for a file, and what
        belongs to no place; ``entries``, the user's own builders by section.
    """
    draft = Draft.read(question)
    faults: dict[Place, str] = {}
    lines: tuple[str, ...] = ()
    try:
        loads(draft.toml, draft.source, builders=True, base=draft.base)
    except PresetError as error:
        faults, lines = error.faults, error.lines
    misfits = {place: why for place, why in _misfits(draft).items() if place not in faults}
    return {
        "faults": [[list(place), message] for place, message in (faults | misfits).items()],
        "lines": [*lines, *(show_place(place) + message for place, message in misfits.items())],
        "entries": _own_entries(draft),
    }


def toml(question: Mapping[str, Any]) -> dict[str, Any]:
    """A draft as TOML: ``given`` is what was chosen, ``complete`` has every default (null when wrong)."""
    draft = Draft.read(question)
    try:
        complete: str | None = dump(loads(draft.toml, draft.source, builders=True, base=draft.base))
    except PresetError:
        complete = None
    return {"given": draft.toml, "complete": complete}


def _misfits(draft: Draft) -> dict[Place, str]:
    """Parts that are right by themselves and do not go together."""
    entries: dict[str, Entry] = {}
    for section in ("data", "model", "task"):
        try:
            entries[section] = draft.entry(section)
        except UserError:
            continue  # told by the check of the preset; task is usually auto
    if "data" not in entries:
        return {}
    whys = {section: misfit(entries[section], entries["data"]) for section in entries if section != "data"}
    found: dict[Place, str] = {}
    if whys.get("model"):
        found["data", "name"] = whys["model"]
    if whys.get("task"):
        found["task", "name"] = whys["task"].replace("this has", f"{entries['data'].name} has")
    return found


def _own_entries(draft: Draft) -> dict[str, Any]:
    found = {}
    for section in NAMED:
        if is_user_name(draft.named(section)[0]):
            try:
                found[section] = described(draft.entry(section))
            except UserError:
                continue  # told as a fault
    return found
