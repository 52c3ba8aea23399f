"""A rectangle of terminal cells as arrays: what changed between two of them, and a row as styled text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tui import words

BLANK = 32
_REST = 0  # the second column of a wide sign


class Change(NamedTuple):
    """Cells of one row that must be sent again."""

    row: int
    start: int
    stop: int


class Cells:
    """Code points and styles of ``rows`` times ``columns`` cells, blank at first.

    Attributes:
        codes: (rows, columns) code points; a wide sign is followed by 0.
        styles: (rows, columns) numbers of styles; that of a blank cell means nothing.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.codes: NDArray[np.uint32] = np.full((rows, columns), BLANK, np.uint32)
        self.styles: NDArray[np.uint8] = np.zeros((rows, columns), np.uint8)

    def write(self, row: int, column: int, text: str, style: int) -> None:
        """Puts a text into a row; what does not fit is left out, and so are signs without a width."""
        codes = [*text.encode()] if text.isascii() else []
        for sign in "" if codes else text:
            codes += ([], [ord(sign)], [ord(sign), _REST])[words.cells(sign)]
        codes = codes[: max(0, self.codes.shape[1] - column)]
        if codes:
            self.codes[row, column : column + len(codes)] = codes
            self.styles[row, column : column + len(codes)] = style

    def changes(self, before: Cells, gap: int = 8) -> list[Change]:
        """Runs of cells that differ from those ``before``, of the same size.

        Args:
            gap: unchanged cells between two changed ones that cost less to send than to jump over.
        """
        differs = self.codes != before.codes
        differs |= (self.styles != before.styles) & (self.codes != BLANK)
        rows, columns = np.nonzero(differs)
        if not len(rows):
            return []
        new = np.flatnonzero((rows[1:] != rows[:-1]) | (columns[1:] - columns[:-1] > gap)) + 1
        starts, ends = np.concatenate([[0], new]), np.concatenate([new, [len(rows)]]) - 1
        found = zip(rows[starts].tolist(), columns[starts].tolist(), columns[ends].tolist(), strict=True)
        return [self._whole(row, start, end + 1) for row, start, end in found]

    def _whole(self, row: int, start: int, stop: int) -> Change:
        """The run with both columns of a wide sign at its ends."""
        if self.codes[row, start] == _REST:
            start -= 1
        if stop < self.codes.shape[1] and self.codes[row, stop] == _REST:
            stop += 1
        return Change(row, start, stop)

    def text(self, row: int) -> str:
        """A row without styles."""
        return self._signs(row).replace("\0", "")

    def _signs(self, row: int) -> str:
        return bytes(self.codes[row].astype("<u4")).decode("utf-32-le")

    def runs(self, row: int) -> Sequence[tuple[str, int]]:
        """A row as texts of one style each; a blank has the style of what is before it."""
        text, codes = self._signs(row), self.codes[row]
        here = np.arange(len(codes))
        styles = self.styles[row][np.maximum.accumulate(np.where(codes != BLANK, here, 0))]
        cuts = np.flatnonzero(styles[1:] != styles[:-1]) + 1
        bounds = [0, *cuts.tolist(), len(text)]
        marks = styles[bounds[:-1]].tolist() if text else []
        return [
            (text[a:b].replace("\0", ""), mark) for a, b, mark in zip(bounds, bounds[1:], marks, strict=False)
        ]
