"""Plain data as TOML that reads as if typed: one line a key, lists on one line.

Holds what presets hold (text, finite numbers, booleans, lists, tables); `tomllib` reads it back exactly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


def to_toml(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """Sections of keys and values; tables inside a section are written inline."""
    return "\n".join(_section(name, values) for name, values in sections.items())


def _section(name: str, values: Mapping[str, Any]) -> str:
    lines = [f"{_key(key)} = {_value(value)}\n" for key, value in values.items()]
    return f"[{_key(name)}]\n{''.join(lines)}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        if any(isinstance(item, Mapping) for item in value):
            return "[\n" + "".join(f"    {_value(item)},\n" for item in value) + "]"
        return f"[{', '.join(_value(item) for item in value)}]"
    raise TypeError(f"a preset cannot hold a {type(value).__name__}")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)


def _text(text: str) -> str:
    # JSON's escapes are TOML's; only DEL stands bare in JSON.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
