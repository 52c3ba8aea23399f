"""Everything that is known of a run, or of a preset before it runs: what the rules look at.

Reading never raises: what is missing or damaged is absent, and a rule that needs it finds nothing.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcore import series
from dlcore.events import EventReader
from dlcore.run_dir import RunDir

MOST_BYTES = 8 << 20

_MEAN_ABSOLUTE = math.sqrt(2 / math.pi)  # of a standard normal variable
_MEAN_HUBER = 0.4161  # of one, with delta 1: E[min(x²/2, |x| - 1/2)]

Table = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Curve:
    """A recorded metric without its non-finite points: equally long arrays."""

    step: NDArray[np.int64]
    value: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.step)

    def share(self, start: float, end: float) -> NDArray[np.float64]:
        """The values between two shares of the curve's length, at least one where there is any."""
        low = min(int(start * len(self)), max(0, len(self) - 1))
        return self.value[low : max(low + 1, math.ceil(end * len(self)))]

    def level(self, start: float, end: float) -> float:
        """The mean of that."""
        return float(self.share(start, end).mean())


_EMPTY = Curve(np.zeros(0, np.int64), np.zeros(0))


@dataclass(frozen=True)
class Record:
    """What is known.

    Attributes:
        preset: sections as plain tables, defaults spelt out.
        spec: of the data, as `DataSpec.to_dict`; empty while unknown.
        task: its name; "" while unknown.
        examination: figures from before the training; see `dlcore.inspection.examination`.
        curves: by metric.
        last_look: the newest look inside the network; empty when nobody looked.
        first_look: the oldest one, of the network as it was drawn where it is of step 0.
        events: in their order.
    """

    preset: Mapping[str, Table] = field(default_factory=dict)
    spec: Table = field(default_factory=dict)
    task: str = ""
    examination: Table = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    last_look: Table = field(default_factory=dict)
    first_look: Table = field(default_factory=dict)
    events: Sequence[Table] = ()

    @classmethod
    def read(cls, run: RunDir) -> Record:
        """What a run directory holds now."""
        about = _table(_json(run.run_json_path))
        choices = _table(about.get("choices"))
        preset = _preset(run.preset_path)
        named = str(_table(preset.get("task")).get("name", ""))
        return cls(
            preset=preset,
            spec=_table(about.get("spec")),
            task=str(choices.get("task", named)).partition(" ")[0],
            examination=_table(about.get("examination")),
            curves={name: _curve(run, name) for name in series.names(run.metrics_path)},
            last_look=_look(run.inspections_path, -1),
            first_look=_look(run.inspections_path, 0),
            events=tuple(EventReader(run.events_path).read()),
        )

    def curve(self, name: str) -> Curve:
        """A metric's curve, empty when there is none."""
        return self.curves.get(name, _EMPTY)

    def option(self, key: str, default: Any = None) -> Any:
        """A value of the preset: ``training.clip_norm``."""
        section, _, name = key.partition(".")
        return _table(self.preset.get(section)).get(name, default)

    def has(self, key: str) -> bool:
        """Whether the preset has such a key, so that it can be changed."""
        return self.option(key, _ABSENT) is not _ABSENT

    def number(self, key: str) -> float:
        """A number of the preset, 0 where it is none."""
        value = self.option(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0

    @property
    def target(self) -> str:
        """Kind of the data's target; "" while unknown."""
        return str(self.spec.get("target", ""))

    @cached_property
    def chance(self) -> float | None:
        """The loss of who knows nothing but the targets' distribution; None where that has no simple value.

        ln(classes) for a guess among equals; the variance for standardised numbers, and what a standard normal
        target gives for absolute and Huber losses.
        """
        outputs = self.spec.get("num_outputs")
        words = self.spec.get("vocabulary") or ()
        if self.task in ("causal_lm", "masked_lm") and isinstance(outputs, int):
            return math.log(max(2, len(words) or outputs))
        if self.task in ("classification", "segmentation") and isinstance(outputs, int):
            if self.task == "segmentation" and self.option("task.loss", "ce") != "ce":
                return None
            return math.log(max(2, outputs))
        if self.task == "regression":
            return {"mse": 1.0, "mae": _MEAN_ABSOLUTE, "huber": _MEAN_HUBER}.get(
                str(self.option("task.loss", "mse"))
            )
        return None

    @cached_property
    def start(self) -> float | None:
        """The training loss of the first step: of the network as it was drawn."""
        curve = self.curve("train/loss")
        return float(curve.value[0]) if len(curve) else None

    @property
    def done(self) -> float:
        """Share of the planned steps that were made; 1 where nobody knows the plan."""
        started, made = self.of_kind("started"), self._made
        epochs, steps = (
            figure(started[-1], key) if started else None for key in ("epochs", "steps_per_epoch")
        )
        if not epochs or not steps or not made:
            return 1.0
        planned = min(epochs * steps, self.number("training.max_steps") or math.inf)
        return made / planned

    @property
    def looked(self) -> float:
        """`done` at the newest look."""
        seen = figure(self.last_look, "step")
        return self.done * seen / self._made if self._made and seen is not None else self.done

    @cached_property
    def _made(self) -> float:
        """Steps, by the losses of one phase or of several."""
        losses = [curve.step for name, curve in self.curves.items() if name.startswith("train/loss")]
        return max((float(steps[-1]) for steps in losses if len(steps)), default=0.0)

    def rows(self) -> Iterator[Table]:
        """Layers of the newest look, in the order of the forward pass."""
        return _rows(self.last_look)

    def as_drawn(self, layer: str) -> Table:
        """A layer before the first step; empty where nobody looked then."""
        if self.first_look.get("step") != 0:
            return {}
        return next((row for row in _rows(self.first_look) if row.get("path") == layer), {})

    def of_kind(self, event: str) -> list[Table]:
        """The events of one kind."""
        return [each for each in self.events if each.get("event") == event]


_ABSENT = object()


def figure(table: Any, *keys: str) -> float | None:
    """A finite number deep in plain tables; None where anything of the way is missing."""
    for key in keys:
        table = table.get(key) if isinstance(table, Mapping) else None
    if isinstance(table, bool) or not isinstance(table, int | float) or not math.isfinite(table):
        return None
    return float(table)


def _curve(run: RunDir, name: str) -> Curve:
    read = series.read(run.metrics_path, name)
    good = np.isfinite(read.value)
    return Curve(np.asarray(read.step[good]), np.asarray(read.value[good]))


def _rows(look: Table) -> Iterator[Table]:
    listed = look.get("layers")
    return (row for row in (listed if isinstance(listed, list) else []) if isinstance(row, Mapping))


def _look(folder: Path, number: int) -> Table:
    """One of the looks, by its place among them."""
    try:
        names = sorted(folder.glob("step-*.json"))
    except OSError:
        return {}
    return _table(_json(names[number])) if names else {}


def _preset(path: Path) -> Mapping[str, Table]:
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {name: table for name, table in found.items() if isinstance(table, dict)}


def _json(path: Path) -> Any:
    try:
        data = path.read_bytes()
        return json.loads(data) if len(data) <= MOST_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None


def _table(value: Any) -> Table:
    return value if isinstance(value, dict) else {}
