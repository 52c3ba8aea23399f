"""Limits that change rarely, and round ticks inside them."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tui.widgets import chart_scale
from tui.widgets.chart_scale import Limits
from tui.widgets.chart_series import MODES, Mode

numbers = st.floats(-1e300, 1e300)


@pytest.mark.parametrize("mode", MODES)
@given(end=st.floats(0.001, 1e9), start=st.floats(0, 1))
@example(end=0.0010000000000000002, start=0.0)
def test_x_limits_hold_the_data(mode: Mode, start: float, end: float) -> None:
    for live in (True, False):
        limits = chart_scale.x_limits(min(start, end), end, mode, live=live)
        assert limits.low <= min(start, end)
        assert limits.high >= end
        assert limits.span > 0


@pytest.mark.parametrize("mode", MODES)
def test_a_growing_curve_rescales_x_a_few_times_only(mode: Mode) -> None:
    limits = {chart_scale.x_limits(0, step, mode, live=True) for step in range(1, 100_000)}
    assert len(limits) <= 36


def test_a_live_curve_fills_at_least_half_of_the_width() -> None:
    for step in range(1, 50_000, 7):
        assert step / chart_scale.x_limits(0, step, "step", live=True).high > 0.59


def test_a_finished_curve_fills_the_width() -> None:
    assert chart_scale.x_limits(1, 1234, "step", live=False) == Limits(0.0, 1234)


def test_a_curve_that_begins_late_does_not_begin_at_0() -> None:
    assert chart_scale.x_limits(900, 1000, "step", live=False).low == 900


@given(numbers, numbers)
def test_y_limits_hold_the_data(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    limits = chart_scale.y_limits(low, high, None, log=False)
    room = 1e-9 * max(abs(low), abs(high))
    assert limits.low <= low + room
    assert limits.high >= high - room
    assert 0 < limits.span < math.inf


@given(st.floats(-323, 300), st.floats(-323, 300))
def test_log_limits_hold_the_data(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    limits = chart_scale.y_limits(low, high, None, log=True)
    assert limits.low <= low + 1e-8
    assert limits.high >= high - 1e-8
    assert limits.span > 0


def test_y_limits_stay_while_the_data_fits_them_well() -> None:
    before = chart_scale.y_limits(0.0, 2.3, None, log=False)
    assert chart_scale.y_limits(0.1, 2.0, before, log=False) is before


def test_y_limits_follow_data_that_outgrows_or_leaves_them() -> None:
    before = chart_scale.y_limits(0.0, 2.3, None, log=False)
    assert chart_scale.y_limits(0.0, 9.0, before, log=False).high >= 9
    assert chart_scale.y_limits(0.0, 0.2, before, log=False).high < 1


def test_a_falling_loss_rescales_y_rarely() -> None:
    limits, seen = None, []
    for step in range(1, 5000):
        limits = chart_scale.y_limits(0.1 + 2 / step, 2.1, limits, log=False)
        seen.append(limits)
    assert len(set(seen)) <= 5


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(1, 10))
def test_ticks_lie_inside_and_rise(low: float, span: float, most: int) -> None:
    limits = Limits(low, low + span)
    found = [*chart_scale.y_ticks(limits, most, log=False)]
    room = 1e-6 * span + 1e-9 * abs(low)
    assert len(found) <= most + 1
    assert all(limits.low - room <= tick.at <= limits.high + room for tick in found)
    assert [tick.at for tick in found] == sorted(tick.at for tick in found)


@pytest.mark.parametrize(("low", "high"), [(0, 2.5), (0, 3), (0, 1), (-0.5, 1.5), (0.4, 1.0)])
def test_a_low_chart_has_two_ticks_too(low: float, high: float) -> None:
    assert len(chart_scale.y_ticks(Limits(low, high), 1, log=False)) == 2


@given(st.floats(-300, 290), st.floats(0.01, 12), st.integers(1, 8))
def test_log_ticks_lie_inside(low: float, span: float, most: int) -> None:
    limits = Limits(low, low + span)
    found = chart_scale.y_ticks(limits, most, log=True)
    assert found
    assert len(found) <= most + 1
    assert all(limits.low - 1e-6 <= tick.at <= limits.high + 1e-6 for tick in found)


def labels(limits: Limits, most: int = 5, mode: Mode | None = None, *, log: bool = False) -> list[str]:
    ticks = chart_scale.x_ticks(limits, most, mode) if mode else chart_scale.y_ticks(limits, most, log=log)
    return [tick.label for tick in ticks]


def test_labels_have_as_many_decimals_as_they_need() -> None:
    assert labels(Limits(0, 2.5)) == ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"]
    assert labels(Limits(0, 0.05)) == ["0.00", "0.01", "0.02", "0.03", "0.04", "0.05"]
    assert labels(Limits(0, 500), mode="step") == ["0", "100", "200", "300", "400", "500"]
    assert labels(Limits(0, 5e6), mode="step") == ["0", "1M", "2M", "3M", "4M", "5M"]
    assert labels(Limits(0, 5e-5)) == ["0", "1e-5", "2e-5", "3e-5", "4e-5", "5e-5"]


def test_steps_are_whole() -> None:
    assert labels(Limits(0, 2), mode="step") == ["0", "1", "2"]


def test_decades_are_labelled_on_a_log_axis() -> None:
    assert labels(Limits(-4, 0), 4, log=True) == ["1e-4", "0.001", "0.01", "0.1", "1"]
    assert labels(Limits(-1, 1), 8, log=True) == ["0.1", "0.2", "0.5", "1", "2", "5", "10"]


def test_time_is_told_as_people_tell_it() -> None:
    assert labels(Limits(0, 50), mode="time") == ["0", "10 s", "20 s", "30 s", "40 s", "50 s"]
    assert labels(Limits(0, 300), mode="time") == ["0", "1 min", "2 min", "3 min", "4 min", "5 min"]
    assert labels(Limits(0, 3 * 3600), 6, mode="time")[:3] == ["0", "30 min", "1 h"]
    assert [chart_scale.clock(seconds) for seconds in (90, 4500, 259_200)] == ["1:30", "1:15 h", "3 d"]
