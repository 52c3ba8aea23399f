"""What is typed behind `/`: words to find and conditions on figures, all of which must hold.

``fashion running acc>0.9 epoch>=5``: a word is looked for in name, preset, model, data, device and status; a
condition compares a figure of the run or a metric, whose name may be cut short. No Textual here.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlcore.run_dir import RunSummary

_CONDITION = re.compile(r"([A-Za-z_][\w./-]*)(>=|<=|!=|==|=|>|<)(.+)")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "=": math.isclose,
    "==": math.isclose,
    "!=": lambda a, b: not math.isclose(a, b),
}
_FIGURES = ("epoch", "epochs", "step", "steps", "seconds", "lr", "parameters", "samples_per_second")
_WORDS = ("name", "status", "preset", "model", "data", "device", "error")
_PARTS = ("val/", "test/", "train/", "")


@dataclass(frozen=True)
class Condition:
    """A comparison as typed: what with what."""

    name: str
    sign: str
    value: str

    def holds(self, run: RunSummary) -> bool:
        """Whether the run has such a figure and it compares so."""
        if self.name in _WORDS:
            found = self.value in str(getattr(run, self.name)).lower()
            return found if self.sign in ("=", "==") else not found if self.sign == "!=" else False
        try:
            wanted = float(self.value)
        except ValueError:
            return False
        value = figure(run, self.name)
        return value is not None and _COMPARE[self.sign](value, wanted)


@dataclass(frozen=True)
class RunFilter:
    """Parsed once, asked for each run: about 1 µs for a word.

    Attributes:
        text: as typed.
        words: all to be found, in lower case.
    """

    text: str = ""
    words: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.words or self.conditions)

    def matches(self, run: RunSummary) -> bool:
        """Whether everything that was typed holds."""
        if self.words:
            text = f"{run.name} {run.status} {run.preset} {run.model} {run.data} {run.device}".lower()
            if not all(word in text for word in self.words):
                return False
        return all(condition.holds(run) for condition in self.conditions)

    def apply(self, runs: Sequence[RunSummary]) -> Sequence[RunSummary]:
        """Those that match, in their order."""
        return [run for run in runs if self.matches(run)] if self else runs


def parse(text: str) -> RunFilter:
    """Never fails: a condition that is still being typed, such as ``acc>``, asks for nothing yet."""
    words: list[str] = []
    conditions: list[Condition] = []
    for part in re.sub(r"\s*(>=|<=|!=|==|=|>|<)\s*", r"\1", text.lower()).split():
        found = _CONDITION.fullmatch(part)
        if found:
            conditions.append(Condition(*found.groups()))
        elif part[-1] not in "<>=!":
            words.append(part)
    return RunFilter(" ".join(text.split()), tuple(words), tuple(conditions))


def figure(run: RunSummary, name: str) -> float | None:
    """A figure of the run by name, or a metric by part of its name: the best value of the one that
    the run is judged by.

    ``acc`` finds ``val/accuracy`` before ``train/accuracy``.
    """
    if name in _FIGURES:
        return float(getattr(run, name))
    best = run.best
    if best and name in best["metric"].lower() and best["value"] is not None:
        return float(best["value"])
    for part in _PARTS:
        for metric, value in run.metrics.items():
            if value is not None and metric.startswith(part) and name in metric.lower():
                return float(value)
    return None
