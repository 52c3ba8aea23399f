"""Typed fields, one a line, with what is wrong with a field under it: how they are laid out and painted.

The list knows no presets and edits nothing: it is told rows and errors. `widgets.form` types into it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import NamedTuple

from rich.style import Style
from textual.strip import Strip

from dlcore.text_safety import safe_text
from tui import field_text, words
from tui.form_rows import Place, Row
from tui.widgets.edit_line import EditLine
from tui.widgets.line_list import Cell, LineList, fitted

TYPED = ("text", "number", "list", "any")
_LABEL = 20  # columns at most
_CARET = "caret"
_SELECTED = "selected"
EMPTY = "What can be set will be here."


class _Line(NamedTuple):
    """A line of the form: a row, part of what is wrong with it, or the space before it."""

    row: int
    error: str = ""
    space: bool = False

    @property
    def is_field(self) -> bool:
        return not self.error and not self.space


class FieldList(LineList, inherit_bindings=False):
    """Fields from top to bottom; ``LineList.cursor`` is a line, `current` a row.

    Attributes:
        line: the text of the current row where it is typed, with its cursor.
        unheard: edits that the rows cannot know of yet, because they are still on their way.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: Sequence[Row] = ()
        self.errors: Mapping[Place, str] = {}
        self.line = EditLine()
        self.unheard = 0
        self._lines: list[_Line] = []
        self._at: Place | None = None

    # What the screen tells.

    def show(self, rows: Sequence[Row]) -> None:
        """Takes rows; the cursor stays on its field, and so does what is being typed there."""
        place = self._at
        self.rows = rows
        self._lay_out()
        found = next((number for number, row in enumerate(rows) if row.place == place), None)
        if found is None:  # gone with its builder
            found = next((number for number, row in enumerate(rows) if place and row.place[0] == place[0]), 0)
        elif not self.unheard and rows[found].kind in TYPED and not _stands_for(self.line, rows[found]):
            self.line = EditLine.of(rows[found].text)  # changed by something else than typing
        self._go_to_row(found)
        self.rows_changed()

    def show_errors(self, errors: Mapping[Place, str]) -> None:
        """Takes what is wrong, field by field."""
        if errors != self.errors:
            number = self._row_number
            self.errors = errors
            self._lay_out()
            self._go_to_row(number)
            self.rows_changed()
            self._keep_in_sight()

    def go_to(self, place: Place) -> bool:
        """Moves to a field, if there is such a one."""
        number = next((number for number, row in enumerate(self.rows) if row.place == place), None)
        if number is not None:
            self._go_to_row(number)
        return number is not None

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        number = self._row_number
        return self.rows[number] if 0 <= number < len(self.rows) else None

    @property
    def is_typing(self) -> bool:
        """Whether keys that print go into the field."""
        return self.current is not None and self.current.kind in TYPED

    def render_line(self, y: int) -> Strip:
        """A field; where there are none yet, what will be here."""
        if y or self.rows:
            return super().render_line(y)
        return self._strip([Cell(EMPTY, "quiet")], self.content_width, False)

    # Lines.

    @property
    def _row_number(self) -> int:
        return self._lines[self.cursor].row if 0 <= self.cursor < len(self._lines) else -1

    def _lay_out(self) -> None:
        width = max(20, self.content_width - 4)
        told = [self._told(row, width) for row in self.rows]
        spaces = sum(row.first for row in self.rows[1:])
        airy = self.size.height >= len(self.rows) + sum(map(len, told)) + spaces
        self._lines = []
        for number, row in enumerate(self.rows):
            if airy and row.first and number:
                self._lines.append(_Line(number, space=True))
            self._lines += [_Line(number), *(_Line(number, text) for text in told[number])]

    def _told(self, row: Row, width: int) -> list[str]:
        """What is wrong with a row, in lines."""
        message = self.errors.get(row.place)
        if not message:
            return []
        return wrap(f"✗ {safe_text(message, limit=400)}", width, subsequent_indent="  ")

    def _keep_in_sight(self) -> None:
        """The field, and what is wrong with it."""
        rows, top, number = self.size.height, int(self.scroll_offset.y), self._row_number
        last = max((i for i, line in enumerate(self._lines) if line.row == number), default=self.cursor)
        wanted = min(max(top, last - rows + 1), self.cursor)
        if rows > 0 and self.cursor >= 0 and wanted != top:
            self.scroll_to(y=wanted, animate=False, force=True)

    def _go_to_row(self, number: int) -> None:
        index = next((i for i, line in enumerate(self._lines) if line.row == number and line.is_field), -1)
        if index >= 0:
            self.cursor = index

    def on_resize(self) -> None:
        """Errors are wrapped anew."""
        number = self._row_number
        self._lay_out()
        self._go_to_row(number)
        super().on_resize()

    @property
    def row_count(self) -> int:  # noqa: D102
        return len(self._lines)

    def row_key(self, index: int) -> object:  # noqa: D102
        line = self._lines[index]
        row = self.rows[line.row]
        editing = (self.line,) if index == self.cursor and row.kind in TYPED and self.has_focus else ()
        look = row.place, row.label, row.kind, row.text, row.chosen, row.option.required
        return line, look, row.place in self.errors, self._lead, editing

    @property
    def _lead(self) -> int:
        """Columns of the labels."""
        longest = max((words.cells(row.label) + 2 * row.indent for row in self.rows), default=0)
        return min(longest, _LABEL) + 2

    def row_cells(self, index: int, width: int, here: bool) -> Sequence[Cell]:  # noqa: D102
        line = self._lines[index]
        row = self.rows[line.row]
        if not line.is_field:
            return [Cell("    "), Cell(line.error, "error")]
        if row.kind == "more":
            return [Cell(f"{row.text} {row.label}", "quiet")]
        lead = self._lead
        label = fitted(f"{'  ' if row.indent else ''}{row.label}", lead - 1) + " "
        tone = "error" if row.place in self.errors else ""
        cells = [Cell(label, "" if row.kind == "builder" else "quiet", row.kind == "builder")]
        room = max(1, width - lead - 2)
        if here and self.has_focus and row.kind in TYPED:
            return [*cells, *self._edited(room, tone)]
        text = fitted(safe_text(row.text, limit=400) or self._nothing(row), room)
        cells.append(Cell(text, tone or ("" if row.text else "quiet"), row.chosen))
        return [*cells, Cell(" ▾" if row.kind in ("builder", "choice") else "  ", "quiet")]

    def _nothing(self, row: Row) -> str:
        return "required" if row.option.required else "none"

    def _edited(self, room: int, tone: str) -> list[Cell]:
        if self.line.selected:
            return [Cell(words.fit(_printable(self.line.text), room), _SELECTED)]
        before, under, after = map(_printable, self.line.window(room + 1))
        return [Cell(before, tone), Cell(under, _CARET), Cell(after, tone)]

    def _style(self, tone: str, bold: bool, here: bool) -> Style:
        if tone in (_CARET, _SELECTED):
            return super()._style("" if tone == _CARET else "accent", bold, here) + Style(reverse=True)
        return super()._style(tone, bold, here)

    # Moving.

    def watch_cursor(self, before: int, cursor: int) -> None:
        """Another field: its text is selected."""
        row = self.current
        if row is not None and row.place != self._at:
            self._at = row.place
            self.line = EditLine.of(row.text)
        super().watch_cursor(before, cursor)

    def action_move(self, by: int) -> None:
        """To the field below, or above where negative."""
        self._go_to_row(min(max(self._row_number + by, 0), len(self.rows) - 1))

    def action_page(self, by: int) -> None:
        """Screenfuls of fields."""
        self.action_move(by * max(1, self.size.height - 2))

    def action_jump(self, index: int) -> None:
        """To the first field, or the last where negative."""
        self._go_to_row(index if index >= 0 else len(self.rows) - 1)


def _printable(text: str) -> str:
    """A text with each sign that a terminal might obey replaced, column for column."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "·" for sign in text)


def _stands_for(line: EditLine, row: Row) -> bool:
    """Whether what is being typed is the row's value, written otherwise."""
    value = field_text.parse(row.option, line.text)
    return field_text.show(row.option, row.option.default if value is None else value) == row.text
