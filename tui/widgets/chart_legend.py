"""The line above a chart: which curve is which, latest values or those at the cursor, what is wrong.

It says as much as fits: notes get shorter, then names, before a value is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from tui import words
from tui.widgets import chart_style
from tui.widgets.cells import Cells

_GAP = 3  # columns between parts
_cells = lru_cache(256)(words.cells)
_MORE = 5  # columns for how many curves are left out


class Entry(NamedTuple):
    """One curve.

    Attributes:
        sample: two cells as the curve is drawn.
        name: safe text.
        value: to show; None for none.
        style: of the curve.
        not_finite: points that are nan or infinite.
        not_positive: points that a log axis leaves out.
    """

    sample: str
    name: str
    value: float | None
    style: int
    not_finite: int = 0
    not_positive: int = 0


class Run(NamedTuple):
    """A piece of text in one style."""

    text: str
    style: int


Part = list[Run]


def write_legend(cells: Cells, left: int, entries: Sequence[Entry], cursor: str) -> None:
    """Writes the first row from column ``left`` on.

    Args:
        cursor: where the cursor is, such as ``step 1,200``; "" without one.
    """
    end = cells.codes.shape[1]
    longest = max((_cells(entry.name) for entry in entries), default=0)
    for name, brief in [(longest, False), *((name, True) for name in (*range(longest, 3, -1), 0)), (0, None)]:
        curves = [_curve(entry, name) for entry in entries]
        notes = [] if brief is None else _notes(entries, cursor, brief=brief)
        if left + sum(_length(part) + _GAP for part in curves + notes) - _GAP <= end:
            break
    for part in reversed(notes):
        end -= _length(part)
        if end >= left:
            _write(cells, end, part)
        end -= _GAP
    at = left
    for number, part in enumerate(curves):
        rest = len(curves) - number
        if at + _length(part) + (_MORE if rest > 1 else 0) > end + (_GAP if not notes else 0):
            _write(cells, at, [Run(f"+{rest}", chart_style.TEXT)])
            break
        _write(cells, at, part)
        at += _length(part) + _GAP


def _notes(entries: Sequence[Entry], cursor: str, *, brief: bool) -> list[Part]:
    notes: list[Part] = []
    if bad := sum(entry.not_finite for entry in entries):
        notes.append([Run(f"✗ {bad:,}" if brief else f"✗ {bad:,} not finite", chart_style.BAD)])
    if low := sum(entry.not_positive for entry in entries):
        notes.append([Run(f"▾ {low:,}" if brief else f"▾ {low:,} ≤ 0", chart_style.WARN)])
    return [*notes, [Run(cursor, chart_style.CURSOR)]] if cursor else notes


def _curve(entry: Entry, name: int) -> Part:
    part = [Run(entry.sample, entry.style)]
    if name and entry.name:
        part.append(Run(" " + words.fit(entry.name, name), chart_style.TEXT))
    if entry.value is not None:
        style = chart_style.TEXT if math.isfinite(entry.value) else chart_style.BAD
        part.append(Run(" " + words.metric(entry.value), style))
    return part


def _length(part: Part) -> int:
    return sum(len(run.text) if run.text.isascii() else _cells(run.text) for run in part)


def _write(cells: Cells, at: int, part: Part) -> None:
    for run in part:
        cells.write(0, at, run.text, run.style)
        at += _length([run])
