"""Curves as strokes on a canvas of cells: lines over each other, marks, signs for what cannot be drawn.

Strokes depend on a curve's points and on what the canvas shows; while neither changes they are kept.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tui.widgets import chart_style, raster
from tui.widgets.cells import BLANK
from tui.widgets.chart_data import Points
from tui.widgets.chart_scale import Limits
from tui.widgets.chart_style import Look
from tui.widgets.raster import Codes, Ints

_TURN = 2  # columns after which another curve has its turn in cells that several share
_APART = 6  # columns a point must have to itself for each to get its mark
_MARK_EVERY = 14  # columns between the marks along a dense curve
_NOWHERE: Ints = np.empty(0, np.int64)


class Area(NamedTuple):
    """What a canvas shows.

    Attributes:
        x: what the columns show.
        y: what the rows show; decimal logarithms when ``log``.
        width: columns of cells.
        height: rows of cells.
    """

    x: Limits
    y: Limits
    width: int
    height: int
    log: bool
    ascii: bool


class Strokes(NamedTuple):
    """One curve on a canvas.

    Attributes:
        line: (rows, columns) code points, 0 where it is not.
        faint: likewise the raw line beneath a smoothed one; None without.
        mark_rows: (marks,) where the curve's own sign stands.
        mark_columns: (marks,)
        not_finite: columns with nan or infinities.
        not_positive: columns with what a log axis cannot show.
    """

    line: Codes
    faint: Codes | None
    mark_rows: Ints
    mark_columns: Ints
    not_finite: Ints
    not_positive: Ints


def strokes(area: Area, raw: Points, smooth: Points | None, look: Look, dense_from: int | None) -> Strokes:
    """Draws a curve.

    Args:
        dense_from: column of the first mark along a curve of many points; None for none.
    """
    shown = smooth or raw
    rows, columns = _marks(area, shown, dense_from)
    return Strokes(
        _line(area, shown, look.sign if area.ascii else "", thick=look.thick),
        _line(area, raw, "." if area.ascii else "", thick=False) if smooth is not None else None,
        rows,
        columns,
        _columns_of(area, raw, raw.not_finite),
        _columns_of(area, raw, raw.not_positive),
    )


def edges(limits: Limits, columns: int, points: Points) -> NDArray[np.float64]:
    """(columns + 1,) borders of so many columns, in units of the points' x."""
    return points.native(_borders(limits, columns))


@lru_cache(32)
def _borders(limits: Limits, columns: int) -> NDArray[np.float64]:
    return np.linspace(limits.low, limits.high, columns + 1)


def _line(area: Area, points: Points, sign: str, *, thick: bool) -> Codes:
    wide, tall = raster.dots_of(sign)
    borders = edges(area.x, area.width * wide, points)
    found = raster.extents(points.x, points.y, borders, points.breaks, log=area.log)
    first, last = raster.dots(found, area.y.low, area.y.high, area.height * tall)
    if thick and not sign:
        first = raster.thickened(first, last)
    return raster.glyphs(first, last, area.height, sign)


def _marks(area: Area, points: Points, dense_from: int | None) -> tuple[Ints, Ints]:
    """Places of all points where they are far apart, else of some along the curve."""
    borders = edges(area.x, area.width, points)
    first = int(raster.first_at_or_after(points.x, borders[:1])[0])
    last = raster.first_after(points.x, float(borders[-1]))
    if 0 < last - first <= max(1, area.width // _APART):
        columns = borders.searchsorted(points.x[first:last], side="right") - 1
        values = points.y[first:last]
        if area.log:
            values = np.log10(values)
    elif dense_from is not None and last > first:
        columns = np.arange(dense_from % _MARK_EVERY, area.width, _MARK_EVERY)
        values = raster.extents(points.x, points.y, borders, points.breaks, log=area.log).edge[columns]
    else:
        return _NOWHERE, _NOWHERE
    place = (values - area.y.low) / area.y.span * area.height
    seen = (place >= -1e-9) & (place <= area.height + 1e-9)
    rows = area.height - 1 - place[seen].clip(0, area.height - 1).astype(np.int64)
    return rows, np.minimum(columns[seen], area.width - 1)


def _columns_of(area: Area, points: Points, native: NDArray[np.float64]) -> Ints:
    if not len(native):
        return _NOWHERE
    places = (points.axis(native) - area.x.low) / area.x.span * area.width
    seen: Ints = places[(places >= 0) & (places <= area.width)].astype(np.int64)
    return np.minimum(seen, area.width - 1)


class Canvas:
    """The part of the cells inside the axes.

    Args:
        codes: (rows, columns) code points, painted into.
        styles: (rows, columns) numbers of styles, likewise.
    """

    def __init__(self, codes: Codes, styles: NDArray[np.uint8]) -> None:
        self.codes, self.styles = codes, styles

    def put(self, line: Codes, style: int) -> None:
        """Paints over what is there."""
        drawn = line > 0
        np.copyto(self.codes, line, where=drawn)
        self.styles[drawn] = style

    def overlay(self, line: Codes, style: int, number: int, count: int) -> None:
        """Paints curve ``number`` of ``count``: each has its turn in shared cells, so that all are seen."""
        if number == 0:
            return self.put(line, style)
        codes = self.codes
        drawn = line > 0
        taken = drawn & chart_style.is_line(self.styles) & (codes != BLANK)
        mine = drawn
        if taken.any():
            both = taken & (line > raster.BRAILLE) & (codes > raster.BRAILLE) & (codes < raster.BRAILLE + 256)
            line = np.where(both, line | codes, line)  # dots of both
            np.copyto(codes, line, where=both)
            turn = np.arange(codes.shape[1]) // _TURN % count == number
            mine = drawn & (~taken | turn)
        np.copyto(codes, line, where=mine)
        self.styles[mine] = style

    def sign(self, rows: Ints | int, columns: Ints, sign: str, style: int) -> None:
        """The same sign in several cells."""
        if len(columns):
            self.codes[rows, columns] = ord(sign)
            self.styles[rows, columns] = style

    def cursor(self, column: int) -> None:
        """A line from top to bottom, behind the curves."""
        self.codes[:, column] = ord("│")
        self.styles[:, column] = chart_style.CURSOR
