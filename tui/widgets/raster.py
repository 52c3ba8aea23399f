"""Curves as terminal cells: what a polyline covers in each column of dots, and the glyphs for it.

A curve is reduced to one vertical interval a column: the lowest and highest of its points there and of its
crossings with the column's edges. That is exact for any number of points, so a spike of one point among a
million stays in sight, and costs a pass of minimum and one of maximum over the points in view.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]
Bits = NDArray[np.bool_]

BRAILLE = 0x2800
_FAR = 2.0**62


class Extents(NamedTuple):
    """A curve by columns; nan where it is not.

    Attributes:
        low: (columns,) lowest value in the column.
        high: (columns,) highest.
        edge: (columns + 1,) value where the curve crosses from one column into the next.
    """

    low: Floats
    high: Floats
    edge: Floats


def first_at_or_after(x: NDArray[Any], at: Floats) -> Ints:
    """Positions in ordered x; integers are compared as integers, so that a million steps are not copied."""
    if x.dtype.kind in "iu":
        return x.searchsorted(np.ceil(at).clip(-_FAR, _FAR).astype(x.dtype))
    return x.searchsorted(at)


def first_after(x: NDArray[Any], at: float) -> int:
    """The same for one value, past points at the value itself."""
    if x.dtype.kind in "iu":
        at = int(min(max(np.floor(at), -_FAR), _FAR))
    return int(x.searchsorted(at, side="right"))


def extents(x: NDArray[Any], y: Floats, edges: Floats, breaks: Bits | None, *, log: bool) -> Extents:
    """Reduces a polyline to columns.

    Args:
        x: (points,) in order.
        y: (points,) finite, and positive for log.
        edges: (columns + 1,) borders of the columns, increasing, in units of x.
        breaks: (points,) True where the curve is interrupted before a point; None for nowhere.
        log: values come out as decimal logarithms, and lines are straight in them.
    """
    at = first_at_or_after(x, edges)
    at[-1] = first_after(x, float(edges[-1]))  # the last column takes its right border in
    low = np.full(len(edges) - 1, np.nan)
    high = low.copy()
    filled = at[1:] > at[:-1]
    starts, part = at[:-1][filled], y[: at[-1]]
    if len(starts):
        lowest, highest = np.minimum.reduceat(part, starts), np.maximum.reduceat(part, starts)
        low[filled], high[filled] = (np.log10(lowest), np.log10(highest)) if log else (lowest, highest)
    edge = _crossings(x, y, edges, at, breaks, log)
    low = np.fmin(np.fmin(low, edge[:-1]), edge[1:])
    return Extents(low, np.fmax(np.fmax(high, edge[:-1]), edge[1:]), edge)


def _crossings(x: NDArray[Any], y: Floats, edges: Floats, at: Ints, breaks: Bits | None, log: bool) -> Floats:
    """Values at the edges, between the last point before and the first point from there on."""
    count = len(x)
    if not count:
        return np.full(len(edges), np.nan)
    right, left = np.minimum(at, count - 1), np.maximum(at - 1, 0)
    y_left, y_right = y[left], y[right]
    if log:
        y_left, y_right = np.log10(y_left), np.log10(y_right)
    x_left = x[left]
    outside = (at <= 0) | (at >= count)
    if breaks is not None:
        outside |= breaks[right]
    gap = x[right] - x_left
    gap[outside] = 1
    values: Floats = y_left + (edges - x_left) / gap * (y_right - y_left)
    values[outside] = np.nan
    return values


def dots(found: Extents, bottom: float, top: float, rows: int) -> tuple[Ints, Ints]:
    """Intervals of dot rows, counted from below; first > last where there is nothing to see.

    Where a slope passes from column to column, the row at the crossing belongs to the left one alone:
    a line stays one dot wide.
    """
    scale = rows / (top - bottom)
    low, high, edge = ((value - bottom) * scale for value in found)
    seen = (high >= -1e-9) & (low <= rows + 1e-9)  # False for nan
    before, after = edge[:-1], edge[1:]
    rising = (after > before) & (low >= before) & (high <= after)
    falling = (after < before) & (low >= after) & (high <= before)
    unseen = ~seen
    low[unseen] = high[unseen] = 0.0
    first = low.clip(0, rows - 1).astype(np.int64)
    last = high.clip(0, rows - 1).astype(np.int64)
    steep = last > first
    first += rising & steep
    last -= falling & steep
    last[unseen] = -1
    first[unseen] = rows
    return first, last


def thickened(first: Ints, last: Ints) -> Ints:
    """First rows of a line two dots wide: each single dot gets the one below."""
    thick: Ints = first - ((first == last) & (first > 0))
    return thick


def glyphs(first: Ints, last: Ints, rows: int, sign: str = "") -> Codes:
    """Cells for intervals of dots.

    Args:
        first: (dot columns,) lowest dot row, counted from below.
        last: likewise, the highest.
        rows: of cells.
        sign: draw with this one, a dot a cell, for where there is only ASCII; "" for braille.

    Returns:
        (rows, columns) code points, the top row first, 0 where a cell has no dot.
    """
    wide, tall = dots_of(sign)
    below = np.arange((rows - 1) * tall, -1, -tall)[:, None]  # dot rows under each row of cells
    from_, to = (first - below).clip(0, tall), (last + 1 - below).clip(0, tall)
    if sign:
        return np.where(to > from_, np.uint32(ord(sign)), np.uint32(0))
    span = from_ * (tall + 1) + to
    pattern = _LEFT[span[:, ::wide]] | _RIGHT[span[:, 1::wide]]
    braille: Codes = np.where(pattern > 0, pattern + np.uint32(BRAILLE), pattern)
    return braille


def dots_of(sign: str) -> tuple[int, int]:
    """Columns and rows of dots in a cell."""
    return (1, 1) if sign else (2, 4)


def _patterns(bits: Sequence[int]) -> Codes:
    """A column of a cell with the dots ``first`` to before ``last`` from below, at first * 5 + last."""
    upwards = bits[::-1]
    spans = [(first, last) for first in range(5) for last in range(5)]
    return np.array([sum(upwards[first:last]) for first, last in spans], np.uint32)


_LEFT, _RIGHT = _patterns((1, 2, 4, 64)), _patterns((8, 16, 32, 128))  # bits of braille from above
