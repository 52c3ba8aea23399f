"""Memory and load at a record: what tells a leak, and a GPU that waits."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import psutil
import torch

from dlcore.data.memory import free_memory

SECONDS = 0.25
"""Between two readings, unless records are asked for more often: an epoch may be shorter."""


class Vitals:
    """Readings of one device; what cannot be read is left out from then on. About 0.2 milliseconds on the CPU.

    Args:
        device: that trains.
        record_seconds: of the preset.
        clock: in seconds.
    """

    def __init__(
        self, device: torch.device, record_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.device, self.clock = device, clock
        self._every = min(SECONDS, record_seconds)
        self._next = 0.0
        self._process = psutil.Process()
        self._load = device.type == "cuda"

    def read(self) -> dict[str, float]:
        """Points by curve: bytes in use and left to take, and how busy a GPU is.

        Returns:
            ``system/memory`` (allocated on a GPU, else resident), ``system/memory_left``, ``system/gpu`` from 0 to 1;
            nothing where the last reading is too young.
        """
        if self.clock() < self._next:
            return {}
        self._next = self.clock() + self._every
        if self.device.type != "cuda":
            with contextlib.suppress(psutil.Error):
                left = float(free_memory())
                return {"system/memory": float(self._process.memory_info().rss), "system/memory_left": left}
            return {}
        allocated = torch.cuda.memory_allocated(self.device)
        kept = torch.cuda.memory_reserved(self.device) - allocated  # by torch, for the next tensors
        found = {
            "system/memory": float(allocated),
            "system/memory_left": float(free_memory(self.device) + kept),
        }
        if self._load:
            try:
                found["system/gpu"] = torch.cuda.utilization(self.device) / 100
            except (
                Exception
            ):  # no NVML here, no right to ask it, or a slice of a GPU, of which it does not tell
                self._load = False
        return found
