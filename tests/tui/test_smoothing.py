"""The moving average, against its plain definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.widgets import smoothing


def by_definition(values: np.ndarray, weight: float) -> list[float]:
    """TensorBoard's: a running average from 0, divided by the weights it has seen."""
    last, found = 0.0, []
    for number, value in enumerate(values.tolist(), 1):
        last = weight * last + (1 - weight) * value
        found.append(last / (1 - weight**number))
    return found


@pytest.mark.parametrize("weight", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 200, 2048, 2049])
def test_it_is_the_debiased_average(count: int, weight: float) -> None:
    values = np.random.default_rng(count).normal(3, 1, count)
    assert np.allclose(smoothing.smooth(values, weight), by_definition(values, weight), rtol=1e-9)


def test_the_first_value_is_itself() -> None:
    assert smoothing.smooth(np.array([7.0, 1.0]), 0.99)[0] == pytest.approx(7.0)


def test_no_weight_changes_nothing() -> None:
    values = np.arange(5.0)
    assert smoothing.smooth(values, 0.0) is values


@given(st.integers(1, 5_000_000))
def test_groups_are_powers_of_two_and_few(points: int) -> None:
    size = smoothing.group(points)
    assert size & (size - 1) == 0
    assert points / size <= smoothing.MOST_GROUPS
    assert size == 1 or points / (size // 2) > smoothing.MOST_GROUPS


def test_groups_are_means_with_their_last_x() -> None:
    x, y = smoothing.averaged(np.arange(5), np.array([1.0, 3.0, 5.0, 7.0, 9.0]), 2)
    assert x.tolist() == [1, 3, 4]
    assert y.tolist() == [2.0, 6.0, 9.0]


def test_groups_before_the_last_do_not_change_as_a_curve_grows() -> None:
    values = np.random.default_rng(0).random(10_000)
    _, shorter = smoothing.averaged(np.arange(9_000), values[:9_000], 8)
    _, longer = smoothing.averaged(np.arange(10_000), values, 8)
    assert (shorter == longer[: len(shorter)]).all()


def test_curves_of_few_points_are_smoothed_less() -> None:
    assert smoothing.faded(0.9, 10) < smoothing.faded(0.9, 50) < smoothing.faded(0.9, 100) == 0.9
