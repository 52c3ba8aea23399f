"""A report's sections as lines of text: tables, matrices, bars and points, whatever task made them.

A line is a sequence of texts with a tone each, ``quiet`` or "". The command line prints them, the app paints them.
What a task of the user's own made in another shape is passed over, never an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dlcore.text_safety import safe_text
from tui import words

Section = Mapping[str, Any]
Line = Sequence[tuple[str, str]]

WIDEST_MATRIX = 26
LONGEST_BAR = 40
NAME = 40
SHADES = " ·:+*#"


def lines(section: Section, width: int, most_rows: int, height: int = 9) -> list[Line]:
    """A section without its title; none where it holds nothing or does not fit.

    Args:
        width: columns there are.
        most_rows: of a table.
        height: lines of a picture.
    """
    draw = {
        "table": lambda: _table(section, most_rows),
        "matrix": lambda: _matrix(section, width),
        "bars": lambda: _bars(section, width),
        "points": lambda: _points(section, width, height),
    }.get(str(section.get("kind")))
    try:
        body = draw() if draw is not None else []
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError):
        return []
    note = section.get("note")
    return [*body, [(safe_text(note), "quiet")]] if body and note else body


def number(value: Any) -> str:
    """A cell: a share or a figure with four digits, a count with its thousands, a dash for nothing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return words.UNKNOWN
    if isinstance(value, float):
        return words.metric(value)
    if isinstance(value, int):
        return f"{value:,}"
    return words.fit(safe_text(value), NAME)


def _table(section: Section, most: int) -> list[Line]:
    rows = section["rows"]
    if not rows:
        return []
    shown = [[number(cell) for cell in row] for row in rows[:most]]
    align = "".join("<" if isinstance(cell, str) else ">" for cell in rows[0])
    header, *body = words.columns([[safe_text(name) for name in section["columns"]], *shown], align)
    more = [f"and {len(rows) - most:,} more"] if len(rows) > most else []
    return [[(header, "quiet")], *([(line, "")] for line in [*body, *more])]


def _matrix(section: Section, width: int) -> list[Line]:
    """Nothing where it would not fit: what is most confused is listed besides."""
    names = [words.fit(safe_text(name), 12) for name in section["names"]]
    rows = [[name, *map(str, cells)] for name, cells in zip(names, section["cells"], strict=True)]
    if len(names) > WIDEST_MATRIX:
        return []
    header, *body = words.columns([["true ╲ predicted", *names], *rows], "<" + ">" * len(names))
    if any(words.cells(line) > width for line in (header, *body)):
        return []
    return [[(header, "quiet")], *([(line, "")] for line in body)]


def _bars(section: Section, width: int) -> list[Line]:
    most = max(section["values"], default=0) or 1
    labels = [safe_text(label) for label in section["labels"]]
    room = max(4, min(LONGEST_BAR, width - max(map(words.cells, labels), default=0) - 12))
    rows = [
        (label, "█" * round(room * value / most), number(int(value)))
        for label, value in zip(labels, section["values"], strict=True)
    ]
    return _plain(words.columns(rows, "><<"))


def _points(section: Section, width: int, height: int) -> list[Line]:
    """A coarse picture: how many points fall into each of a few cells."""
    x, y = section["x"], section["y"]
    if not x or not all(map(math.isfinite, [*x, *y])):
        return []
    axis = [number(max(y)), *[""] * (height - 2), number(min(y))]
    columns = max(8, min(100, width - max(map(len, axis)) - 3))
    x_low, x_span = min(x), (max(x) - min(x)) or 1.0
    y_low, y_span = min(y), (max(y) - min(y)) or 1.0
    cells = [[0] * columns for _ in range(height)]
    for across, up in zip(x, y, strict=True):
        row = height - 1 - min(height - 1, int((up - y_low) / y_span * height))
        cells[row][min(columns - 1, int((across - x_low) / x_span * columns))] += 1
    most = max(map(max, cells))
    drawn = ["".join(SHADES[math.ceil(count / most * (len(SHADES) - 1))] for count in line) for line in cells]
    rows = list(zip(axis, [f"│{line}" for line in drawn], strict=True))
    low, high = number(min(x)), number(max(x))
    foot = f"{low}{safe_text(section['x_name']):^{max(1, columns - len(low) - len(high))}}{high}"
    return _plain(words.columns([*rows, ("", f" {foot}")], "><"))


def _plain(texts: Iterable[str]) -> list[Line]:
    return [[(line, "")] for line in texts]
