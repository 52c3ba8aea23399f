"""Figures of a step beyond its loss: what they say is worth a little time, and they take no more than that.

Update ratio, metrics of the batch, memory and load take a third of a millisecond for a tiny network
and several for a segmentation: at the end of every epoch of five steps they would be a quarter of the training.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from dlcore.inspection.updates import UpdateWatch
from dlcore.training.judging import figures_of
from dlcore.training.step import Stepper
from dlcore.training.vitals import SECONDS, Vitals

SHARE = 0.005
"""Of a training's time, what diagnostics may take."""

FREE = 32
"""So many are taken whatever they cost: most happens at the beginning, and a short training is seen whole."""


class Diagnostics:
    """Decides which steps are examined, and examines them.

    Args:
        model: whose weights are compared before and after a step.
        vitals: of the device.
        record_seconds: of the preset; where it is shorter than usual, it is kept whatever that costs.
        clock: in seconds.
        inside: whether updates, memory and load are wanted, too.

    Attributes:
        free: examinations that are not paid for, still.
        next_due: when the next step may be examined; moved by who stops the clock.
        updates: of the last examined step; None where they are not wanted.
    """

    def __init__(
        self,
        model: nn.Module,
        vitals: Vitals,
        record_seconds: float,
        clock: Callable[[], float],
        *,
        inside: bool,
    ) -> None:
        self.clock, self.vitals = clock, vitals
        self.updates = UpdateWatch(model) if inside else None
        self.next_due = 0.0
        self.free = FREE
        self._limited = record_seconds >= SECONDS
        self._cost = self._last_cost = 0.0

    def affordable(self) -> bool:
        """Whether the coming step may be examined."""
        return not self._limited or self.free > 0 or self.clock() >= self.next_due

    def before_step(self) -> None:
        """Before the step to examine."""
        start = self.clock()
        if self.updates is not None:
            self.updates.before()
        self._cost = self.clock() - start

    def after_step(self) -> None:
        """After it, before anything waits for the device."""
        start = self.clock()
        if self.updates is not None:
            self.updates.after()
        self._cost += self.clock() - start

    def points(self, stepper: Stepper) -> dict[str, float]:
        """Of the examined step, by curve; to be called when the device has done it."""
        start = self.clock()
        points: dict[str, float] = {}
        if stepper.observed is not None:
            kept, stepper.observed = stepper.observed, None
            points |= figures_of(stepper.task, *kept)
        if self.updates is not None:
            self.updates.read()
            points |= self.vitals.read()
            if (typical := self.updates.typical) is not None:
                points["train/update_ratio"] = typical
        self._pay(self._cost + self.clock() - start)
        return points

    def _pay(self, cost: float) -> None:
        """The lesser one of two in a row counts: a first call, or a core that was busy, says little of the next."""
        self.free -= 1
        self.next_due = self.clock() + min(cost, self._last_cost or cost) / SHARE
        self._last_cost = cost
