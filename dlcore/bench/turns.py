"""Contenders on a shared machine take turns, and only what happened in the same round is compared.

A neighbour's load falls on all of them, so ratios hold where seconds do not.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Turn = Callable[[], float]
"""Does the work once and returns samples a second."""


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of what was measured."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(middle, low, high)


@dataclass(frozen=True)
class Rounds:
    """Figures of every contender, one a round.

    Attributes:
        figures: samples a second, by contender.
    """

    figures: Mapping[str, Sequence[float]]

    def __len__(self) -> int:
        return min(len(values) for values in self.figures.values())

    def spread(self, name: str) -> Spread:
        """Of one contender."""
        return Spread.of(self.figures[name])

    def ratio(self, name: str, to: str) -> Spread:
        """Of two contenders, round by round."""
        return Spread.of([a / b for a, b in zip(self.figures[name], self.figures[to], strict=True)])


def take_turns(
    contenders: Mapping[str, Turn],
    seconds: float,
    *,
    least: int = 3,
    most: int = 25,
    clock: Callable[[], float] = time.perf_counter,
    seed: int = 0,
) -> Rounds:
    """Rounds in which every contender works once, in an order drawn anew.

    Args:
        seconds: after which no further round begins.
        least: rounds that are made however long they take.
        most: rounds that are enough.
    """
    order, names = random.Random(seed), list(contenders)
    figures: dict[str, list[float]] = {name: [] for name in names}
    end = clock() + seconds
    done, longest = 0, 0.0
    while done < least or (done < most and clock() + longest <= end):
        began = clock()
        order.shuffle(names)
        for name in names:
            figures[name].append(contenders[name]())
        done, longest = done + 1, max(longest, clock() - began)
    return Rounds(figures)
