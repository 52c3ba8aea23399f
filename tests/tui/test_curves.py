"""Charts as text: their size, what they leave out, and that no series can break them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tui.curves import Curve, chart, thin

ANY = st.integers(0, 50).flatmap(lambda length: arrays(np.float64, length))


def curve(values: np.ndarray, name: str = "train/loss") -> Curve:
    return Curve(name, np.arange(1.0, len(values) + 1), values)


@settings(deadline=None, max_examples=60)
@given(ANY, ANY)
@example(np.array([]), np.array([1.11253693e-308]))
@example(np.array([]), np.array([1e300]))
@example(np.array([-1.7e308, 1.7e308]), np.array([1e-290, 2e-290]))
def test_any_series_gives_a_chart_of_the_size_asked_for_or_none(
    first: np.ndarray, second: np.ndarray
) -> None:
    lines = chart([curve(first), curve(second, "val/loss")], 60, 10, colour=False)
    assert len(lines) in (0, 10)
    assert all(len(line) <= 60 for line in lines)
    assert bool(lines) == bool(np.isfinite([*first, *second]).any())


def test_the_legend_names_the_curves_that_are_drawn() -> None:
    legend = chart([curve(np.full(3, np.nan)), curve(np.ones(3), "val/loss")], 60, 10, colour=False)[0]
    assert "val/loss" in legend
    assert "train/loss" not in legend


def test_colour_is_in_the_chart_only_when_asked_for() -> None:
    curves = [curve(np.arange(9.0))]
    assert "\x1b[" in "".join(chart(curves, 60, 10, colour=True))
    assert "\x1b" not in "".join(chart(curves, 60, 10, colour=False))


def test_the_axis_has_round_numbers() -> None:
    axis = chart([curve(np.arange(20.0))], 60, 10, colour=False)[-1]
    assert [int(tick) for tick in axis.split()] in ([5, 10, 15, 20], list(range(2, 21, 2)))


def test_thinning_keeps_the_mean_and_the_order() -> None:
    values = np.sin(np.arange(10_000) / 500.0) + 2
    thinned = thin(curve(values), 100)
    assert len(thinned.x) == 100
    assert np.all(np.diff(thinned.x) > 0)
    assert thinned.y.mean() == pytest.approx(values.mean(), rel=1e-6)
