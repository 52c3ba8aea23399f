"""Lines of text that grow at their end: wrapped, searchable, bounded, and still at the end when they grow.

Costs what is in sight; every text is safe already and never read as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType

from tui import words
from tui.widgets.line_list import Cell, LineList, fitted

MOST = 5_000  # entries kept
_LEAST_TEXT = 12  # columns below which the lead is left out


class Entry(NamedTuple):
    """One text with what stands before it, such as a time, and the tone of its sign."""

    text: str
    lead: str = ""
    sign: str = ""
    tone: str = ""


class _Row(NamedTuple):
    entry: Entry
    part: str
    first: bool


class TextLines(LineList):
    """Shows the entries that match a filter, as many rows each as they need."""

    HELP_TITLE = "Lines"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy(False)", "Copy", id="lines.copy", tooltip="Copy the marked line", show=False),
        Binding("C", "copy(True)", "Copy all", id="lines.copy-all", tooltip="Copy all of them", show=False),
    ]
    DEFAULT_CSS = """
    TextLines > .lines--cursor { background: $background; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._entries: list[Entry] = []
        self._rows: list[_Row] = []
        self._filter = ""
        self._wrapped_for = 0
        self._matching = 0
        self._dropped = 0

    @property
    def entries(self) -> Sequence[Entry]:
        """All that are kept, oldest first."""
        return self._entries

    @property
    def filter(self) -> str:
        """What entries must contain, in any case of letters; "" for all."""
        return self._filter

    @property
    def matching(self) -> int:
        """How many entries pass the filter."""
        return self._matching

    def replace(self, entries: Iterable[Entry]) -> None:
        """Other entries; those that only go on are added."""
        fresh = list(entries)[-MOST:]
        known = len(self._entries)
        if known and fresh[:known] == self._entries:
            self.extend(fresh[known:])
        elif fresh != self._entries:
            self._entries = fresh
            self._wrap_all(at_end=True)

    def extend(self, entries: Iterable[Entry]) -> None:
        """More entries at the end; the oldest go when there are too many."""
        fresh = list(entries)
        if not fresh:
            return
        at_end = self.cursor >= len(self._rows) - 1
        self._entries += fresh
        if len(self._entries) > MOST:
            del self._entries[: len(self._entries) - MOST * 3 // 4]
            self._wrap_all(at_end=at_end)
            return
        self._wrap(fresh)
        self._show(at_end=at_end)

    def clear(self) -> None:
        """No entries."""
        self._entries = []
        self._wrap_all(at_end=True)

    def set_filter(self, text: str) -> None:
        """Only entries that contain the text."""
        if text.lower() != self._filter:
            self._filter = text.lower()
            self._wrap_all(at_end=True)

    def _wrap_all(self, *, at_end: bool) -> None:
        self._rows, self._matching = [], 0
        self._wrapped_for = self.content_width
        self._wrap(self._entries)
        self._drawn.clear()
        self._show(at_end=at_end)

    def _wrap(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if self._filter and self._filter not in f"{entry.lead} {entry.text}".lower():
                continue
            self._matching += 1
            parts = wrapped(entry.text, self._text_width(entry))
            self._rows += [_Row(entry, part, number == 0) for number, part in enumerate(parts)]

    def _show(self, *, at_end: bool) -> None:
        self.rows_changed()
        if at_end and self._rows:
            self.cursor = len(self._rows) - 1
            self._keep_in_sight()

    def _lead_width(self, entry: Entry) -> int:
        lead = words.cells(entry.lead) + bool(entry.lead) + 2 * bool(entry.sign)
        return lead if self._wrapped_for - lead >= _LEAST_TEXT else 2 * bool(entry.sign)

    def _text_width(self, entry: Entry) -> int:
        return max(1, self._wrapped_for - self._lead_width(entry))

    def on_resize(self) -> None:
        """Another width wraps otherwise."""
        if self.content_width != self._wrapped_for:
            self._wrap_all(at_end=self.cursor >= len(self._rows) - 1)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nothing to open."""
        return action != "take"

    def action_copy(self, everything: bool) -> None:
        """Puts text into the clipboard of the terminal's machine."""
        marked = self._rows[self.cursor : self.cursor + 1]
        rows = [row for row in self._rows if row.first] if everything else marked
        text = "\n".join(f"{row.entry.lead} {row.entry.text}".strip() for row in rows)
        if text:
            self.app.copy_to_clipboard(text)

    # How a row looks.

    @property
    def row_count(self) -> int:  # noqa: D102
        return len(self._rows)

    def is_marked(self, index: int) -> bool:
        """A sentence that stands for lines that are not there yet is none to choose."""
        entry = self._rows[index].entry
        return super().is_marked(index) and not (entry.tone == "quiet" and not entry.lead)

    def row_key(self, index: int) -> object:  # noqa: D102
        return self._rows[index]

    def row_cells(self, index: int, width: int, here: bool) -> Sequence[Cell]:  # noqa: D102
        row = self._rows[index]
        entry, lead = row.entry, self._lead_width(row.entry)
        sign = 2 * bool(entry.sign)
        text = Cell(fitted(row.part, max(0, width - lead)), entry.tone)
        if not row.first:
            return [Cell(" " * lead), text]
        marks = Cell(fitted(entry.sign, sign), entry.tone)
        return [Cell(fitted(entry.lead, lead - sign), "quiet"), marks, text]


def wrapped(text: str, width: int) -> list[str]:
    """A text as lines of at most ``width`` columns, broken at blanks where there are any."""
    if words.cells(text) <= width:
        return [text]
    lines = []
    while words.cells(text) > width:
        cut = _fitting(text, width)
        blank = text.rfind(" ", 0, cut + 1)
        if blank > cut // 2:
            lines.append(text[:blank].rstrip())
            text = text[blank + 1 :]
        else:
            lines.append(text[:cut])
            text = text[cut:]
    return [*lines, text] if text else lines


def _fitting(text: str, width: int) -> int:
    """How many signs fit; at least one, so that a sign wider than the space cannot stop the rest."""
    if text.isascii():
        return max(1, min(width, len(text)))
    taken = 0
    for number, sign in enumerate(text):
        taken += words.cells(sign)
        if taken > width:
            return max(1, number)
    return len(text)
