"""Limits and ticks of a chart: round numbers that change rarely while a curve grows.

x starts at 0 and ends at the next rung of a ladder, so a growing curve repaints its head only; y keeps its
limits while the data fits and fills a good part of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from tui.widgets.chart_series import Mode

_LADDER = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
_STEPS = (1.0, 2.0, 5.0, 10.0)
_CLOCK = (1, 2, 5, 10, 15, 20, 30, 60, 90, 120, 180, 300, 420, 600, 900, 1200, 1800, 2700)
_HOURS = (1, 1.5, 2, 3, 4, 6, 8, 12, 18, 24, 36, 48, 72, 96, 120)
_CLOCK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_SMALLEST = 1e-290  # span of y that can be divided by
_KEEP = 1.7  # y limits are kept until the data needs less than 1 / 1.7 of them


class Limits(NamedTuple):
    """From and to, in the units of the axis; for a log axis in decimal logarithms."""

    low: float
    high: float

    @property
    def span(self) -> float:
        """Always positive."""
        return self.high - self.low


class Tick(NamedTuple):
    """A place on an axis and its label."""

    at: float
    label: str


def rung(value: float, ladder: tuple[float, ...] = _LADDER) -> float:
    """The smallest round number that is not below ``value`` > 0."""
    power = 10.0 ** math.floor(math.log10(value))
    return next((rise * power for rise in ladder if rise * power >= value * (1 - 1e-12)), 10 * power)


def x_limits(start: float, end: float, mode: Mode, *, live: bool) -> Limits:
    """Limits for data from ``start`` to ``end``.

    Args:
        live: more is to come: leaves room up to the next round number. Else the curve fills the width.
    """
    low = 0.0 if 0 <= start <= 0.5 * end else start
    if end <= low:
        return Limits(low, low + max(1.0, 1e-9 * abs(low)))
    if not live:
        return Limits(low, end)
    room = _clock_rung(end - low) if mode == "time" else rung(end - low)
    return Limits(low, max(end, low + room))  # a rung may lie below by a rounding error


def _clock_rung(seconds: float) -> float:
    for rise in _CLOCK:
        if seconds <= rise:
            return float(rise)
    for hours in _HOURS:
        if seconds <= hours * 3600:
            return hours * 3600.0
    return rung(seconds / 86400) * 86400


def y_limits(low: float, high: float, before: Limits | None, *, log: bool) -> Limits:
    """Round limits around the data, or those from before where they still do.

    Args:
        low: smallest value to show; its decimal logarithm for log.
        high: largest, alike.
    """
    wanted = _round_log(low, high) if log else _round(low, high)
    fits = before is not None and before.low <= low and high <= before.high
    return before if before is not None and fits and before.span <= _KEEP * wanted.span else wanted


def _round(low: float, high: float) -> Limits:
    span = high - low
    if span <= max(1e-12 * max(abs(low), abs(high)), _SMALLEST):
        pad = max(0.1 * abs(high), _SMALLEST) if high else 1.0
        low, high, span = low - pad, high + pad, 2 * pad
    step = rung(span / 5, _STEPS)
    return Limits(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step)


def _round_log(low: float, high: float) -> Limits:
    bottom, top = math.floor(low), math.floor(high)
    below = max(bottom + math.log10(rise) for rise in _STEPS if bottom + math.log10(rise) <= low + 1e-9)
    above = min(top + math.log10(rise) for rise in _STEPS if top + math.log10(rise) >= high - 1e-9)
    found = Limits(below, above)
    return found if found.span > 0 else Limits(found.low - 0.1, found.high + 0.1)


def x_ticks(limits: Limits, most: int, mode: Mode) -> Sequence[Tick]:
    """At most ``most`` + 1 round places; whole numbers for steps."""
    if mode == "time":
        return _clock_ticks(limits, most)
    step = rung(limits.span / max(1, most), _STEPS)
    return _ticks(limits, max(1.0, step) if mode == "step" else step)


@lru_cache(64)
def y_ticks(limits: Limits, most: int, *, log: bool) -> Sequence[Tick]:
    """At most ``most`` + 1 places."""
    if not log:
        step = rung(limits.span / max(1, most), _STEPS)
        coarse = _ticks(limits, step)
        finer = [_ticks(limits, step / by) for by in (2, 2.5, 5)] if len(coarse) < 2 else []
        return next(
            (ticks for ticks in finer if 1 < len(ticks) <= most + 1), coarse
        )  # one says nothing of the scale
    for rises in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        powers = range(math.floor(limits.low), math.ceil(limits.high) + 1)
        found = [math.log10(rise) + power for power in powers for rise in rises]
        found = [at for at in found if limits.low - 1e-9 <= at <= limits.high + 1e-9]
        if 2 <= len(found) <= most + 1:
            break
    if len(found) < 2:  # zoomed in: as many as fit, evenly
        found = [limits.low + limits.span * number / most for number in range(most + 1)]
    every = -(-len(found) // (most + 1))
    return [Tick(at, _brief(10.0**at)) for at in found[::every]]


def _ticks(limits: Limits, step: float) -> list[Tick]:
    first, last = math.ceil(limits.low / step - 1e-9), math.floor(limits.high / step + 1e-9)
    largest = max(abs(first), abs(last)) * step
    return [
        Tick(number * step, _label(number, step, largest))
        for number in range(first, min(last, first + 99) + 1)
    ]


def _label(number: int, step: float, largest: float) -> str:
    """The tick with as many decimals as the step has; steps of thousands and millions are shortened."""
    value = number * step
    if largest >= 1e15 or largest < 1e-4:
        return _scientific(value)
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if step >= size or (largest >= 10 * size and step >= size / 10):
            decimals = max(0, -math.floor(math.log10(step / size) + 1e-9))
            return f"{value / size:,.{decimals}f}{unit}" if value else "0"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:,.{decimals}f}"


def _brief(value: float) -> str:
    """Three figures at most: ``0.05``, ``1,200``, ``8.9e-4``."""
    if not 1e-3 <= value < 1e5:
        return _scientific(value)
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _scientific(value: float) -> str:
    """``1e-4``, ``8.9e-4``, ``2e6``; 0 as it is."""
    if not value:
        return "0"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits.removesuffix('.0')}e{int(exponent)}"


def _clock_ticks(limits: Limits, most: int) -> list[Tick]:
    rough = limits.span / max(1, most)
    step = next((size for size in _CLOCK_STEPS if size >= rough), 0) or rung(rough / 86400, _STEPS) * 86400
    if rough < 0.5:
        return [
            Tick(tick.at, tick.label + " s" if tick.at else "0")
            for tick in _ticks(limits, rung(rough, _STEPS))
        ]
    first, last = math.ceil(limits.low / step - 1e-9), math.floor(limits.high / step + 1e-9)
    return [Tick(number * step, clock(number * step)) for number in range(first, last + 1)]


def clock(seconds: float) -> str:
    """Time since the start in few signs: ``40 s``, ``2 min``, ``2:30``, ``1 h``, ``1:15 h``, ``2 d``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole else "0"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}" if whole % 60 else f"{whole // 60} min"
    if whole < 3 * 86400 or whole % 86400:
        hours, minutes = whole // 3600, whole % 3600 // 60
        return f"{hours}:{minutes:02d} h" if minutes else f"{hours} h"
    return f"{whole // 86400} d"
