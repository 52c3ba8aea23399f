"""``--set section.key=value``: overrides of a preset from the command line.

A value is read as TOML, and as text where it is none: ``model.channels=[16, 32]``, ``training.device=cpu``.
Naming another builder starts its section afresh, because the options there belonged to the old one.
"""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dlcore.errors import UserError
from dlcore.preset.sections import FIXED, NAMED, SECTIONS, allowed_keys
from dlcore.preset.text import MAX_BYTES, nesting_beyond_limit, split_key
from dlcore.problems import MAX_DEPTH, Place, nearest, show_place
from dlcore.text_safety import safe_text


@dataclass(frozen=True)
class Override:
    """One parsed ``--set``.

    Attributes:
        text: as given.
        place: at least a section and a key.
    """

    text: str
    place: Place
    value: Any

    @property
    def label(self) -> str:
        """How errors name it."""
        return f"--set {safe_text(self.text, limit=80)}"


def parse_override(text: str) -> Override:
    """Reads ``section.key=value``.

    Raises:
        UserError: no such form, or beyond the limits of a preset.
    """
    label = f"--set {safe_text(text, limit=80)}"
    if len(text) > MAX_BYTES or nesting_beyond_limit(text) is not None:
        raise UserError(f"{label}: is larger or nested deeper than a preset may be")
    found = split_key(text)
    if found is None or not text.startswith("=", found[1]):
        raise UserError(f"{label}: must be section.key=value, such as training.epochs=20")
    parts, end = found
    if len(parts) > MAX_DEPTH:
        raise UserError(f"{label}: is nested more than {MAX_DEPTH} deep")
    if len(parts) == 1:
        raise UserError(f"{label}: {_better(parts[0])}")
    return Override(text, parts, read_value(text[end + 1 :].strip()))


def _better(word: str) -> str:
    """What was probably meant by a key without its section."""
    if word in NAMED:
        return f"must be section.key=value; did you mean {word}.name=…?"
    for section in FIXED:
        if word in allowed_keys((section,)):
            return f"must be section.key=value; did you mean {section}.{word}=…?"
    close = nearest(word, SECTIONS)
    return "must be section.key=value" + (f"; did you mean {close}.…=…?" if close else "")


def read_value(text: str) -> Any:
    """A TOML value; anything that is none, and dates, which no option takes, stay text."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    value = parsed["value"]
    # A line break in the text could smuggle in further keys.
    return text if len(parsed) > 1 or isinstance(value, datetime.date | datetime.time) else value


def apply(overrides: Sequence[Override], data: dict[str, Any]) -> tuple[dict[Place, Override], list[str]]:
    """Puts overrides into parsed TOML, later ones over earlier ones.

    Returns:
        the override that each changed place comes from, and a line for each that goes into what is no table.
    """
    origins: dict[Place, Override] = {}
    wrong: list[str] = []
    # Names go first: with another name the section starts afresh, and the other overrides then fill it.
    for override in sorted(overrides, key=lambda each: not _is_name(each)):
        section = data.get(str(override.place[0]))
        if _is_name(override) and isinstance(section, dict) and section.get("name") != override.value:
            section.clear()
        if _put(data, override):
            origins[override.place] = override
        else:
            wrong.append(f"{override.label}: {show_place(override.place[:-1])}is not a table")
    return origins, wrong


def _is_name(override: Override) -> bool:
    return len(override.place) == 2 and override.place[0] in NAMED and override.place[1] == "name"


def _put(data: dict[str, Any], override: Override) -> bool:
    table: Any = data
    for part in override.place[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            return False
    table[override.place[-1]] = override.value
    return True
