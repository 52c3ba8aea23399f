"""What stands in a field of the form, as a value of a preset and back.

A text that cannot be the field's type stays text: the check then says what is wrong with it in its own
words, the same as for a preset file.
"""

from __future__ import annotations

import math
import tomllib
from typing import Any, Literal

from dlcore.preset.toml import to_toml
from tui.catalogue import Option

Kind = Literal["switch", "choice", "text", "number", "list", "any"]
SWITCH = ("on", "off")


def kind(option: Option) -> Kind:
    """How a field is shown and edited."""
    told = option.type_text
    if told == "bool":
        return "switch"
    if told == "str":
        return "text"
    if told in ("int", "float"):
        return "number"
    if told.startswith("list"):
        return "list"
    return "choice" if option.choices and told.startswith("one of") else "any"


def parse(option: Option, text: str) -> Any:
    """The value that a text stands for; None for none, which leaves the default."""
    stripped = text.strip()
    match kind(option):
        case "switch":
            return {"on": True, "off": False}.get(stripped, stripped)
        case "choice":
            return next((choice for choice in option.choices if str(choice) == stripped), stripped)
        case "text":
            return text if text or option.default is not None else None
        case "list":
            return _list(stripped)
    if not stripped:
        return None
    if option.type_text.startswith("bool") and stripped in SWITCH:  # a switch that may also be a word
        return stripped == "on"
    value = read_toml(stripped)
    if value is None and "list" in option.type_text and "," in stripped:
        return _list(stripped)
    return stripped if value is None else value


def show(option: Option, value: Any) -> str:
    """The text of a value as a person would type it; `parse` gives the value back."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return SWITCH[not value]
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list):
        bare = kind(option) == "list" and all(map(_is_bare, value)) and value != [""]
        inner = ", ".join(str(item) if bare and isinstance(item, str) else _shown(item) for item in value)
        return inner if bare else f"[{inner}]"
    if isinstance(value, str):
        plain = kind(option) in ("text", "choice") or read_toml(value) is None
        return value if plain else toml_value(value)
    return _shown(value)


def number(value: float) -> str:
    """``0.001`` as ``1e-3``, ``0.25`` as ``0.25``; never loses a digit."""
    if not value or not math.isfinite(value) or 0.01 <= abs(value) < 1e6:
        return repr(value)
    shortest = next(text for text in (f"{value:.{places}e}" for places in range(18)) if float(text) == value)
    digits, _, exponent = shortest.partition("e")
    return f"{digits}e{int(exponent)}"


def limits(option: Option) -> str:
    """What is allowed, in a few words: ``int, at least 1``."""
    told = option.type_text
    for side, bound, words in (
        ("minimum", option.minimum, ("at least", "above")),
        ("maximum", option.maximum, ("at most", "below")),
    ):
        if bound is not None and abs(bound) < 2**31:
            exact = int(bound) if float(bound).is_integer() else bound
            told += f", {words[side in option.exclusive]} {exact}"
    return told


def toml_value(value: Any) -> str:
    """A value as TOML, on one line."""
    return to_toml({"x": {"x": value}}).partition("x = ")[2].strip().replace("\n", " ")


def _shown(item: Any) -> str:
    return number(item) if isinstance(item, float) else toml_value(item)


def _is_bare(item: Any) -> bool:
    """Whether an entry of a list can stand without quotes, because it comes back as it was."""
    if isinstance(item, str):
        plain = bool(item) and item == item.strip() and not set(item) & set(',"[]{}\n')
        return plain and read_toml(item) is None
    return isinstance(item, int | float)


def _list(text: str) -> Any:
    """``32, 64`` and ``[32, 64]`` as a list; words without quotes are taken for text."""
    if not text:
        return []
    value = read_toml(text)
    if isinstance(value, list):
        return value
    if text.startswith("["):
        return text
    whole = read_toml(f"[{text}]")
    if isinstance(whole, list):
        return whole
    items = [item.strip() for item in text.split(",")]
    values = [read_toml(item) for item in items if item]
    return [item if value is None else value for item, value in zip(filter(None, items), values, strict=True)]


def read_toml(text: str) -> Any:
    """The TOML value that a text is; None where it is none."""
    if len(text) > 10_000 or text.count("[") + text.count("{") > 30:
        return None
    try:
        found = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return None
    value = found["value"] if len(found) == 1 else None
    return value if isinstance(value, bool | int | float | str | list | dict) else None
