"""The parts of a recorded step, timed by the device itself: the host sees one launch, and nothing of what is in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Moment(Protocol):
    """A point of a recorded step; each replay notes the time there anew."""

    def record(self) -> None:
        """Make it a point of what the device is given to do now."""

    def elapsed_time(self, later: Any) -> float:
        """Milliseconds from here to a later one, in the last replay, which is over."""


class Marks:
    """Stands in for a stopwatch while a step is recorded.

    Args:
        moment: makes one.
    """

    running = True

    def __init__(self, moment: Callable[[], Moment]) -> None:
        self._make = moment
        self._moments: list[tuple[str, Moment]] = []
        self._at = 0

    def begin(self) -> None:
        """The step begins here."""
        self._at = 0
        self.mark("")

    def mark(self, part: str) -> None:
        """What came since the last mark was ``part``."""
        if self._at == len(self._moments):
            self._moments.append((part, self._make()))
        self._moments[self._at][1].record()
        self._at += 1

    def seconds(self) -> dict[str, float]:
        """Of each part in the last replay, which the device must have ended."""
        found: dict[str, float] = {}
        for (_, before), (part, moment) in zip(self._moments, self._moments[1:], strict=False):
            found[part] = found.get(part, 0.0) + before.elapsed_time(moment) / 1e3
        return found
