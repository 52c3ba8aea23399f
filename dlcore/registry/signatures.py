"""A builder's keyword-only parameters, read as its schema.

Annotations say what is allowed, defaults what may be left out, the docstring's ``Args:`` what each is for:
the TOML keys, the checks, the form and the help text are all this one signature, written once.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic_core import to_jsonable_python

from dlcore.registry.schema import Field, Schema, check_value, make_field, plain_value


class SchemaError(TypeError):
    """A builder's signature that a preset cannot express; the builder is to be mended, not the preset."""


def read_schema(builder: Callable[..., Any]) -> Schema:
    """The options of a builder: its keyword-only parameters.

    Raises:
        SchemaError: the type or default of a parameter cannot be written in TOML.
    """
    try:
        parameters = list(inspect.signature(builder).parameters.values())
    except (ValueError, TypeError, NameError) as error:
        raise SchemaError(f"its signature cannot be read: {error}") from error
    helps = argument_help(own_doc(builder))
    globalns = getattr(inspect.unwrap(_function(builder)), "__globals__", {})
    options = [parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    adapters = {option.name: _adapter(option, globalns) for option in options}
    fields = tuple(_field(option, adapters[option.name], helps.get(option.name, "")) for option in options)
    positional = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
    return Schema(fields, adapters, positional)


def own_doc(builder: Callable[..., Any]) -> str:
    """The builder's own docstring, a class's with its ``__init__``'s; never a base class's."""
    if not isinstance(builder, type):
        return inspect.cleandoc(getattr(builder, "__doc__", None) or "")
    docs = (vars(builder).get("__doc__"), getattr(vars(builder).get("__init__"), "__doc__", None))
    return "\n\n".join(inspect.cleandoc(doc) for doc in docs if isinstance(doc, str))


def argument_help(doc: str) -> dict[str, str]:
    """Help of each name under ``Args:`` and ``Attributes:`` of a Google-style docstring, one line each."""
    helps: dict[str, str] = {}
    inside = False
    names: list[str] = []
    for line in filter(str.strip, doc.splitlines()):
        if not line.startswith(" "):
            inside, names = line.strip() in {"Args:", "Attributes:"}, []
            continue
        entry = re.match(r" {1,4}(\w+(?:, \w+)*)(?: \([^)]*\))?:(?: (.*))?$", line) if inside else None
        if entry:
            names = entry[1].split(", ")
        text = (entry[2] or "") if entry else line
        for name in names:
            helps[name] = f"{helps.get(name, '')} {text.strip()}".strip()
    return helps


def _function(builder: Callable[..., Any]) -> Callable[..., Any]:
    """What holds the builder's annotations and the globals that they are resolved in."""
    if isinstance(builder, type):
        return typing.cast(Callable[..., Any], vars(builder).get("__init__") or builder.__init__)  # type: ignore[misc]
    if hasattr(builder, "__globals__") or hasattr(builder, "__wrapped__") or inspect.ismethod(builder):
        return builder
    return type(builder).__call__


def _adapter(option: inspect.Parameter, globalns: dict[str, Any]) -> TypeAdapter[Any]:
    """The check of one option."""
    if option.name == "name":
        raise SchemaError("an option cannot be called 'name', which names the builder itself in a preset")
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(_annotation(option, globalns))
        adapter.json_schema()  # the form needs one; a callable or a tensor has none
    except (PydanticUserError, NameError, TypeError, AttributeError, SyntaxError) as error:
        reason = str(error).partition("\n")[0]
        raise SchemaError(
            f"the type of its option '{option.name}' cannot be used in a preset: {reason}"
        ) from error
    return adapter


def _annotation(option: inspect.Parameter, globalns: dict[str, Any]) -> Any:
    """The resolved annotation; without one, what the default suggests."""
    default = option.default
    if option.annotation is not option.empty:
        # Only this one's: other parameters may name types that are imported for type checkers alone.
        holder = types.SimpleNamespace(__annotations__={"option": option.annotation})
        return typing.get_type_hints(holder, globalns=globalns, include_extras=True)["option"]
    if isinstance(default, list | tuple):
        kinds: set[Any] = {type(item) for item in default}
        return types.GenericAlias(tuple, (kinds.pop() if len(kinds) == 1 else Any, ...))
    return type(default) if isinstance(default, bool | int | float | str) else Any


def _field(option: inspect.Parameter, adapter: TypeAdapter[Any], help_text: str) -> Field:
    required = option.default is option.empty
    default = None if required or option.default is None else _default(option, adapter)
    return make_field(option.name, adapter.json_schema(), default, required, help_text)


def _default(option: inspect.Parameter, adapter: TypeAdapter[Any]) -> Any:
    """The default as plain data, held to the option's own type."""
    try:
        value, wrong = check_value(adapter, to_jsonable_python(option.default))
    except ValueError as error:
        raise SchemaError(
            f"the default of its option '{option.name}' cannot be written in a preset"
        ) from error
    if wrong:
        raise SchemaError(f"the default of its option '{option.name}' breaks its own type: {wrong[0][1]}")
    return plain_value(adapter, value)
