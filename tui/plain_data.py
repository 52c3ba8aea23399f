"""Reading plain data of any shape: what is absent or of the wrong type counts as missing, nothing raises.

Text comes out with control characters made visible, numbers may be nan or infinite.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from dlcore.text_safety import safe_text

MAX_METRICS = 200

T = TypeVar("T")


def first(*values: T | None, default: T) -> T:
    """The first value that is known."""
    return next((value for value in values if value is not None), default)


def integer(data: Mapping[str, Any], key: str) -> int | None:
    """A whole number of 64 bits; true and false are none."""
    value = data.get(key)
    return value if type(value) is int and abs(value) < 1 << 63 else None


def number(data: Mapping[str, Any], key: str) -> float | None:
    """A number, as an integer, a float or one of the words "nan", "inf", "-inf"."""
    return as_number(data.get(key))


def as_number(value: object) -> float | None:
    """`number` of a bare value."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return None
    if isinstance(value, str) and value.lower() in ("nan", "inf", "-inf"):
        return float(value)
    return None


def text(data: Mapping[str, Any], key: str, *, limit: int = 500) -> str:
    """A string that is safe to print, or "" when there is none."""
    value = data.get(key)
    return safe_text(value, limit=limit) if isinstance(value, str) else ""


def texts(data: Mapping[str, Any], key: str) -> dict[str, str]:
    """A table of words."""
    value = data.get(key)
    if not isinstance(value, Mapping):
        return {}
    pairs = list(value.items())[:MAX_METRICS]
    return {safe_text(name, limit=80): safe_text(word, limit=200) for name, word in pairs}


def metrics(data: Mapping[str, Any], key: str = "metrics") -> dict[str, float]:
    """A table of numbers. JSON has no nan, so a null counts as one."""
    value = data.get(key)
    if not isinstance(value, Mapping):
        return {}
    found = {}
    for name, entry in list(value.items())[:MAX_METRICS]:
        figure = float("nan") if entry is None else as_number(entry)
        if figure is not None:
            found[safe_text(name, limit=80)] = figure
    return found
