"""When a chart may draw again: never more often than four times a second, and less often when it is costly.

Turns lie on a grid that all charts share, so that those on one screen are sent in one update.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import median

LEAST = 0.25  # seconds
MOST = 8.0
BUDGET = 0.005  # share of a core that one chart may take
_KEPT = 5  # costs of which the median counts: new axes now and then are no reason to slow down


class Pacing:
    """Remembers what drawing costs and when it was done last. All times are monotonic seconds."""

    def __init__(self) -> None:
        self.last = -math.inf
        self._costs: deque[float] = deque(maxlen=_KEPT)

    @property
    def interval(self) -> float:
        """Seconds between drawings: a power of two times `LEAST`."""
        cost = median(self._costs) if self._costs else 0.0
        interval = LEAST
        while interval < MOST and interval * BUDGET < cost:
            interval *= 2
        return interval

    def wait(self, now: float) -> float:
        """Seconds until the next drawing, 0 for at once: at most one in each interval of the grid."""
        if self.last == -math.inf:
            return 0.0
        interval = self.interval
        return max(0.0, (math.floor(self.last / interval) + 1) * interval - now)

    def drawn(self, now: float, seconds: float) -> None:
        """Takes note of a drawing that took ``seconds`` of the processor; the first one loads libraries."""
        if self.last != -math.inf:
            self._costs.append(seconds)
        self.last = now
