"""A chart's axes and their labels, drawn by plotext once and kept until size, limits or labels change.

plotext is told cells, not values: its canvas is as wide and high as the cells, so a tick stands exactly
where the curves have that value. It never sees a point of a curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tui.widgets.chart_scale import Limits, Tick

LEAST_ROWS = 4  # below which there are no axes
_MARGIN = 5  # columns that labels of y take at least, so that charts above each other line up


class Frame(NamedTuple):
    """Axes as cells.

    Attributes:
        codes: (rows, columns) code points of the whole chart.
        left: columns before the canvas.
        width: columns of the canvas.
        height: rows of the canvas, which begins in the first row.
    """

    codes: NDArray[np.uint32]
    left: int
    width: int
    height: int


def bare(columns: int, rows: int) -> Frame:
    """No axes: all canvas, for where there is no room."""
    return Frame(np.full((rows, columns), ord(" "), np.uint32), 0, columns, rows)


def margin(ticks: Sequence[Tick], columns: int) -> int:
    """Columns left of the canvas: labels and the axis."""
    widest = max((len(tick.label) for tick in ticks), default=0)
    return (max(widest, _MARGIN) if columns >= 40 else widest) + 1


def cell(at: float, limits: Limits, cells: int) -> int:
    """The column, or the row from below, that shows a value; may lie outside."""
    place = math.floor((at - limits.low) / limits.span * cells + 1e-9)
    return cells - 1 if place == cells else place


def places(ticks: Sequence[int], names: Sequence[str], columns: int) -> dict[int, int]:
    """Where labels of x begin, by their number: numbers centred below their ticks, aside where they touch.

    A label that cannot stay below its tick is left out. plotext places labels, too, but chooses between
    equally good places by the order of a set, so that a picture differs from process to process.

    Args:
        ticks: columns, rising.
        columns: of the whole chart.
    """
    found, free = {}, 0
    for number, (tick, name) in enumerate(zip(ticks, names, strict=True)):
        start = min(max(tick - (len(name.split(" ")[0]) - 1) // 2, free), columns - len(name))
        if free <= start <= tick < start + len(name):
            found[number], free = start, start + len(name) + 1
    return found


def draw(
    columns: int, rows: int, x: Limits, y: Limits, x_ticks: Sequence[Tick], y_ticks: Sequence[Tick], unit: str
) -> Frame:
    """Draws axes left and below; 1 to 3 ms.

    Args:
        columns: of the whole chart; at least 2 more than the labels of y and the axis take.
        rows: likewise, at least `LEAST_ROWS`.
        unit: written behind the last label of x where there is room.
    """
    import plotext

    left = margin(y_ticks, columns)
    width, height = columns - left, rows - 2
    plotext.clear_figure()
    plotext.limit_size(False, False)
    plotext.theme("clear")
    plotext.plot_size(columns, rows)
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    plotext.scatter([0], [0], marker=" ")  # without a point there are no axes
    plotext.xlim(0, width - 1)
    plotext.ylim(0, height - 1)
    labels = [tick.label.rjust(left - 1) for tick in y_ticks]
    plotext.yticks([cell(tick.at, y, height) for tick in y_ticks], labels)
    in_sight = [tick for tick in x_ticks if x.low <= tick.at <= x.high]
    at = [cell(tick.at, x, width) for tick in in_sight]
    names = [tick.label for tick in in_sight]
    placed = places([left + column for column in at], names, columns)
    if unit and len(names) > 1:
        with_unit = [*names[:-1], f"{names[-1]} {unit}"]
        also_placed = places([left + column for column in at], with_unit, columns)
        if also_placed.keys() == placed.keys():
            names, placed = with_unit, also_placed
    plotext.xticks([at[number] for number in placed], [" "] * len(placed))
    text = plotext.uncolorize(plotext.build())
    plotext.clear_figure()
    lines = [line.ljust(columns)[:columns] for line in text.split("\n")[:rows]]
    codes = np.array([[ord(sign) for sign in line] for line in lines], np.uint32)
    for number, start in placed.items():
        codes[-1, start : start + len(names[number])] = [ord(sign) for sign in names[number]]
    return Frame(codes, left, width, height)
