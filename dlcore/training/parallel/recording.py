"""What is recorded of a training in several processes: means over all of them, written by process 0 alone."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlcore.control import Command, ControlReader
from dlcore.run_dir import RunDir
from dlcore.training.checkpoints import Checkpoint, CheckpointFolder, CheckpointWriter, Snapshot
from dlcore.training.parallel.group import Group
from dlcore.training.recorder import Recorder


class SharedRecorder(Recorder):
    """Losses are means over processes; all of them must `fetch` at the same step."""

    group: Group

    def _numbers(self, values: list[Tensor] | array[float]) -> np.ndarray:
        numbers = torch.from_numpy(super()._numbers(values))
        mean: np.ndarray = self.group.mean(numbers).numpy()
        return mean


class SilentRecorder(SharedRecorder):
    """Takes part in what is asked of all, and writes nothing."""

    def __init__(
        self, group: Group, run: RunDir, seconds: float, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.group, self.run, self.seconds, self.clock = group, run, seconds, clock
        self.summary: dict[str, Any] = {}
        self._losses = {}
        self._last_time = 0.0
        self.next_due = clock() + seconds

    def series(self, name: str, steps: Any, times: Any, values: Any) -> None:
        """Process 0 does."""

    def event(self, event: str, **fields: Any) -> None:
        """Process 0 does."""

    def state(self, *, force: bool = False, **changes: Any) -> None:
        """Process 0 does."""
        self.summary.update(changes)

    def flush(self) -> None:
        """Process 0 does."""

    def flush_sometimes(self) -> None:
        """Process 0 does."""

    def sync(self) -> None:
        """Process 0 does."""

    def close(self) -> None:
        """There is nothing to close."""


class SharedControl(ControlReader):
    """Commands reach all processes in the same look, through process 0."""

    def __init__(self, inner: ControlReader, group: Group) -> None:
        self._inner, self._group = inner, group

    def poll(self) -> list[Command]:
        """New commands; all processes must ask."""
        return self._group.told(self._inner.poll() if self._group.first else [])


class SilentWriter(CheckpointWriter):
    """Process 0 writes checkpoints; the others go on."""

    def __init__(self, folder: CheckpointFolder) -> None:
        super().__init__(folder, lambda _: None)

    def submit(self, snapshot: Snapshot, done: Callable[[Checkpoint | None, float], None]) -> None:
        """Nothing is written."""
