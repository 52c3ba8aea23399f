"""From device scalars to the run directory, off the hot path.

The loop hands over losses as tensors on the device and never waits for them. At the record interval, by
time and not by step, they are fetched in one copy and appended to the series. Detail may be dropped,
training is never blocked: a series that cannot be written is reported once and given up.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlcore.events import EventWriter
from dlcore.run_dir import RunDir
from dlcore.series import SeriesWriter

STATE_SECONDS = 1.0
"""Listings are at most this old."""

FEW = 16
"""Up to so many points are packed faster one by one than as an array."""

FLUSH_SECONDS = 0.05
"""An evaluation is in its file so long after it was made, at most."""


class Recorder:
    """Writer of one run's series, events and state.

    Args:
        run: where to.
        state: the first state; later calls of `state` change it.
        seconds: the record interval.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        run: RunDir,
        events: EventWriter,
        *,
        seconds: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.run, self.events, self.clock = run, events, clock
        self.seconds = seconds
        self.summary: dict[str, Any] = {}
        self._series = SeriesWriter(run.path / "metrics")
        self._losses: dict[str, list[Tensor] | array[float]] = {}  # on a device, or numbers
        self._last_time = time.time()
        self._state_written = -STATE_SECONDS
        self._flushed = -FLUSH_SECONDS
        self._broken = False
        self.next_due = clock() + seconds

    def add(self, name: str, value: Tensor) -> None:
        """Keep a step's scalar, (), for the next record. About 0.2 microseconds.

        On the CPU its number is there to take; elsewhere reading it would wait for the device.
        """
        kept: Any = value.item() if value.is_cpu else value
        try:
            self._losses[name].append(kept)
        except KeyError:
            self._losses[name] = array("d", [kept]) if value.is_cpu else [kept]

    def add_many(self, name: str, values: Tensor) -> None:
        """Keep the scalars of many steps, (steps,)."""
        kept = self._losses.setdefault(name, array("d") if values.is_cpu else [])
        if isinstance(kept, array):
            kept.extend(values.tolist())
        else:
            kept.append(values)

    def fetch(self, step: int) -> dict[str, np.ndarray]:
        """Bring the kept scalars to the host and append them, as the steps that end with ``step``.

        The one synchronisation of the record interval.

        Returns:
            Name to the (steps,) values fetched, in step order.
        """
        now = time.time()
        fetched: dict[str, np.ndarray] = {}
        for name, values in self._losses.items():
            if values:
                fetched[name] = numbers = self._numbers(values)
                del values[:]
                self._append(name, step - len(numbers), now, numbers)
        self._last_time = now
        return fetched

    def _append(self, name: str, before: int, now: float, numbers: np.ndarray) -> None:
        """Numbers, (steps,), of the steps after ``before``, their times spread over the time since the last."""
        count, since = len(numbers), self._last_time
        each = (now - since) / count
        if count <= FEW:  # an epoch of five steps: 15 microseconds instead of 45
            for turn, number in enumerate(numbers.tolist(), start=1):
                self.series(name, before + turn, since + each * turn, number)
        else:
            turns = np.arange(1, count + 1)
            self.series(name, before + turns, since + each * turns, numbers)

    def _numbers(self, values: list[Tensor] | array[float]) -> np.ndarray:
        return _on_host(values)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Append one point to each named series."""
        now = time.time()
        for name, value in values.items():
            self.series(name, step, now, value)

    def series(self, name: str, steps: Any, times: Any, values: Any) -> None:
        """Append points; a full disk costs the curve, not the training."""
        try:
            self._series.append(name, steps, times, values)
        except OSError as error:
            self._give_up(error)

    def event(self, event: str, **fields: Any) -> None:
        """Write one event."""
        try:
            self.events.write(event, **fields)
        except OSError as error:
            self._give_up(error)

    def state(self, *, force: bool = False, **changes: Any) -> None:
        """Change the summary for listings; written at most once a second unless forced."""
        self.summary.update(changes)
        if force or self.clock() - self._state_written >= STATE_SECONDS:
            self._state_written = self.clock()
            try:
                self.run.write_state({**self.summary, "updated": time.time()})
            except OSError as error:
                self._give_up(error)

    def rest(self) -> None:
        """The next record is one interval from now."""
        self.next_due = self.clock() + self.seconds

    def flush(self) -> None:
        """Series out to their files."""
        self._flushed = self.clock()
        try:
            self._series.flush()
        except OSError as error:
            self._give_up(error)

    def flush_sometimes(self) -> None:
        """As `flush`, but not for each of many short epochs: 25 microseconds count there."""
        if self.clock() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def sync(self) -> None:
        """Everything recorded so far onto the disk."""
        self.flush()
        try:
            self.events.sync()
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Flush and let go of the files."""
        self.flush()
        try:
            self._series.close()
            self.events.close()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if not self._broken:
            self._broken = True
            print(
                f"warning: the run directory cannot be written ({error}); training goes on, curves may have gaps.",
                flush=True,
            )


def _on_host(values: list[Tensor] | array[float]) -> np.ndarray:
    """Kept scalars as float64 (steps,): tensors are joined on their device and come over in one copy."""
    if isinstance(values, array):
        return np.array(values)
    joined = torch.cat([value.reshape(-1) for value in values])
    numbers: np.ndarray = joined.double().cpu().numpy()
    return numbers
