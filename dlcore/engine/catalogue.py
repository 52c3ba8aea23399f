"""The catalogue: every builder with its options, and which of them go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dlcore.preset import REGISTRIES, Preset, section_fields
from dlcore.registry import Entry

INPUTS = {
    "vector": "rows of numbers",
    "image": "images",
    "sequence": "sequences of numbers",
    "tokens": "text",
}
TARGETS = {
    "class": "classes",
    "binary": "a yes or no",
    "number": "numbers",
    "mask": "a class for every pixel",
    "tokens": "a token for every token",
    "none": "nothing to answer",
    "reward": "rewards of an environment",
}
FORMS = ("training", "checkpoint", "inspection")


def catalogue() -> dict[str, Any]:
    """Builders by section, keys of the sections that name none, and what does not go together.

    Returns:
        Plain data: ``builders`` by section; ``sections``, the fields of each; ``misfits``, why a ``model`` or
        ``task`` does not go with a data set, where there is a reason; ``names`` of builders that a preset
        need not name.
    """
    data = REGISTRIES["data"].entries()
    return {
        "builders": {
            section: [described(entry) for entry in registry.entries()]
            for section, registry in REGISTRIES.items()
        },
        "sections": {section: [asdict(field) for field in section_fields(section)] for section in FORMS},
        "misfits": {section: _misfits(REGISTRIES[section].entries(), data) for section in ("model", "task")},
        "names": {
            section: Preset.model_fields[section].default.name
            for section in ("task", "optimizer", "scheduler")
        },
    }


def described(entry: Entry) -> dict[str, Any]:
    """A builder as plain data."""
    return {
        "name": entry.name,
        "group": entry.group,
        "summary": entry.summary,
        "doc": entry.doc,
        "takes": " or ".join(INPUTS.get(kind, kind) for kind in entry.inputs),
        "fields": [asdict(field) for field in entry.fields],
    }


def misfit(user: Entry, data: Entry) -> str:
    """Why a model or task cannot use a data set, as a half sentence; "" when it can or when nobody knows."""
    return _miss(user, "takes", user.inputs, data.kinds("input"), INPUTS) or _miss(
        user, "answers with", user.targets, data.kinds("target"), TARGETS
    )


def _misfits(users: Sequence[Entry], data: Sequence[Entry]) -> dict[str, dict[str, str]]:
    table = {user.name: {each.name: misfit(user, each) for each in data} for user in users}
    return {user: {name: why for name, why in row.items() if why} for user, row in table.items()}


def _miss(user: Entry, verb: str, wanted: Sequence[str], given: Sequence[str], words: dict[str, str]) -> str:
    if not wanted or not given or set(wanted) & set(given):
        return ""
    takes = " or ".join(words.get(kind, kind) for kind in wanted)
    gives = " or ".join(words.get(kind, kind) for kind in given)
    return f"{user.name} {verb} {takes}, this has {gives}"
