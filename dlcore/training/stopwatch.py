"""How a step's time splits into data, forward, backward and optimizer.

Measured on one step a record interval: on a GPU every reading waits for the device, which would otherwise
be a synchronisation a step.
"""

from __future__ import annotations

from collections.abc import Callable

import torch


class Stopwatch:
    """Seconds since the last reading, added to the named part."""

    def __init__(self, device: torch.device, clock: Callable[[], float]) -> None:
        self._on_cuda, self._clock = device.type == "cuda", clock
        self.running = False
        self._parts: dict[str, float] = {}
        self._last = 0.0

    def start(self) -> None:
        """Begin timing the next step."""
        self.running, self._parts, self._last = True, {}, self._now()

    def mark(self, part: str) -> None:
        """The time since the last reading went into ``part``."""
        now = self._now()
        self._parts[part] = self._parts.get(part, 0.0) + now - self._last
        self._last = now

    def stop(self) -> dict[str, float]:
        """Seconds of each part, by the name of its curve."""
        self.running = False
        return {f"time/{part}": seconds for part, seconds in self._parts.items()}

    def _now(self) -> float:
        if self._on_cuda:
            torch.cuda.synchronize()
        return self._clock()
