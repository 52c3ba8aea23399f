"""When a chart may draw again: never more often than four times a second, and less often when it is costly.

Turns lie on a grid that all charts share, so that those on one screen are sent in one update.
"""

from __future__ import annotations

import math

LEAST = 0.25  # seconds
MOST = 8.0
BUDGET = 0.005  # share of a core that one chart may take
_MEMORY = 0.7  # of the old cost in the running mean


class Pacing:
    """Remembers what drawing costs and when it was done last. All times are monotonic seconds."""

    def __init__(self) -> None:
        self.last = -math.inf
        self.cost = 0.0

    @property
    def interval(self) -> float:
        """Seconds between drawings: a power of two times `LEAST`."""
        interval = LEAST
        while interval < MOST and interval * BUDGET < self.cost:
            interval *= 2
        return interval

    def wait(self, now: float) -> float:
        """Seconds until the next drawing, 0 for at once: at most one in each interval of the grid."""
        if self.last == -math.inf:
            return 0.0
        interval = self.interval
        return max(0.0, (math.floor(self.last / interval) + 1) * interval - now)

    def drawn(self, now: float, seconds: float) -> None:
        """Takes note of a drawing that took ``seconds`` of the processor."""
        self.last = now
        self.cost = seconds if not self.cost else _MEMORY * self.cost + (1 - _MEMORY) * seconds
