"""Curves as plain lines of text for a terminal that scrolls: plotext draws axes and marks.

For listings and `dltui show`; a live chart paints its cells itself. plotext is given finite points only,
as many as the chart is wide: it raises on infinities, and newer versions abort on nan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotext
from numpy.typing import NDArray

MARKERS = ("hd", "braille", "dot")
COLOURS = ("cyan", "orange", "magenta")
SAMPLES = ("▞▞", "⠒⠒", "••")
LARGEST, SMALLEST = 1e300, 1e-280
"""What plotext can put on an axis; larger values are drawn as large as that, smaller ones as 0."""

Floats = NDArray[np.float64]


class Curve(NamedTuple):
    """One line of a chart: equally long x and y, in order; y may hold what is not finite."""

    name: str
    x: Floats
    y: Floats


def chart(curves: Sequence[Curve], width: int, height: int, *, colour: bool) -> list[str]:
    """A chart with its legend in the first line.

    Args:
        width: columns, axis included.
        height: lines, legend and axis included; at least 5.
        colour: with escape codes.

    Returns:
        No lines when there is not a point to draw.
    """
    drawn = [(number, thin(curve, 2 * width)) for number, curve in enumerate(curves[: len(MARKERS)])]
    drawn = [(number, curve) for number, curve in drawn if len(curve.x)]
    if not drawn:
        return []
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(width, height - 1)
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    for number, curve in drawn:
        x, y = curve.x.tolist(), curve.y.tolist()
        shade = COLOURS[number] if colour else None
        plotext.plot(x, y, marker=MARKERS[number], color=shade)
    low, high = min(curve.x[0] for _, curve in drawn), max(curve.x[-1] for _, curve in drawn)
    ticks = _ticks(float(low), float(high), max(2, width // 8))
    plotext.xticks(ticks, [f"{tick:,.0f}" if tick == int(tick) else f"{tick:g}" for tick in ticks])
    built = plotext.build() if colour else plotext.uncolorize(plotext.build())
    plotext.clear_figure()
    legend = "   ".join(f"{_sample(number, colour)} {curve.name}" for number, curve in drawn)
    return [legend, *(line.rstrip() for line in built.rstrip("\n").split("\n"))]


def _sample(number: int, colour: bool) -> str:
    return plotext.colorize(SAMPLES[number], COLOURS[number]) if colour else SAMPLES[number]


def thin(curve: Curve, points: int) -> Curve:
    """The finite points of a curve, as means of equal stretches when there are more than ``points``.

    Means, because a loss of single batches drawn by its extremes is a band, not a curve.
    """
    finite = np.isfinite(curve.y) & np.isfinite(curve.x)
    x, y = np.asarray(curve.x[finite], np.float64), np.asarray(curve.y[finite], np.float64)
    y = np.where(np.abs(y) < SMALLEST, 0.0, y.clip(-LARGEST, LARGEST))
    if len(x) <= points:
        return Curve(curve.name, x, y)
    starts = np.linspace(0, len(x), points, endpoint=False).astype(np.intp)
    sizes = np.diff(starts, append=len(x))
    return Curve(curve.name, np.add.reduceat(x, starts) / sizes, np.add.reduceat(y, starts) / sizes)


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from low to high, at most ``most``."""
    if high <= low:
        return [low]
    rough = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first = math.ceil(low / step)
    return [round(tick * step, 10) for tick in range(first, math.floor(high / step) + 1)] or [low]
