"""What the engine's catalogue says, for screens: builders with their options, and what goes together.

Texts are made safe when they come in, so that nothing behind this module has to think of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dlcore.text_safety import safe_text

NAMED = ("data", "model", "optimizer", "scheduler", "task")
OWN = "your own"
FIRST = ("basics", "bundled")  # groups
HANDY = ("digits", "iris")  # data that is here and trained on in seconds
AUTO = "auto"


class Option(NamedTuple):
    """One key of a section; see `dlcore.registry.schema.Field`."""

    name: str
    type_text: str
    default: Any
    required: bool = False
    help: str = ""
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    exclusive: tuple[str, ...] = ()


class Builder(NamedTuple):
    """Something that a section can name; ``takes`` says in words what goes into it."""

    name: str
    group: str = ""
    summary: str = ""
    takes: str = ""
    options: tuple[Option, ...] = ()


class Catalogue(NamedTuple):
    """All builders by section and name, keys of the other sections, and reasons against a combination.

    Attributes:
        misfits: section (model, task) -> name -> data -> why not.
        names: what a section names when it names nothing.
    """

    builders: Mapping[str, Mapping[str, Builder]]
    sections: Mapping[str, tuple[Option, ...]]
    misfits: Mapping[str, Mapping[str, Mapping[str, str]]]
    names: Mapping[str, str]

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> Catalogue:
        """The engine's answer."""
        return cls(
            {
                section: {each["name"]: builder(each) for each in entries}
                for section, entries in answer["builders"].items()
            },
            {section: tuple(map(_option, fields)) for section, fields in answer["sections"].items()},
            dict(answer["misfits"]),
            dict(answer["names"]),
        )

    def with_own(self, section: str, own: Builder) -> Catalogue:
        """A copy that knows one more builder."""
        known = {**self.builders[section], own.name: own}
        return self._replace(builders={**self.builders, section: known})

    def builder(self, section: str, name: str) -> Builder | None:
        """What is known of a name."""
        return self.builders.get(section, {}).get(name)

    def why_not(self, section: str, name: str, data: str) -> str:
        """Why a model or task does not go with a data set; "" where nothing speaks against it."""
        return safe_text(self.misfits.get(section, {}).get(name, {}).get(data, ""), limit=200)

    def data_for(self, model: str) -> str:
        """A data set that a model can be trained on without further ado; "" where none is known."""
        fitting = [
            name
            for name, data in self.builders["data"].items()
            if not self.why_not("model", model, name) and not any(option.required for option in data.options)
        ]
        return next((name for name in (*HANDY, *fitting) if name in fitting), "")


def builder(entry: Mapping[str, Any]) -> Builder:
    """One builder as the engine describes it."""
    return Builder(
        str(entry["name"]),
        safe_text(entry["group"], limit=60),
        safe_text(entry["summary"], limit=300),
        safe_text(entry["takes"], limit=100),
        tuple(map(_option, entry["fields"])),
    )


def groups(builders: Sequence[Builder]) -> dict[str, list[Builder]]:
    """Builders by group: what comes first on the learning path, then by name, the user's own last."""
    found: dict[str, list[Builder]] = {}
    for each in builders:
        found.setdefault(each.group or OWN, []).append(each)
    return dict(sorted(found.items(), key=lambda item: (item[0] == OWN, item[0] not in FIRST, item[0])))


def _option(field: Mapping[str, Any]) -> Option:
    return Option(
        safe_text(field["name"], limit=80),
        safe_text(field["type_text"], limit=200),
        field["default"],
        bool(field["required"]),
        safe_text(field["help"], limit=500),
        tuple(field["choices"]),
        field["minimum"],
        field["maximum"],
        tuple(field["exclusive"]),
    )
