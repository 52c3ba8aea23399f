"""Learning-rate schedules: pure functions of the step.

``factor(step, steps)`` multiplies every group's learning rate before optimizer step ``step`` (0-based) of
``steps``. Nothing but reduce-on-plateau keeps state, so resuming and raising ``epochs`` need no care.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Annotated, Any

from pydantic import Field

from dlcore.fields import Count, CountOrZero, Fraction, NonNegative
from dlcore.registry import SCHEDULERS

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Schedule(ABC):
    """A learning-rate factor over the course of a training."""

    @abstractmethod
    def factor(self, step: int, steps: int, steps_per_epoch: int) -> float:
        """Multiplier of the learning rate.

        Args:
            step: optimizer steps taken so far.
            steps: optimizer steps of the whole training.
            steps_per_epoch: optimizer steps of one epoch.
        """

    def observe(self, value: float, better_is_less: bool) -> None:  # noqa: B027 - most schedules ignore results
        """Told the monitored value after each evaluation."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know; empty for pure schedules."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Inverse of `state_dict`."""


def _cosine(progress: float, start: float, end: float) -> float:
    """Half a cosine from start to end as progress goes from 0 to 1."""
    return end + (start - end) * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0))) / 2


@SCHEDULERS.register("constant")
class Constant(Schedule):
    """The learning rate stays as it is.

    Args:
        warmup_steps: steps over which it first rises from near 0.
    """

    def __init__(self, *, warmup_steps: CountOrZero = 0) -> None:
        self.warmup_steps = warmup_steps

    def factor(self, step: int, steps: int, steps_per_epoch: int) -> float:
        """1 after the warm-up."""
        return min(1.0, (step + 1) / (self.warmup_steps + 1))


@SCHEDULERS.register("step")
class Step(Schedule):
    """Multiplied by gamma every so many epochs.

    Args:
        every: epochs between two drops.
        gamma: what each drop multiplies by.
    """

    def __init__(self, *, every: Count = 10, gamma: Share = 0.1) -> None:
        self.every, self.gamma = every, gamma

    def factor(self, step: int, steps: int, steps_per_epoch: int) -> float:
        """gamma ** (drops so far)."""
        return float(self.gamma ** (step // (self.every * steps_per_epoch)))


@SCHEDULERS.register("multistep")
class MultiStep(Schedule):
    """Multiplied by gamma at given epochs.

    Args:
        milestones: epochs at which it drops.
        gamma: what each drop multiplies by.
    """

    def __init__(self, *, milestones: tuple[Count, ...] = (30, 60, 90), gamma: Share = 0.1) -> None:
        self.milestones, self.gamma = milestones, gamma

    def factor(self, step: int, steps: int, steps_per_epoch: int) -> float:
        """gamma ** (milestones passed)."""
        passed = sum(step >= milestone * steps_per_epoch for milestone in self.milestones)
        return float(self.gamma**passed)


@SCHEDULERS.register("linear")
class Linear(Schedule):
    """Straight down to a last factor, after a warm-up.

    Args:
        warmup_steps: steps over which it first rises from near 0.
        final: factor at the end.
    """

    def __init__(self, *, warmup_steps: CountOrZero = 0, final: Share = 0.0) -> None:
        self.warmup_steps, self.final = warmup_steps, final

    def factor(self, step: int, steps: int, steps_per_epoch: int) -> float:
        """Rises over the warm-up, then falls linearly."""
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        progress = (step - self.warmup_steps) / max(1, steps - self.warmup_steps)
        return 1 + (self.final - 1) * min(progress, 1.0)


@SCHEDULERS.register("cosine")
class Cosine(Schedule):
    """Half a cosine down to a last factor (Loshchilov and Hutter 2017), after a warm-up.

    Args:
        warmup_steps: steps over which it first rises from near 0.
        final: factor at the end.
    """

    def __init__(self, *, warmup_steps: CountOrZero = 0, final: Share = 0.0) -> None:
        self.warmup_steps, self.final = warmup_steps, final

    def factor(self, step: int, steps: int, steps_per_epoch: int) -> float:
        """Rises over the warm-up, then falls along the cosine."""
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        return _cosine((step - self.warmup_steps) / max(1, steps - self.warmup_steps), 1.0, self.final)


@SCHEDULERS.register("onecycle")
class OneCycle(Schedule):
    """Up to the learning rate and far below it again, in one cycle over the whole training (Smith 2018).

    Args:
        rise: share of the steps spent rising.
        initial: factor at the start.
        final: factor at the end.
    """

    def __init__(self, *, rise: Fraction = 0.3, initial: Share = 0.04, final: Share = 4e-6) -> None:
        self.rise, self.initial, self.final = rise, initial, final

    def factor(self, step: int, steps: int, steps_per_epoch: int) -> float:
        """Cosine from initial to 1, then cosine from 1 to final."""
        peak = self.rise * max(1, steps - 1)
        if step < peak:
            return _cosine(step / peak, self.initial, 1.0)
        return _cosine((step - peak) / max(1.0, steps - 1 - peak), 1.0, self.final)


@SCHEDULERS.register("plateau")
class Plateau(Schedule):
    """Multiplied by gamma when the monitored metric stops getting better.

    Args:
        patience: evaluations without a better value before a drop.
        gamma: what each drop multiplies by.
        min_delta: how much better counts as better.
        min_factor: the factor never falls below this.
    """

    def __init__(
        self,
        *,
        patience: CountOrZero = 3,
        gamma: Share = 0.1,
        min_delta: NonNegative = 0.0,
        min_factor: Share = 1e-4,
    ) -> None:
        self.patience, self.gamma, self.min_delta, self.min_factor = patience, gamma, min_delta, min_factor
        self.current, self.best, self.waited = 1.0, math.inf, 0

    def factor(self, step: int, steps: int, steps_per_epoch: int) -> float:
        """The product of the drops so far."""
        return self.current

    def observe(self, value: float, better_is_less: bool) -> None:
        """Counts evaluations without progress; a non-finite value is none."""
        score = value if better_is_less else -value
        if score < self.best - self.min_delta:
            self.best, self.waited = score, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.current, self.waited = max(self.current * self.gamma, self.min_factor), 0

    def state_dict(self) -> dict[str, Any]:
        """Current factor, best score and evaluations waited."""
        return {"current": self.current, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.current, self.best, self.waited = state["current"], state["best"], state["waited"]
