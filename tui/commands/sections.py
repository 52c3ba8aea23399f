"""A report's sections as lines of text: tables, matrices, bars and points, whatever task made them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dlcore.text_safety import safe_text
from tui import words
from tui.commands.common import paint, terminal_width

INDENT = "  "
MOST_ROWS = 40
WIDEST_MATRIX = 26
BAR = 40
NAME = 40


def lines_of(sections: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """All sections with their titles, an empty line before each."""
    lines: list[str] = []
    for section in sections.values():
        body = _DRAW[section["kind"]](section)
        if body:
            lines += ["", paint(safe_text(section["title"]), "bold"), *body]
            if section["note"]:
                lines.append(paint(INDENT + safe_text(section["note"]), "dim"))
    return lines


def number(value: Any) -> str:
    """A cell: a share or a figure with four digits, a count with its thousands, a dash for nothing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return words.UNKNOWN
    if isinstance(value, float):
        return words.metric(value)
    if isinstance(value, int):
        return f"{value:,}"
    return words.fit(safe_text(value), NAME)


def _table(section: Mapping[str, Any]) -> list[str]:
    rows = section["rows"]
    if not rows:
        return []
    shown = [[number(cell) for cell in row] for row in rows[:MOST_ROWS]]
    align = "".join("<" if isinstance(cell, str) else ">" for cell in rows[0])
    header, *lines = _indented([section["columns"], *shown], align)
    more = (
        [INDENT + f"and {len(rows) - MOST_ROWS:,} more (--json has them all)"]
        if len(rows) > MOST_ROWS
        else []
    )
    return [paint(header, "dim"), *lines, *more]


def _matrix(section: Mapping[str, Any]) -> list[str]:
    """Nothing where it would not fit: what is most confused is listed besides."""
    names = [words.fit(safe_text(name), 12) for name in section["names"]]
    rows = [[name, *map(str, cells)] for name, cells in zip(names, section["cells"], strict=True)]
    if len(names) > WIDEST_MATRIX:
        return []
    header, *lines = _indented([["true ╲ predicted", *names], *rows], "<" + ">" * len(names))
    wide = words.cells(header) > terminal_width() or any(
        words.cells(line) > terminal_width() for line in lines
    )
    return [] if wide else [paint(header, "dim"), *lines]


def _bars(section: Mapping[str, Any]) -> list[str]:
    most = max(section["values"], default=0) or 1
    rows = [
        (safe_text(label), "█" * round(BAR * value / most), number(int(value)))
        for label, value in zip(section["labels"], section["values"], strict=True)
    ]
    return _indented(rows, "><<")


def _points(section: Mapping[str, Any]) -> list[str]:
    """A coarse picture: how many points fall into each of a few cells."""
    columns, lines = 48, 9
    x, y = section["x"], section["y"]
    if not x or not all(map(math.isfinite, [*x, *y])):
        return []
    x_low, x_span = min(x), (max(x) - min(x)) or 1.0
    y_low, y_span = min(y), (max(y) - min(y)) or 1.0
    cells = [[0] * columns for _ in range(lines)]
    for across, up in zip(x, y, strict=True):
        row = lines - 1 - min(lines - 1, int((up - y_low) / y_span * lines))
        cells[row][min(columns - 1, int((across - x_low) / x_span * columns))] += 1
    most = max(map(max, cells))
    shades = " ·:+*#"
    drawn = ["".join(shades[math.ceil(count / most * (len(shades) - 1))] for count in line) for line in cells]
    axis = [number(max(y)), *[""] * (lines - 2), number(min(y))]
    rows = list(zip(axis, [f"│{line}" for line in drawn], strict=True))
    low, high = number(min(x)), number(max(x))
    foot = f"{low}{section['x_name']:^{columns - len(low) - len(high)}}{high}"
    return _indented([*rows, ("", f" {foot}")], "><")


def _indented(rows: Iterable[Sequence[str]], align: str) -> list[str]:
    return [INDENT + line for line in words.columns(rows, align)]


_DRAW = {"table": _table, "matrix": _matrix, "bars": _bars, "points": _points}
