"""The rules by name. A rule registers itself where it is defined; no list is edited."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlcore.doctor.findings import Finding
    from dlcore.doctor.record import Record

Check = Callable[["Record"], Iterable["Finding"]]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: two or three words, as a person would call the fault.
        rank: causes come before what they cause: 0 data and wiring, 1 first figures and steps that are too long,
            2 layers, 3 what layers may explain, 4 results, 5 speed.
        check: a pure function; its docstring says where the threshold comes from.
    """

    name: str
    rank: int
    check: Check

    @property
    def doc(self) -> str:
        """What it looks for and where its threshold comes from."""
        return (self.check.__doc__ or "").strip()


_RULES: dict[str, Rule] = {}


def rule(name: str, *, rank: int) -> Callable[[Check], Check]:
    """Decorator that makes a check known.

    Raises:
        ValueError: the name is taken.
    """

    def add(check: Check) -> Check:
        taken = _RULES.get(name)
        if taken is not None and taken.check.__module__ != check.__module__:
            raise ValueError(
                f"rule '{name}' is registered twice: {taken.check.__module__} and {check.__module__}"
            )
        _RULES[name] = Rule(name, rank, check)
        return check

    return add


def rules() -> list[Rule]:
    """All rules, causes first."""
    package = importlib.import_module("dlcore.doctor.rules")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return sorted(_RULES.values(), key=lambda each: (each.rank, each.name))
