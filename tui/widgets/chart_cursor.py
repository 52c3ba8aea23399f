"""Where a chart's cursor goes: to points, a column at a time."""

from __future__ import annotations

import numpy as np

from tui.widgets import chart_data, chart_frame, raster
from tui.widgets.chart_plot import Plot
from tui.widgets.chart_scale import Limits


def snapped(plot: Plot, column: int) -> float:
    """The axis value of the point nearest to a column's middle if it lies in the column, else the middle."""
    middle = plot.x.low + (column + 0.5) / plot.width * plot.x.span
    points = [chart_data.nearest(curve.series, plot.mode, middle) for curve in plot.curves]
    near = [point[0] for point in points if point is not None and plot.column(point[0]) == column]
    return min(near, key=lambda at: abs(at - middle), default=middle)


def neighbour(plot: Plot, at: float | None, direction: int) -> float | None:
    """The nearest point in another column, left (-1) or right (1) of ``at``; the last point for None."""
    ends_of_all = ends(plot)
    if at is None or ends_of_all is None:
        return ends_of_all.high if ends_of_all is not None else None
    column = chart_frame.cell(at, plot.x, plot.width) + (direction > 0)
    edge = np.array([plot.x.low + column / plot.width * plot.x.span])
    found = []
    for points in (curve.raw for curve in plot.curves):
        index = int(raster.first_at_or_after(points.x, points.native(edge))[0]) - (direction < 0)
        if 0 <= index < len(points.x):
            found.append(points.axis(points.x[index]))
    return (max if direction < 0 else min)(found, default=None)


def ends(plot: Plot) -> Limits | None:
    """From the first to the last point of all series; None without a point."""
    spans = [(points.x, points) for points in (curve.raw for curve in plot.curves) if len(points.x)]
    if not spans:
        return None
    return Limits(
        min(points.axis(x[0]) for x, points in spans), max(points.axis(x[-1]) for x, points in spans)
    )


def values(plot: Plot, at: float) -> dict[str, float]:
    """Each series' value at its point nearest to an axis value, by name."""
    found = {curve.series.name: chart_data.nearest(curve.series, plot.mode, at) for curve in plot.curves}
    return {name: point[1] for name, point in found.items() if point is not None}
