"""What options a builder takes, and the check of given ones.

Values are checked as JSON is, strictly (``true`` is no 1, ``"3"`` is no 3), except that an int serves for a
float and a list for a tuple. What passes is finite and can be written as TOML.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dlcore.problems import Place, Problem, inside, not_plain, show, unknown
from dlcore.registry.wording import from_validation


@dataclass(frozen=True)
class Field:
    """One option of a builder.

    Attributes:
        type_text: ``int``, ``float``, ``bool``, ``str``, ``list of int``, ``one of a, b``, ``int or str``.
        default: plain data; None where the option is required, or where leaving it out means none.
        help: from the docstring; one line.
        choices: what a ``one of`` allows, else empty.
        minimum: least number allowed, also in a list; None without.
        maximum: greatest number allowed, also in a list; None without.
        exclusive: which of the two is itself not allowed, such as ``("maximum",)``.
    """

    name: str
    type_text: str
    default: Any
    required: bool
    help: str = ""
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    exclusive: tuple[str, ...] = ()


@dataclass(frozen=True)
class Schema:
    """All options of one builder.

    Attributes:
        adapters: the check of each option.
        positional: parameters that are no options because they come before the ``*``.
    """

    fields: tuple[Field, ...]
    adapters: Mapping[str, TypeAdapter[Any]]
    positional: tuple[str, ...] = ()

    def check(self, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
        """Values of the options that are given and right, in the builder's types, and all problems."""
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, value in options.items():
            if name not in self.adapters:
                problems.append(Problem(name, self._unknown(name)))
            elif value is not None:
                typed, wrong = check_value(self.adapters[name], value)
                problems += [Problem(name, inside(place) + message) for place, message in wrong]
                if not wrong:
                    values[name] = typed
        for field in self.fields:
            if field.required and options.get(field.name) is None:
                problems.append(Problem(field.name, _required(field)))
        return values, problems

    def plain(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Typed values as TOML-able data in the signature's order, defaults of all others filled in."""
        plain: dict[str, Any] = {}
        for field in self.fields:
            if field.name in values:
                plain[field.name] = plain_value(self.adapters[field.name], values[field.name])
            elif field.default is not None:
                plain[field.name] = copy.deepcopy(field.default)
        return plain

    def with_more(self, other: Schema) -> Schema:
        """These options and, after them, the other's."""
        return Schema(self.fields + other.fields, {**self.adapters, **other.adapters}, self.positional)

    def _unknown(self, name: str) -> str:
        if name in self.positional:
            return f"is not an option, because '{name}' comes before the * in the builder's signature"
        if not self.fields:
            return "unknown key; this one takes no options"
        return unknown("key", name, [field.name for field in self.fields])


def check_value(adapter: TypeAdapter[Any], value: Any) -> tuple[Any, list[tuple[Place, str]]]:
    """The typed value, and what is wrong with it where; the value is None when anything is."""
    wrong = list(not_plain(value))
    if wrong:
        return None, wrong
    try:
        typed = adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        return None, from_validation(error, value)
    if isinstance(value, bool) and type(typed) in (int, float):  # Literal[1] lets true through
        return None, [((), f"must be a number, got {show(value)}")]
    return typed, []


def plain_value(adapter: TypeAdapter[Any], value: Any) -> Any:
    """A typed value as TOML-able data."""
    return _without_none(adapter.dump_python(value, mode="json", warnings=False))


def _without_none(value: Any) -> Any:
    """TOML has no null: an entry of a table that is None is left out."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


def make_field(name: str, json_schema: dict[str, Any], default: Any, required: bool, help_text: str) -> Field:
    """A field told by the JSON schema of its type."""
    definitions = json_schema.get("$defs", {})
    leaf = _leaf(json_schema, definitions)
    # Whole numbers above 0 are at least 1; only bounds of other numbers can be exclusive.
    step = 1 if leaf.get("type") == "integer" else 0
    above, below = leaf.get("exclusiveMinimum"), leaf.get("exclusiveMaximum")
    return Field(
        name=name,
        type_text=_type_text(json_schema, definitions),
        default=default,
        required=required,
        help=help_text,
        choices=tuple(leaf.get("enum", [leaf["const"]] if "const" in leaf else [])),
        minimum=leaf.get("minimum") if above is None else above + step,
        maximum=leaf.get("maximum") if below is None else below - step,
        exclusive=()
        if step
        else tuple(side for side, bound in (("minimum", above), ("maximum", below)) if bound is not None),
    )


def _alternatives(json_schema: dict[str, Any], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    """Alternatives of a type other than None, references followed."""
    if "$ref" in json_schema:
        json_schema = definitions.get(json_schema["$ref"].rpartition("/")[2], {})
    alternatives = json_schema.get("anyOf", json_schema.get("oneOf", [json_schema]))
    return [each for each in alternatives if each.get("type") != "null"]


def _leaf(json_schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The type whose bounds and choices are shown: the only alternative, or that of a list's entries.

    A word that is allowed besides, such as ``auto``, has none to show.
    """
    alternatives = _alternatives(json_schema, definitions)
    if len(alternatives) > 1:
        alternatives = [each for each in alternatives if "const" not in each]
    if len(alternatives) != 1:
        return {}
    items = alternatives[0].get("items")
    return _leaf(items, definitions) if isinstance(items, dict) else alternatives[0]


def _type_text(json_schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    texts = [_one_type_text(each, definitions) for each in _alternatives(json_schema, definitions)]
    return " or ".join(dict.fromkeys(texts))


def _one_type_text(json_schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "enum" in json_schema:
        return "one of " + ", ".join(str(choice) for choice in json_schema["enum"])
    if "const" in json_schema:
        return str(json_schema["const"])
    if json_schema.get("type") == "array":
        if "prefixItems" in json_schema:
            inner = [_type_text(item, definitions) for item in json_schema["prefixItems"]]
            return f"list of {len(inner)} {' or '.join(dict.fromkeys(inner))}"
        return (
            f"list of {_type_text(json_schema['items'], definitions)}" if json_schema.get("items") else "list"
        )
    names = {"integer": "int", "number": "float", "string": "str", "boolean": "bool", "object": "table"}
    return names.get(str(json_schema.get("type")), "any value")


def _required(field: Field) -> str:
    return f"is required: {field.help.rstrip('.')}" if field.help else f"is required ({field.type_text})"
