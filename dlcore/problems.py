"""What is wrong with a value, in plain English.

One wording for presets, builders' options and forms: a `Problem` names a key and says what is allowed
and what was found. Values found are shown through `show`, which never lets a control character out.
"""

from __future__ import annotations

import datetime
import difflib
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MAX_DEPTH = 32  # of nested lists and tables; no builder needs more than two
MAX_SHOWN = 60  # characters of a value quoted in a message

Place = tuple[str | int, ...]
"""Keys and list indices from the outside in."""


@dataclass(frozen=True)
class Problem:
    """One thing to mend.

    Attributes:
        key: the option, or a dotted key in a preset; never empty.
        message: reads on from the key: ``must be at least 1, got -3``.
    """

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


def show(value: object) -> str:
    """A value as it would be written in a preset, cut to a short line of printable characters."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(value) if len(value) <= MAX_SHOWN else repr(value[:MAX_SHOWN]) + "…"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return _show_list(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else "a huge number"
    if isinstance(value, float | datetime.date | datetime.time):
        return str(value)
    return f"a {type(value).__name__}"


def _show_list(values: Sequence[object]) -> str:
    if any(isinstance(value, list | tuple | dict) for value in values[:8]):
        return f"a list of {len(values)}"
    text = "[" + ", ".join(show(value) for value in values[:8]) + ("" if len(values) <= 8 else ", …") + "]"
    return text if len(text) <= MAX_SHOWN else f"a list of {len(values)}"


def show_place(place: Place) -> str:
    """``("about", "try", 2, "say")`` as ``about.try: entry 3, key say: ``."""
    keys = list(itertools.takewhile(lambda part: isinstance(part, str), place))
    return ".".join(_bare(key) for key in keys) + ": " + inside(place[len(keys) :])


def inside(place: Place) -> str:
    """``(2, "say")`` within an option as ``entry 3, key say: ``."""
    names = [f"entry {part + 1}" if isinstance(part, int) else f"key {_bare(part)}" for part in place]
    return ", ".join(names) + ": " if names else ""


def _bare(key: str | int) -> str:
    """A key as TOML allows it without quotes, else quoted."""
    return str(key) if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", str(key)) else show(key)


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """The allowed name most like ``word``, or None when none is close."""
    if len(word) > 100:  # difflib is quadratic
        return None
    folded = {name.lower().replace("-", "_"): name for name in allowed}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def unknown(what: str, word: str, allowed: Sequence[str]) -> str:
    """``unknown key; did you mean 'channels'? (allowed: channels, dropout)``."""
    close = nearest(word, allowed)
    hint = f"; did you mean '{close}'?" if close else ""
    return f"unknown {what}{hint} (allowed: {', '.join(allowed)})"


def not_plain(value: object, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Places in a value that no preset may hold: nan, infinities, dates, huge integers, deep nesting."""
    if len(place) > MAX_DEPTH:
        yield place[:2], f"is nested more than {MAX_DEPTH} deep"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from not_plain(item, (*place, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from not_plain(item, (*place, index))
    else:
        message = _not_plain_scalar(value)
        if message:
            yield place, message


def _not_plain_scalar(value: object) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**63 else f"must fit in 64 bits, got {show(value)}"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"must be a finite number, got {value}"
    if isinstance(value, str):
        broken = any("\ud800" <= char <= "\udfff" for char in value)
        return f"must be valid UTF-8 text, got {show(value)}" if broken else None
    if isinstance(value, datetime.date | datetime.time):
        return f'dates and times are not used here; write it as text: "{value}"'
    return f"must be text, a number, true or false, a list or a table; got {show(value)}"
