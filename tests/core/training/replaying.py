"""What stands in for CUDA graphs on the CPU: it keeps the recorded step and makes it again at each replay.

As with a graph, recording makes no step, inputs are read from the places that the step was recorded with, and results
arrive in the very tensors that the first replay made.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from dlcore.training.capture.stepper import CapturedStepper, Outputs


class Replayed:
    """A step that is made again."""

    def __init__(self, step: Callable[[], Any]) -> None:
        self._step = step
        self._leaves: list[Any] = []
        self.outputs: Any = Outputs(torch.zeros(()), None, None, [])
        self.count = 0

    def replay(self) -> None:
        leaves, shape = tree_flatten(self._step())
        if not self.count:
            self._leaves = leaves
        for place, value in zip(self._leaves, leaves, strict=True):
            if isinstance(place, torch.Tensor):
                place.copy_(value)
        self.outputs = tree_unflatten(self._leaves, shape)
        self.count += 1


class Moment:
    """When it was last made."""

    at = 0.0

    def record(self) -> None:
        self.at = time.perf_counter()

    def elapsed_time(self, later: Moment) -> float:
        return (later.at - self.at) * 1e3


class Replaying:
    """Records steps of the CPU.

    Attributes:
        recorded: the steps recorded so far.
        aside_count: steps made aside.
    """

    def __init__(self, fails: Exception | None = None) -> None:
        self._fails = fails
        self.recorded: list[Replayed] = []
        self.aside_count = 0

    def aside(self, step: Callable[[], None]) -> None:
        self.aside_count += 1
        step()

    def record(self, step: Callable[[], Any]) -> Replayed:
        if self._fails is not None:
            raise self._fails
        self.recorded.append(Replayed(step))
        return self.recorded[-1]

    def moment(self) -> Moment:
        return Moment()


def replaying(backend: Replaying | None = None, **options: Any) -> Callable[..., CapturedStepper]:
    """Makes steppers that replay."""
    return partial(CapturedStepper, backend=backend or Replaying(), **options)
