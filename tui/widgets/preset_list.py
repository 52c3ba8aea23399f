"""The presets that come with the program, one line each, in the order of the learning path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tui.widgets.line_list import Cell, LineList, fitted

NAME = 24
CHAPTER = 10


class Offer(NamedTuple):
    """A preset as it is offered; texts are safe to print."""

    name: str
    title: str
    chapter: int
    lesson: int = 0


def offers() -> list[Offer]:
    """Shipped presets that can be read, in the order of the path, recipes last; reads files, so for a thread."""
    import tomllib

    from dlcore.chapters import place
    from dlcore.errors import UserError
    from dlcore.preset import shipped
    from dlcore.preset.text import read_text
    from dlcore.text_safety import safe_text

    found = []
    for path in shipped():
        try:
            about = tomllib.loads(read_text(path, path.name)).get("about", {})
        except (UserError, ValueError, RecursionError):
            continue
        about = about if isinstance(about, dict) else {}
        numbers = (about.get(key) for key in ("chapter", "lesson"))
        chapter, lesson = (number if type(number) is int else 0 for number in numbers)
        title = safe_text(about.get("summary") or about.get("title") or "", limit=200)
        found.append(Offer(safe_text(path.stem, limit=80), title, chapter, lesson))
    return sorted(found, key=lambda offer: place(offer.chapter, offer.lesson, offer.name))


class PresetList(LineList):
    """Presets to begin from."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: Sequence[Offer] = ()

    @property
    def row_count(self) -> int:  # noqa: D102
        return len(self.rows)

    @property
    def current(self) -> Offer | None:
        """The preset under the cursor."""
        return self.rows[self.cursor] if 0 <= self.cursor < len(self.rows) else None

    def show(self, rows: Sequence[Offer]) -> None:
        """Takes the presets."""
        self.rows = rows
        self.rows_changed()

    def row_key(self, index: int) -> object:  # noqa: D102
        return self.rows[index]

    def row_cells(self, index: int, width: int, here: bool) -> Sequence[Cell]:  # noqa: D102
        offer = self.rows[index]
        lead = min(NAME, max((len(row.name) for row in self.rows), default=NAME)) + 2
        chapter = f"chapter {offer.chapter}" if offer.chapter else "recipe"
        room = width - 2 - lead - CHAPTER - 2
        if room < 20:
            return [Cell("▸ " if here else "  ", "accent", bold=True), Cell(fitted(offer.name, width - 2))]
        return [
            Cell("▸ " if here else "  ", "accent", bold=True),
            Cell(fitted(offer.name, lead)),
            Cell(fitted(offer.title, room) + "  ", "quiet"),
            Cell(fitted(chapter, CHAPTER, right=True), "quiet"),
        ]
