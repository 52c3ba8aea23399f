"""The check of a whole preset: text, overrides, sections and builders, with everything wrong told at once.

A fault belongs to a place (``("model", "channels")``); its line in the text, or the override that it comes
from, is looked up when it is told. One fault a place: the first that is found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dlcore.errors import UserError
from dlcore.preset import overrides as preset_overrides
from dlcore.preset.overrides import Override, parse_override
from dlcore.preset.sections import FIXED, NAMED, SECTIONS, Named, Preset, allowed_keys
from dlcore.preset.text import Document, parse
from dlcore.problems import Place, nearest, not_plain, show_place, unknown
from dlcore.registry import Entry, Registry
from dlcore.registry.wording import from_validation

MAX_LINES = 50  # of errors; nobody reads more


class PresetError(UserError):
    """A preset that cannot run; one line for each thing wrong with it.

    Attributes:
        faults: message of each wrong place, such as ``("model", "channels")``, for a form; empty when the
            text could not be read at all.
    """

    def __init__(self, lines: str | Sequence[str], faults: Mapping[Place, str] | None = None) -> None:
        super().__init__(lines)
        self.faults: dict[Place, str] = dict(faults or {})


def check(
    text: str,
    label: str,
    overrides: Sequence[str],
    base: Path | None,
    registries: Mapping[str, Registry] | None,
) -> Preset:
    """The preset that a text and its overrides stand for.

    Args:
        label: how errors call the text.
        base: folder that the user's own files are looked for in, after the working folder.
        registries: by section; None leaves the builders' options unread.

    Raises:
        PresetError: with everything that is wrong.
    """
    try:
        document = parse(text, label)
    except UserError as error:
        raise PresetError(error.lines) from error
    data = document.data
    origins, lines = _override(data, overrides)
    faults = _Faults()
    _drop_not_plain(data, faults)
    preset = _structure(data, faults)
    named = {} if registries is None else _Builders(registries, base, faults).check(data)
    lines += faults.lines(label, document, origins)
    if lines:
        more = [] if len(lines) <= MAX_LINES else [f"{label}: … and {len(lines) - MAX_LINES} more like these"]
        raise PresetError([*lines[:MAX_LINES], *more], faults.messages)
    assert preset is not None, "a preset without faults is valid"
    return preset.model_copy(update=named)


class _Faults:
    """Messages by place."""

    def __init__(self) -> None:
        self.messages: dict[Place, str] = {}
        self.dropped: set[Place] = set()  # keys taken out of the data; nothing else is said about them

    def add(self, place: Place, message: str) -> None:
        if place not in self.messages and not any(place[:length] in self.dropped for length in (1, 2)):
            self.messages[place] = message

    def lines(self, label: str, document: Document, origins: Mapping[Place, Override]) -> list[str]:
        """A line each: those of the file from top to bottom, then those of overrides."""
        told: list[tuple[int, int, str]] = []
        for place, message in self.messages.items():
            text = show_place(place) + message
            override = _origin(place, origins, document)
            line = document.line(place)
            if override is not None:
                told.append((2, 0, f"{override.label}: {text}"))
            elif line is not None:
                told.append((0, line, f"{label}:{line}: {text}"))
            else:
                told.append((1, 0, f"{label}: {text}"))
        return [text for _, _, text in sorted(told, key=lambda each: each[:2])]


def _origin(place: Place, origins: Mapping[Place, Override], document: Document) -> Override | None:
    """The override that a faulty place comes from: it set the place, a table around it, or what is in it."""
    for length in range(len(place), 1, -1):
        if place[:length] in origins:
            return origins[place[:length]]
    if place in document.lines:
        return None
    return next((each for inner, each in origins.items() if inner[: len(place)] == place), None)


def _override(data: dict[str, Any], texts: Sequence[str]) -> tuple[dict[Place, Override], list[str]]:
    parsed: list[Override] = []
    lines: list[str] = []
    for text in texts:
        try:
            parsed.append(parse_override(text))
        except UserError as error:
            lines += error.lines
    origins, wrong = preset_overrides.apply(parsed, data)
    return origins, lines + wrong


def _drop_not_plain(data: dict[str, Any], faults: _Faults) -> None:
    """Takes nan, dates and the like out of the data, so that everything else can still be checked."""
    for place, message in list(not_plain(data)):
        faults.messages[place] = message
        faults.dropped.add(place[:2])
        section = data.get(str(place[0]))
        if len(place) > 1 and isinstance(section, dict):
            section.pop(str(place[1]), None)
        else:
            data.pop(str(place[0]), None)


def _structure(data: Mapping[str, Any], faults: _Faults) -> Preset | None:
    """The preset with the builders' options as they stand; None when anything is wrong."""
    nested = dict(data)
    for section in NAMED:
        table = data.get(section, {} if section in ("data", "model") else None)
        if isinstance(table, dict):
            options = {key: value for key, value in table.items() if key != "name"}
            nested[section] = {key: table[key] for key in ("name",) if key in table} | {"options": options}
            if "name" not in table and section not in ("data", "model"):
                nested[section]["name"] = _default_name(section)
    try:
        return Preset.model_validate_json(json.dumps(nested), strict=True)
    except ValidationError as error:
        for place, message in from_validation(error, nested):
            if message == "unknown key":
                message = _unknown(place, data)
            elif place in {("data", "name"), ("model", "name")} and message == "is required":
                message += _name_hint(place[0], nested)
            faults.add(place, message)
        return None


