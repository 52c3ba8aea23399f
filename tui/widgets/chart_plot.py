"""Draws series into cells: limits, axes, curves and legend. Knows nothing of Textual.

What is costly is kept between drawings: the axes until limits or size change, a series' points until its
arrays do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from dlcore.text_safety import safe_text
from tui.terminal import ASCII
from tui.widgets import chart_data, chart_frame, chart_scale, chart_style, raster
from tui.widgets.cells import Cells
from tui.widgets.chart_data import Points
from tui.widgets.chart_ink import Area, Canvas, Strokes, edges, strokes
from tui.widgets.chart_legend import Entry, write_legend
from tui.widgets.chart_scale import Limits
from tui.widgets.chart_series import ChartSeries, Mode

_LEGEND_ROWS, _LEGEND_COLUMNS = 4, 8  # below which there is no legend
_NARROWEST = 4  # columns of canvas that axes must leave
_NOWHERE = Limits(math.inf, -math.inf)


@dataclass(frozen=True)
class View:
    """How to show series.

    Attributes:
        columns: of the whole chart.
        rows: likewise.
        x: limits chosen by zoom and pan; None for all.
        y: likewise; None to fit what is in sight.
        cursor: axis value; None for no cursor.
        live: more points are to come.
        ascii: draw with ASCII signs only.
    """

    columns: int
    rows: int
    mode: Mode = "step"
    log: bool = False
    smoothing: float = 0.0
    x: Limits | None = None
    y: Limits | None = None
    cursor: float | None = None
    live: bool = True
    ascii: bool = False


class Curve(NamedTuple):
    """A series ready to draw; ``smooth`` is None without smoothing."""

    series: ChartSeries
    raw: Points
    smooth: Points | None

    @property
    def shown(self) -> Points:
        """The line that stands out."""
        return self.smooth or self.raw


class Plot:
    """Draws one chart again and again.

    Attributes:
        curves: as drawn last.
        mode: likewise.
        x: limits of the last drawing.
        y: likewise; decimal logarithms on a log axis.
        whole: limits of x that show everything.
        left: columns before the canvas.
        width: columns of the canvas.
        top: rows above the canvas.
        height: rows of the canvas.
    """

    def __init__(self) -> None:
        self.curves: list[Curve] = []
        self.mode: Mode = "step"
        self.x = self.y = self.whole = Limits(0.0, 1.0)
        self.left, self.width, self.top, self.height = 0, 1, 0, 1
        self._stamp: tuple[object, ...] = ()
        self._drawn: dict[int, tuple[object, Strokes]] = {}
        self._fitted: tuple[object, Limits] | None = None
        self._axes: tuple[object, chart_frame.Frame] | None = None

    def draw(self, series: Sequence[ChartSeries], view: View) -> Cells | None:
        """The chart; None when there is not a point in any series."""
        if not any(len(item.y) for item in series):
            return None
        self._take(series, view)
        self._set_limits(view)
        cells = Cells(view.columns, view.rows)
        frame = self._frame(view)
        cells.codes[self.top :] = frame.codes
        cells.styles[self.top + self.height :] = chart_style.AXIS
        cells.styles[-1] = chart_style.TEXT
        if self.left:
            cells.styles[self.top : -2, : self.left - 1] = chart_style.TEXT
        self._paint(cells, view)
        if self.top:
            start = self.left if self.left < view.columns // 4 else 0
            write_legend(cells, start, [self._entry(curve, view) for curve in self.curves], self._place(view))
        if view.ascii:
            _make_ascii(cells)
        return cells

    def column(self, at: float) -> int | None:
        """The canvas column of an axis value; None out of sight."""
        place = chart_frame.cell(at, self.x, self.width)
        return place if 0 <= place < self.width else None

    # -- data and limits ----------------------------------------------------------------------------------

    def _take(self, series: Sequence[ChartSeries], view: View) -> None:
        """Makes series ready, but for those whose arrays are the same as in the last drawing."""
        stamp = (view.mode, view.log, view.smoothing)
        known = {id(curve.series.y): curve for curve in self.curves} if stamp == self._stamp else {}
        self.mode, self._stamp = view.mode, stamp
        curves = []
        for item in series:
            before = known.get(id(item.y))
            if before is not None and _same(before.series, item):
                curves.append(before._replace(series=item))
                continue
            raw = chart_data.ready(item, view.mode, log=view.log)
            smooth = view.smoothing > 0 and len(raw.y) > 1
            curves.append(Curve(item, raw, chart_data.smoothed(raw, view.smoothing) if smooth else None))
        self.curves = curves

    def _set_limits(self, view: View) -> None:
        """Limits and canvas: the labels of y decide how wide it is."""
        ends = [
            (points.axis(x[0]), points.axis(x[-1]))
            for points in (curve.raw for curve in self.curves)
            for x in (points.x, points.not_finite, points.not_positive)
            if len(x)
        ]
        start, end = min(low for low, _ in ends), max(high for _, high in ends)
        self.whole = chart_scale.x_limits(start, end, view.mode, live=view.live)
        self.x = view.x or self.whole
        self.y = view.y or self._fit(view)
        self.top = int(view.rows >= _LEGEND_ROWS and view.columns >= _LEGEND_COLUMNS)
        rows = view.rows - self.top
        self._y_ticks = chart_scale.y_ticks(self.y, max(1, min(8, (rows - 2) // 3)), log=view.log)
        self.left = chart_frame.margin(self._y_ticks, view.columns)
        if rows < chart_frame.LEAST_ROWS or view.columns < self.left + _NARROWEST:
            self.left = 0
        self.width, self.height = view.columns - self.left, rows - 2 if self.left else rows

    def _fit(self, view: View) -> Limits:
        """Limits of y for what is in sight, from before where they still do."""
        ranges = [self._range(curve.raw, view) for curve in self.curves if len(curve.raw.y)]
        low = min((found.low for found in ranges), default=math.inf)
        high = max((found.high for found in ranges), default=-math.inf)
        if low > high:
            low, high = 0.0, 1.0
        key = (view.log, view.mode, view.x)
        before = self._fitted[1] if self._fitted is not None and self._fitted[0] == key else None
        limits = chart_scale.y_limits(low, high, before, log=view.log)
        self._fitted = (key, limits)
        return limits

    def _range(self, points: Points, view: View) -> Limits:
        """Lowest and highest in sight."""
        if view.x is None:
            low, high = points.range
            return Limits(math.log10(low), math.log10(high)) if view.log else Limits(low, high)
        borders = edges(view.x, max(8, view.columns), points)
        found = raster.extents(points.x, points.y, borders, points.breaks, log=view.log)
        seen = ~np.isnan(found.low)
        return Limits(float(found.low[seen].min()), float(found.high[seen].max())) if seen.any() else _NOWHERE

    # -- painting -----------------------------------------------------------------------------------------

    def _frame(self, view: View) -> chart_frame.Frame:
        rows = view.rows - self.top
        if not self.left:
            return chart_frame.bare(view.columns, rows)
        key = (view.columns, rows, self.left, self.x, self.y, view.mode, view.log)
        if self._axes is None or self._axes[0] != key:
            ticks = chart_scale.x_ticks(self.x, max(1, min(10, self.width // 10)), view.mode)
            unit = "" if view.mode == "time" else view.mode
            found = chart_frame.draw(view.columns, rows, self.x, self.y, ticks, self._y_ticks, unit)
            self._axes = (key, found)
        return self._axes[1]

    def _paint(self, cells: Cells, view: View) -> None:
        rows = slice(self.top, self.top + self.height)
        columns = slice(self.left, self.left + self.width)
        canvas = Canvas(cells.codes[rows, columns], cells.styles[rows, columns])
        area = Area(self.x, self.y, self.width, self.height, view.log, view.ascii)
        column = self.column(view.cursor) if view.cursor is not None else None
        if column is not None:
            canvas.cursor(column)
        drawn = [
            (curve.series, self._strokes(number, curve, area)) for number, curve in enumerate(self.curves)
        ]
        for series, found in drawn:
            if found.faint is not None:
                canvas.put(found.faint, chart_style.line_style(series.role, series.index, faint=True))
        for number, (series, found) in enumerate(drawn):
            look = chart_style.look(series.role, series.index)
            style = chart_style.line_style(series.role, series.index)
            canvas.overlay(found.line, style, number, len(drawn))
            canvas.sign(found.mark_rows, found.mark_columns, look.sign if view.ascii else look.mark, style)
        for _, found in drawn:
            canvas.sign(self.height - 1, found.not_positive, "▾", chart_style.WARN)
            canvas.sign(0, found.not_finite, "✗", chart_style.BAD)

    def _strokes(self, number: int, curve: Curve, area: Area) -> Strokes:
        """Those of the last drawing where nothing about them changed."""
        series = curve.series
        key = (curve.raw, curve.smooth, area, series.role, series.index)
        known = self._drawn.get(number)
        if known is None or known[0] != key:
            dense_from = None if series.role == "train" else 3 + 5 * series.index
            look = chart_style.look(series.role, series.index)
            known = self._drawn[number] = key, strokes(area, curve.raw, curve.smooth, look, dense_from)
        return known[1]

    # -- legend -------------------------------------------------------------------------------------------

    def _place(self, view: View) -> str:
        """The cursor's x in words."""
        if view.cursor is None:
            return ""
        if view.mode == "time":
            return chart_scale.clock(view.cursor)
        return f"{view.mode} {view.cursor:,.{0 if view.mode == 'step' else 2}f}"

    def _entry(self, curve: Curve, view: View) -> Entry:
        series = curve.series
        value = float(series.y[-1]) if len(series.y) else None
        if view.cursor is not None:
            found = chart_data.nearest(series, view.mode, view.cursor)
            value = found[1] if found is not None else None
        look = chart_style.look(series.role, series.index)
        return Entry(
            2 * look.sign if view.ascii else look.sample,
            _safe(series.name),
            value,
            chart_style.line_style(series.role, series.index),
            len(curve.raw.not_finite),
            len(curve.raw.not_positive),
        )


@lru_cache(64)
def _safe(name: str) -> str:
    return safe_text(name, limit=80)


def _same(one: ChartSeries, other: ChartSeries) -> bool:
    return (
        one.y is other.y
        and one.x is other.x
        and one.time is other.time
        and ((one.steps_per_epoch, one.origin) == (other.steps_per_epoch, other.origin))
    )


def _make_ascii(cells: Cells) -> None:
    for row, column in zip(*np.nonzero(cells.codes > 126), strict=True):
        cells.codes[row, column] = ord(ASCII.get(int(cells.codes[row, column]), "?"))
