"""How long a run still takes, told from how it went lately."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tui.run_state import RunState

WINDOW = 60.0  # seconds of history behind the time left


class Pace:
    """How fast steps go by, from the last `WINDOW` seconds, evaluation and checkpoints included."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, state: RunState) -> None:
        """Notes where a run is now; a pause or a step back begins anew."""
        now = self._clock()
        if state.status == "paused" or (self._seen and state.step < self._seen[-1][1]):
            self._seen.clear()
        self._seen.append((now, state.step))
        while now - self._seen[0][0] > WINDOW and len(self._seen) > 2:
            self._seen.popleft()

    def left(self, total: int | None) -> float | None:
        """Seconds until step ``total``, or None while nobody can tell."""
        if total is None or len(self._seen) < 2:
            return None
        (began, first_step), (now, step) = self._seen[0], self._seen[-1]
        if step <= first_step or now - began < 1.0:
            return None
        return max(0, total - step) * (now - began) / (step - first_step)
