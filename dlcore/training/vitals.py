"""Memory and load at a record: what tells a leak, and a GPU that waits."""

from __future__ import annotations

import contextlib

import psutil
import torch


class Vitals:
    """Readings of one device; what cannot be read is left out from then on. About 20 microseconds on the CPU.

    Args:
        device: that trains.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._process = psutil.Process()
        self._load = device.type == "cuda"

    def read(self) -> dict[str, float]:
        """``system/memory`` in bytes (allocated on a GPU, else resident), ``system/gpu`` from 0 to 1; by curve."""
        if self.device.type != "cuda":
            with contextlib.suppress(psutil.Error):
                return {"system/memory": float(self._process.memory_info().rss)}
            return {}
        found = {"system/memory": float(torch.cuda.memory_allocated(self.device))}
        if self._load:
            try:
                found["system/gpu"] = torch.cuda.utilization(self.device) / 100
            except (RuntimeError, ModuleNotFoundError, AttributeError):  # no NVML here, or no right to ask it
                self._load = False
        return found
