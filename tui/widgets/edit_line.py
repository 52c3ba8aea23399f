"""A line of text being edited: text, cursor and whether all of it is selected. No widget, no terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tui import words

LONGEST = 4_096  # characters; a path or a list, no document
_WORD = re.compile(r"\w+\W*")


@dataclass(frozen=True)
class EditLine:
    """Each edit gives a new line.

    Attributes:
        cursor: characters before it.
        selected: the whole text is; what is typed replaces it.
    """

    text: str = ""
    cursor: int = 0
    selected: bool = False

    @classmethod
    def of(cls, text: str) -> EditLine:
        """A text as it is when one arrives at it: selected, so that typing replaces and an arrow edits."""
        return cls(text, len(text), bool(text))

    def insert(self, typed: str) -> EditLine:
        """Puts in the first line of what was typed or pasted."""
        piece = "".join(sign for sign in typed.partition("\n")[0] if sign.isprintable())
        before, after = ("", "") if self.selected else (self.text[: self.cursor], self.text[self.cursor :])
        room = LONGEST - len(before) - len(after)
        return EditLine(before + piece[:room] + after, len(before) + len(piece[:room]))

    def delete(self, left: int, right: int) -> EditLine:
        """Takes out so many characters on each side of the cursor, or what is selected."""
        if self.selected:
            return EditLine()
        start = max(0, self.cursor - left)
        return EditLine(self.text[:start] + self.text[self.cursor + right :], start)

    def move(self, by: int) -> EditLine:
        """Moves the cursor; out of a selection to its end on that side."""
        if self.selected:
            return EditLine(self.text, 0 if by < 0 else len(self.text))
        return EditLine(self.text, min(max(self.cursor + by, 0), len(self.text)))

    def go_to(self, column: int) -> EditLine:
        """The cursor at a column of the text as shown from its start."""
        return EditLine(self.text, len(_fit(self.text, max(0, column))))

    def word(self, direction: int) -> int:
        """How many characters the word to the left or right of the cursor takes, with the gap beside it."""
        starts = [match.start() for match in _WORD.finditer(self.text)]
        if direction < 0:
            return self.cursor - max((start for start in starts if start < self.cursor), default=0)
        return min((start for start in starts if start > self.cursor), default=len(self.text)) - self.cursor

    def window(self, width: int) -> tuple[str, str, str]:
        """What fits into so many columns: the text before the cursor, the sign under it, the text behind."""
        before, after = self.text[: self.cursor], self.text[self.cursor :]
        under, after = after[:1] or " ", after[1:]
        room = width - words.cells(under)
        kept = _fit(before[::-1], room - min(3, words.cells(after)))[::-1]
        return kept, under, _fit(after, room - words.cells(kept))


def _fit(signs: Sequence[str] | str, width: int) -> str:
    """As many signs from the start as fit."""
    kept = []
    for sign in signs:
        width -= words.cells(sign)
        if width < 0:
            break
        kept.append(sign)
    return "".join(kept)
