"""Name -> builder; the builder's keyword-only arguments are the schema.

A builder is a plain function or class. It registers itself where it is defined and is found by discovery: no
central list is edited. Its signature and docstring are all there is to know about it (see `signatures`).
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from dlcore.errors import UserError
from dlcore.model_options import StartingPoint
from dlcore.problems import Problem, nearest, show
from dlcore.registry.schema import Field, Schema
from dlcore.registry.signatures import SchemaError, own_doc, read_schema
from dlcore.user_code import PREFIX, is_user_name, load_user_builder

__all__ = ["DATA", "MODELS", "OPTIMIZERS", "SCHEDULERS", "TASKS", "Entry", "Field", "Problem", "Registry"]

Builder = TypeVar("Builder", bound=Callable[..., Any])


ARGUMENTS = {
    "model": "the data's spec",
    "data": "a context",
    "task": "the network and the data's spec",
    "optimizer": "groups of parameters",
}
"""What a builder of each kind is given besides its options."""


@dataclass(frozen=True)
class Entry:
    """A registered builder and what its signature and docstring say.

    Attributes:
        group: heading in listings.
        inputs: kinds of input it takes (`data.spec.InputKind`); empty for any.
        targets: kinds of target it serves (`data.spec.TargetKind`); empty for any.
        tags: whatever else was said at registration.
        common: options that every builder of the kind has besides its own, as a class of them.
    """

    kind: str
    name: str
    builder: Callable[..., Any]
    group: str = ""
    inputs: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    tags: Mapping[str, Any] = field(default_factory=dict)
    common: type[Any] | None = None

    @cached_property
    def doc(self) -> str:
        """The builder's own docstring, unindented."""
        return own_doc(self.builder)

    @property
    def summary(self) -> str:
        """The docstring's first line."""
        return self.doc.partition("\n")[0]

    @cached_property
    def schema(self) -> Schema:
        """The options; read at the first use, about 0.5 ms each."""
        try:
            own = read_schema(self.builder)
        except SchemaError as error:
            raise SchemaError(f"{self.kind} '{self.name}': {error}") from error
        taken = [name for name in own.adapters if name in self._common_names]
        if taken:
            raise SchemaError(
                f"{self.kind} '{self.name}': its option '{taken[0]}' has the name of one that every {self.kind} has"
            )
        return own if self.common is None else own.with_more(read_schema(self.common))

    @property
    def fields(self) -> tuple[Field, ...]:
        """The options in the signature's order."""
        return self.schema.fields

    def kinds(self, tag: str) -> list[str]:
        """The kinds that a data builder's tag names: ``"class, binary or number"`` names three."""
        return [word for word in re.split(r",\s*|\s+or\s+", str(self.tags.get(tag, ""))) if word]

    def validate(self, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
        """Options as plain data with every default filled in (wrong ones left out), and what is wrong."""
        values, problems = self.schema.check(options)
        return self.schema.plain(values), problems

    def build(self, /, *args: Any, **options: Any) -> Any:
        """Calls the builder with ``args`` and the checked options, in the types that it asks for.

        Raises:
            UserError: one line a wrong option.
        """
        values = self._checked(options, common=False)
        if is_user_name(self.name):
            self._require_callable(args, values)
        return self.builder(*args, **values)

    def _require_callable(self, args: tuple[Any, ...], values: Mapping[str, Any]) -> None:
        """The user's own builder has to take what every builder of its kind is given."""
        try:
            signature = inspect.signature(self.builder)
            signature.bind(*args, **values)
        except TypeError as error:
            given = ARGUMENTS.get(self.kind, "nothing")
            raise UserError(
                f"{self.kind} '{self.name}' is called with {given} before its options, which it does not take: {error}"
            ) from error
        except ValueError:
            return  # it has no signature to be read, so the call itself will tell
        self._require_place(args, signature)

    def _require_place(self, args: tuple[Any, ...], signature: inspect.Signature) -> None:
        """What goes first must not land in something that has a default of its own, such as a width."""
        for parameter in list(signature.parameters.values())[: len(args)]:
            if parameter.default not in (parameter.empty, None):
                given = ARGUMENTS.get(self.kind, "nothing")
                raise UserError(
                    f"{self.kind} '{self.name}' is called with {given} first, which would land in its "
                    f"'{parameter.name}': put 'spec, *,' before the options, as dltui new shows"
                )

    def common_options(self, options: Mapping[str, Any]) -> Any:
        """What ``options`` say of the ones that every builder of the kind has.

        Raises:
            UserError: one line a wrong option.
        """
        assert self.common is not None, f"a {self.kind} has options of its own only"
        return self.common(**self._checked(options, common=True))

    @property
    def _common_names(self) -> tuple[str, ...]:
        return () if self.common is None else tuple(inspect.signature(self.common).parameters)

    def _checked(self, options: Mapping[str, Any], *, common: bool) -> dict[str, Any]:
        values, problems = self.schema.check(options)
        if problems:
            raise UserError([f"{self.kind} '{self.name}': {problem}" for problem in problems])
        return {name: value for name, value in values.items() if (name in self._common_names) == common}


class Registry:
    """The builders of one kind, discovered at the first look-up.

    Args:
        kind: what a builder makes, as messages call it: ``model``.
        package: a package, all of whose modules are imported, or a single module.
        common: options that every builder has besides its own: a class whose keyword arguments they are.
    """

    def __init__(self, kind: str, package: str, common: type[Any] | None = None) -> None:
        self.kind = kind
        self.package = package
        self.common = common
        self._entries: dict[str, Entry] = {}
        self._discovered = False
        self._discovering = threading.RLock()

    def register(
        self,
        name: str | None = None,
        *,
        group: str = "",
        inputs: tuple[str, ...] = (),
        targets: tuple[str, ...] = (),
        **tags: Any,
    ) -> Callable[[Builder], Builder]:
        """Decorator that makes a function or class known under ``name``, by default its own.

        Raises:
            ValueError: the name is taken.
        """

        def add(builder: Builder) -> Builder:
            entry = Entry(
                self.kind, name or builder.__name__, builder, group, inputs, targets, tags, self.common
            )
            taken = self._entries.get(entry.name)
            if taken is not None and not _is_reload(taken.builder, builder):
                places = f"{taken.builder.__module__} and {builder.__module__}"
                raise ValueError(f"{self.kind} '{entry.name}' is registered twice: {places}")
            self._entries[entry.name] = entry
            return builder

        return add

    def names(self) -> list[str]:
        """All names, sorted."""
        self._discover()
        return sorted(self._entries)

    def entries(self) -> list[Entry]:
        """All entries, sorted by name."""
        return [self._entries[name] for name in self.names()]

    def entry(self, name: str, base: Path | None = None) -> Entry:
        """The entry of a name, or of the user's own ``file.py:Name``.

        Args:
            base: folder where a relative ``file.py`` is looked for after the working folder.

        Raises:
            UserError: unknown name, naming the nearest; or the user's builder cannot be loaded.
        """
        self._discover()
        if name in self._entries:
            return self._entries[name]
        if is_user_name(name):
            return self._user_entry(name, base)
        close = nearest(name, self._entries)
        hint = f"did you mean '{close}'? " if close else ""
        allowed = ", ".join(self.names()) or "none"
        raise UserError(
            f"unknown {self.kind} {show(name)}; {hint}(allowed: {allowed}, or your own 'file.py:Name')"
        )

    def build(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Builds by name: ``args`` go first (spec, parameters), ``kwargs`` are the options, checked."""
        return self.entry(name).build(*args, **kwargs)

    def _user_entry(self, name: str, base: Path | None) -> Entry:
        entry = Entry(self.kind, name, load_user_builder(name, base), common=self.common)
        try:
            entry.schema  # noqa: B018  (read now: what is wrong with it is the user's to mend)
        except SchemaError as error:
            raise UserError(str(error)) from error
        return entry

    def _discover(self) -> None:
        if self._discovered:
            return
        with self._discovering:  # re-entrant: a module being imported may ask for names
            package = importlib.import_module(self.package)
            for module in pkgutil.iter_modules(getattr(package, "__path__", ())):
                importlib.import_module(f"{self.package}.{module.name}")
            self._discovered = True


def _is_reload(old: Callable[..., Any], new: Callable[..., Any]) -> bool:
    """Whether the user's own file registers again what it registered before it was edited."""
    return old.__module__ == new.__module__ and new.__module__.startswith(PREFIX)


MODELS = Registry("model", "dlcore.models", common=StartingPoint)
DATA = Registry("data", "dlcore.data")
TASKS = Registry("task", "dlcore.tasks")
OPTIMIZERS = Registry("optimizer", "dlcore.training.optimizers")
SCHEDULERS = Registry("scheduler", "dlcore.training.schedules")
