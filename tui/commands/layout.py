"""Tables and facts that keep within the terminal. What goes down a pipe is whole: nothing is cut or wrapped there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import NamedTuple

from tui import words
from tui.commands.common import terminal_width

_LEAST = 24  # columns of a fact, however narrow the terminal


class Give(NamedTuple):
    """How a column makes room.

    Attributes:
        column: index of it.
        shorten: what is told of a cell instead; None leaves the column out.
    """

    column: int
    shorten: Callable[[str], str] | None = None


def table(rows: Sequence[Sequence[str]], align: str, gives: Sequence[Give]) -> list[str]:
    """`words.columns` of a heading and rows; in a terminal, columns give way in turn until all lines fit."""
    kept = [list(row) for row in rows]
    shown = list(range(len(align)))

    def lines() -> list[str]:
        return words.columns([[row[at] for at in shown] for row in kept], "".join(align[at] for at in shown))

    for give in gives:
        if not sys.stdout.isatty() or max(map(words.cells, lines())) <= terminal_width():
            break
        if give.shorten is None:
            shown.remove(give.column)
        else:
            for row in kept[1:]:
                row[give.column] = give.shorten(row[give.column])
    return lines()


def facts(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Names and what is to be said of each, one below the other; in a terminal, wrapped beside the name."""
    if not sys.stdout.isatty():
        return words.columns(pairs, "<<")
    lead = max((words.cells(name) for name, _ in pairs), default=0) + 2
    room = max(_LEAST, terminal_width() - lead)
    rows: list[tuple[str, str]] = []
    for name, value in pairs:
        first, *rest = wrap(value, room, break_on_hyphens=False) or [""]
        rows += [(name, first), *(("", line) for line in rest)]
    return words.columns(rows, "<<")


def first_of(separator: str) -> Callable[[str], str]:
    """Of several things with a separator between them the first, and that there are more: ``64×28×128 …``."""

    def shorten(text: str) -> str:
        first, found, _ = text.partition(separator)
        return f"{first} …" if found else first

    return shorten


def end_of(most: int) -> Callable[[str], str]:
    """The end of a path, which tells more than its start; its indent stays."""

    def shorten(text: str) -> str:
        path = text.lstrip()
        indent = text[: len(text) - len(path)]
        return text if words.cells(path) <= most else f"{indent}…{path[1 - most :]}"

    return shorten
