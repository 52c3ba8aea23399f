"""pydantic's errors in plain English, without a word of its own jargon."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dlcore.problems import Place, show


def from_validation(error: ValidationError, value: object) -> list[tuple[Place, str]]:
    """pydantic's errors as (place, message), the alternatives of a union joined into one message.

    Args:
        value: what was validated; tells the keys in an error's location from the names of union members.
    """
    phrases: dict[Place, list[str]] = {}
    whole: dict[Place, str] = {}
    found: dict[Place, object] = {}
    for detail in error.errors(include_url=False):
        place, inside = _place(detail["loc"], value, detail["type"] in {"missing", "extra_forbidden"})
        found.setdefault(place, inside)
        message = _whole_message(detail)
        if message is None:
            phrases.setdefault(place, []).append(_phrase(detail))
        else:
            whole.setdefault(place, message)
    return [(place, whole.get(place) or _must_be(phrases[place], found[place])) for place in found]


def _place(loc: Sequence[int | str], value: object, last_is_absent: bool) -> tuple[Place, object]:
    """The real keys at the start of an error's location, and the value found there."""
    place: list[str | int] = []
    for part in loc:
        try:
            value = value[part]  # type: ignore[index]
        except (LookupError, TypeError):
            return (*place, part) if last_is_absent and part == loc[-1] else tuple(place), value
        place.append(part)
    return tuple(place), value


def _must_be(phrases: Sequence[str], value: object) -> str:
    allowed = " or ".join(dict.fromkeys(phrases))
    return f"must be {allowed}{';' if ', ' in allowed else ','} got {show(value)}"


def _whole_message(detail: ErrorDetails) -> str | None:
    """Messages that do not read ``must be …, got …``."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return "is required"
    if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
        return "unknown key"
    if kind == "too_long":
        return f"must have at most {context['max_length']} entries, got {context['actual_length'] or 'more'}"
    if kind == "too_short":
        return f"must have at least {context['min_length']} entries, got {context['actual_length']}"
    if kind == "string_too_short" and context["min_length"] == 1:
        return "must not be empty"
    if kind in {"value_error", "assertion_error"}:
        return f"{context['error']}; got {show(detail['input'])}"
    return None


_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a finite number",
    "bool": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dataclass_type": "a table",
    "path_type": "a path",
}


def _phrase(detail: ErrorDetails) -> str:
    """What is allowed, reading on from ``must be``."""
    kind, context = detail["type"], detail.get("ctx", {})
    match kind:
        case "greater_than" if isinstance(context["gt"], int):
            return f"at least {context['gt'] + 1}"
        case "greater_than":
            return f"above {context['gt']:g}"
        case "greater_than_equal":
            return f"at least {context['ge']:.12g}"
        case "less_than":
            return f"below {context['lt']:.12g}"
        case "less_than_equal":
            return f"at most {context['le']:.12g}"
        case "multiple_of":
            return f"a multiple of {context['multiple_of']:.12g}"
        case "literal_error" | "enum":
            return _one_of(str(context["expected"]))
        case "string_too_short":
            return f"text of at least {context['min_length']} characters"
        case "string_too_long":
            return f"text of at most {context['max_length']} characters"
        case "string_pattern_mismatch":
            return f"text like {context['pattern']}"
        case _:
            other = detail["msg"].removeprefix("Input should be ").replace("\n", " ")
            return _TYPES.get(kind) or _TYPES.get(kind.partition("_")[0]) or other


def _one_of(expected: str) -> str:
    """pydantic's ``'a', 'b' or 'c'`` as ``one of a, b, c``."""
    quoted = re.findall(r"'(?:[^'\\]|\\.)*'", expected)
    names = [str(ast.literal_eval(name)) for name in quoted] or re.split(r", | or ", expected)
    return names[0] if len(names) == 1 else "one of " + ", ".join(names)
