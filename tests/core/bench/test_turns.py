"""Contenders take turns: what is compared was measured in the same round, and the time given is kept."""

from __future__ import annotations

import pytest

from dlcore.bench.turns import Spread, take_turns


class Clock:
    """Stands still but for the work that is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_ratios_are_of_the_same_round() -> None:
    """A neighbour that halves the speed of whole rounds changes no ratio."""
    clock, turn = Clock(), iter(range(100))

    def fast() -> float:
        clock.now += 1
        return 200.0 / (1 + next(turn) // 2 % 2)

    def slow() -> float:
        return fast() / 2

    ratio = take_turns({"fast": fast, "slow": slow}, 20, clock=clock).ratio("fast", to="slow")

    assert (ratio.low, ratio.median, ratio.high) == (2.0, 2.0, 2.0)


def test_no_round_begins_that_would_end_too_late() -> None:
    clock = Clock()

    def work() -> float:
        clock.now += 2
        return 1.0

    assert len(take_turns({"a": work, "b": work}, 15, clock=clock)) == 3
    assert clock.now == 12


def test_a_ratio_has_at_least_its_rounds() -> None:
    clock = Clock()

    def work() -> float:
        clock.now += 100
        return 1.0

    assert len(take_turns({"a": work}, 1, least=2, clock=clock)) == 2


def test_the_order_within_a_round_changes() -> None:
    seen: list[str] = []
    take_turns({name: lambda name=name: float(bool(seen.append(name))) for name in "ab"}, 1e9, most=20)

    starts = seen[::2]
    assert {"a", "b"} == set(starts)


@pytest.mark.parametrize(("values", "expected"), [([3.0], (3, 3, 3)), ([1.0, 2.0, 3.0], (1.5, 2, 2.5))])
def test_spread(values: list[float], expected: tuple[float, float, float]) -> None:
    spread = Spread.of(values)
    assert (spread.low, spread.median, spread.high) == expected