def _name_hint(section: str | int, nested: Mapping[str, Any]) -> str:
    """What may help who left a builder's name out."""
    close = nearest("name", nested[str(section)]["options"])
    listing = "'dltui data'" if section == "data" else "'dltui models'"
    return f"; is '{close}' misspelt?" if close else f" ({listing} lists the names)"


def _unknown(place: Place, data: Mapping[str, Any]) -> str:
    """What to say about a key that no section has."""
    word = str(place[-1])
    if len(place) > 1:
        return unknown("key", word, allowed_keys(place[:-1]))
    for section in FIXED:
        if word in allowed_keys((section,)) and not isinstance(data[word], dict):
            return f"must stand in a section; did you mean {section}.{word}?"
    return unknown("section", word, SECTIONS)


def _default_name(section: str) -> str:
    default = Preset.model_fields[section].default
    return default.name if isinstance(default, Named) else ""


class _Builders:
    """Holds the sections that name a builder to the builder's signature."""

    def __init__(self, registries: Mapping[str, Registry], base: Path | None, faults: _Faults) -> None:
        self.registries = registries
        self.base = base
        self.faults = faults

    def check(self, data: Mapping[str, Any]) -> dict[str, Named]:
        """The sections with every default filled in."""
        filled: dict[str, Named] = {}
        entries: dict[str, Entry] = {}
        for section in NAMED:  # data and model come first: task auto depends on them
            table = data.get(section, {})
            name = table.get("name", _default_name(section)) if isinstance(table, dict) else ""
            if not isinstance(name, str) or not name:
                continue
            options = {key: value for key, value in table.items() if key != "name"}
            automatic = section == "task" and name == "auto"
            entry = self._automatic_task(entries) if automatic else self._entry(section, name)
            if entry is not None:
                entries[section] = entry
                values, problems = entry.validate(options)
                for problem in problems:
                    self.faults.add((section, problem.key), problem.message)
                filled[section] = Named(name=name, options=options if automatic else values)
        self._point_elsewhere(entries)
        return filled

    def _entry(self, section: str, name: str) -> Entry | None:
        try:
            return self.registries[section].entry(name, self.base)
        except UserError as error:
            self.faults.add((section, "name"), str(error))
            return None

    def _automatic_task(self, entries: Mapping[str, Entry]) -> Entry | None:
        """The task that ``auto`` will become, where the registrations of model and data settle it."""
        tasks = self.registries["task"]
        if "model" in entries and entries["model"].tags.get("task"):
            return tasks.entry(str(entries["model"].tags["task"]))
        if "data" not in entries:
            return None
        targets = entries["data"].kinds("target")
        fitting = {
            next((task.name for task in tasks.entries() if kind in task.targets), None) for kind in targets
        }
        name = fitting.pop() if len(fitting) == 1 else None
        return tasks.entry(name) if name is not None else None

    def _point_elsewhere(self, entries: Mapping[str, Entry]) -> None:
        """Says which section has an unknown key that is like none beside it, such as ``training.lr``."""
        owners = {section: allowed_keys((section,)) for section in FIXED}
        owners |= {section: [field.name for field in entry.fields] for section, entry in entries.items()}
        for place, message in list(self.faults.messages.items()):
            if message.startswith("unknown key") and "did you mean" not in message:
                for section, keys in owners.items():
                    if place[-1] in keys and len(place) == 2:
                        self.faults.messages[place] = f"unknown key; did you mean {section}.{place[-1]}?"
