"""What the terminal shows, cell by cell, so that a repaint sends no cell that is there already.

Textual sends whatever was refreshed. Moving the focus refreshes two panels for the sake of their borders, a
letter typed into a filter the whole screen: tens of kilobytes, of which hundreds of bytes are new. The
picture kept here is of what was really written; whatever else may have touched the terminal has to call
`Shown.forget`, after which everything is sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

NEAR = 8  # cells: sending so many again costs less than moving the cursor over them
MOST_STYLES = 4096  # different ones after which the picture is given up rather than its memory let grow


class Piece(NamedTuple):
    """What to send from a cell on."""

    y: int
    x: int
    strip: Strip


class _Line:
    """Cells of one line: a sign each, and the number of its style."""

    __slots__ = ("signs", "styles")

    def __init__(self) -> None:
        self.signs: list[object] = []
        self.styles: list[int] = []


class Shown:
    """The picture; to be told of every piece that is sent, in order."""

    def __init__(self) -> None:
        self._lines: dict[int, _Line] = {}
        self._numbers: dict[Style | None, int] = {}

    def forget(self) -> None:
        """Nobody knows any longer what is there."""
        self._lines.clear()
        self._numbers.clear()

    def news(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """What of the pieces is not on the terminal yet; taken to be there from now on."""
        if len(self._numbers) > MOST_STYLES:
            self.forget()
        for piece in pieces:
            yield from self._news_of(piece)

    def _news_of(self, piece: Piece) -> Iterator[Piece]:
        y, x, strip = piece
        new, divisible = self._cells(strip)
        line = self._lines.setdefault(y, _Line())
        end = x + len(new.signs)
        if len(line.signs) < end:
            missing = end - len(line.signs)
            line.signs += [None] * missing
            line.styles += [-1] * missing
        signs, styles = line.signs[x:end], line.styles[x:end]
        if signs == new.signs and styles == new.styles:
            return
        line.signs[x:end], line.styles[x:end] = new.signs, new.styles
        if not divisible:
            yield piece
            return
        old = zip(signs, styles, new.signs, new.styles, strict=True)
        for start, stop in _runs([at for at, (a, b, c, d) in enumerate(old) if a != c or b != d]):
            yield Piece(y, x + start, strip.crop(start, stop))

    def _cells(self, strip: Strip) -> tuple[_Line, bool]:
        """The strip's cells, and whether it can be sent in part: signs of two cells are not cut apart."""
        line, divisible = _Line(), True
        for text, style, _ in strip:
            number = self._numbers.setdefault(style, len(self._numbers))
            if text.isascii() or _is_narrow(text):
                line.signs += text
                width = len(text)
            else:
                divisible = False
                width = cell_len(text)
                line.signs += [(text, at) for at in range(width)]
            line.styles += [number] * width
        return line, divisible


def _runs(cells: list[int]) -> Iterator[tuple[int, int]]:
    """Starts and ends around cells in ascending order; those near each other together."""
    start = last = cells[0]
    for at in cells[1:]:
        if at - last > NEAR:
            yield start, last + 1
            start = at
        last = at
    yield start, last + 1


@lru_cache(maxsize=4096)
def _is_narrow(text: str) -> bool:
    """Whether every sign takes one cell."""
    return all(cell_len(sign) == 1 for sign in set(text))
