"""Curves as cells: what a polyline covers, for any number of points."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.widgets import raster


def columns_of(x: np.ndarray, y: np.ndarray, columns: int, **how: object) -> raster.Extents:
    edges = np.linspace(float(x[0]), float(x[-1]), columns + 1)
    return raster.extents(x, y, edges, how.pop("breaks", None), log=bool(how.pop("log", False)))


def lit(found: raster.Extents, bottom: float, top: float, rows: int) -> np.ndarray:
    """(rows, columns) dots, the top row first."""
    first, last = raster.dots(found, bottom, top, rows)
    row = np.arange(rows - 1, -1, -1)[:, None]
    return (row >= first) & (row <= last)


def test_a_spike_of_one_point_among_a_million_is_the_top_of_its_column() -> None:
    y = np.zeros(1_000_000)
    y[654_321] = 5.0
    found = columns_of(np.arange(1_000_000), y, 100)
    assert found.high[65] == 5.0
    assert np.flatnonzero(found.high > 0).tolist() == [65]
    assert lit(found, 0, 5, 40)[0].tolist() == [column == 65 for column in range(100)]


@given(
    st.lists(st.floats(-100, 100), min_size=2, max_size=60),
    st.integers(1, 30),
)
def test_columns_hold_every_point_and_nothing_beyond_the_curve(values: list[float], columns: int) -> None:
    x, y = np.arange(len(values)), np.array(values)
    found = columns_of(x, y, columns)
    edges = np.linspace(0, len(values) - 1, columns + 1)
    fine = np.linspace(0, len(values) - 1, 4001)
    curve = np.interp(fine, x, y)
    place = np.clip(np.searchsorted(edges, fine, side="right") - 1, 0, columns - 1)
    assert (curve >= found.low[place] - 1e-9).all()
    assert (curve <= found.high[place] + 1e-9).all()
    assert found.low.min() == pytest.approx(y.min(), abs=1e-9)
    assert found.high.max() == pytest.approx(y.max(), abs=1e-9)


@given(st.lists(st.floats(0.01, 3), min_size=2, max_size=50), st.integers(2, 40), st.integers(2, 40))
def test_a_rising_curve_never_steps_down(steps: list[float], columns: int, rows: int) -> None:
    y = np.cumsum(steps)
    found = columns_of(np.arange(len(y)), y, columns)
    first, last = raster.dots(found, float(y[0]), float(y[-1]), rows)
    assert (np.diff(first) >= 0).all()
    assert (np.diff(last) >= 0).all()
    assert (first <= last).all()
    assert last[-1] == rows - 1


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=50), st.integers(2, 40), st.integers(2, 40))
def test_a_curve_has_no_holes(values: list[float], columns: int, rows: int) -> None:
    y = np.array(values)
    first, last = raster.dots(columns_of(np.arange(len(y)), y, columns), -5, 5, rows)
    assert (first <= last).all()
    assert (first[1:] <= last[:-1] + 1).all()  # each column touches the next, if only by a corner
    assert (first[:-1] <= last[1:] + 1).all()


def test_a_slope_is_one_dot_wide() -> None:
    x = np.arange(41)
    first, last = raster.dots(columns_of(x, x.astype(float), 40), 0, 40, 40)
    assert (last - first)[1:].max() == 0


def test_a_line_goes_on_between_points_far_apart() -> None:
    found = columns_of(np.array([0, 1000]), np.array([0.0, 10.0]), 50)
    assert not np.isnan(found.low).any()
    assert np.allclose(found.edge[1:-1], np.linspace(0, 10, 51)[1:-1])


def test_what_comes_in_between_two_points_in_sight_is_drawn_through() -> None:
    x, y = np.array([0, 100]), np.array([0.0, 1.0])
    found = raster.extents(x, y, np.linspace(40, 60, 11), None, log=False)
    assert np.allclose(found.low, 0.4 + 0.02 * np.arange(10))


def test_a_break_leaves_columns_empty() -> None:
    breaks = np.array([False, False, True, False])
    found = columns_of(np.array([0, 10, 90, 100]), np.ones(4), 10, breaks=breaks)
    assert np.isnan(found.low).tolist() == [False, False, *[True] * 7, False]


def test_lines_are_straight_in_logarithms() -> None:
    found = columns_of(np.array([0, 100]), np.array([1.0, 100.0]), 10, log=True)
    assert np.allclose(found.edge[1:10], np.linspace(0, 2, 11)[1:10])


def test_nothing_is_drawn_above_or_below_the_canvas() -> None:
    found = columns_of(np.arange(5), np.array([0.0, 1.0, 2.0, 3.0, 4.0]), 4)
    drawn = lit(found, 1, 2, 8)
    assert drawn[:, 1].any()
    assert not drawn[:, 3].any()


def test_the_limits_themselves_are_on_the_canvas() -> None:
    found = columns_of(np.arange(3), np.array([0.0, 1.0, 0.0]), 2)
    first, last = raster.dots(found, 0, 1, 10)
    assert first.min() == 0
    assert last.max() == 9


@pytest.mark.parametrize("sign", ["", "*"])
@given(seed=st.integers(0, 10_000))
def test_glyphs_have_the_dots_they_should(sign: str, seed: int) -> None:
    wide, tall = raster.dots_of(sign)
    rows, columns = 3, 5
    random = np.random.default_rng(seed)
    first = random.integers(0, rows * tall, columns * wide)
    last = np.minimum(first + random.integers(-1, 4, columns * wide), rows * tall - 1)
    row = np.arange(rows * tall - 1, -1, -1)[:, None]
    wanted = (row >= first) & (row <= last)
    assert (dots_in(raster.glyphs(first, last, rows, sign), sign) == wanted).all()


def dots_in(codes: np.ndarray, sign: str) -> np.ndarray:
    """The dots of glyphs, read from what Unicode says of them."""
    if sign:
        return codes == ord(sign)
    bits = {(0, 0): 1, (1, 0): 2, (2, 0): 4, (3, 0): 64, (0, 1): 8, (1, 1): 16, (2, 1): 32, (3, 1): 128}
    found = np.zeros((codes.shape[0] * 4, codes.shape[1] * 2), bool)
    for (y, x), (down, right) in itertools.product(np.ndindex(codes.shape), bits):
        code = int(codes[y, x])
        found[y * 4 + down, x * 2 + right] = bool(code and (code - 0x2800) & bits[down, right])
    return found


def test_a_thick_line_is_two_dots_wide_and_bands_stay_as_they_are() -> None:
    first, last = np.array([0, 3, 5, 9]), np.array([0, 3, 7, -1])
    assert raster.thickened(first, last).tolist() == [0, 2, 5, 9]


def test_integers_are_compared_as_integers() -> None:
    x = np.array([0, 1, 2, 3], np.int64)
    assert raster.first_at_or_after(x, np.array([-1e30, 0.5, 2.0, 2.1, 1e30])).tolist() == [0, 1, 2, 3, 4]
    assert raster.first_after(x, 2.0) == 3
