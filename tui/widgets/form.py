"""A form of typed fields: moving to a field is enough to type in it.

It shows what is typed at once and tells each edit; what is wrong with it comes back through `show_errors`.
"""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click, Key, Paste
from textual.message import Message

from tui.field_text import SWITCH
from tui.form_rows import Row
from tui.widgets.edit_line import LONGEST, EditLine
from tui.widgets.field_list import TYPED, FieldList


def _quiet(keys: str, action: str, name: str, about: str) -> Binding:
    """A key that needs no place in the footer."""
    return Binding(keys, action, about, id=f"form.{name}", tooltip=about, show=False)


class Form(FieldList, inherit_bindings=False):
    """Edits the field under the cursor."""

    HELP_TITLE = "Settings"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "Choose", id="form.take", tooltip="Open the list, flip the switch, go on"),
        Binding("ctrl+d", "default", "Default", id="form.default", tooltip="The field's default again"),
        _quiet("space", "take", "space", "Open the list, flip the switch"),
        _quiet("up", "move(-1)", "up", "The field above"),
        _quiet("down", "move(1)", "down", "The field below"),
        _quiet("pageup", "page(-1)", "page-up", "A screenful up"),
        _quiet("pagedown", "page(1)", "page-down", "A screenful down"),
        _quiet("ctrl+home", "jump(0)", "first", "The first field"),
        _quiet("ctrl+end", "jump(-1)", "last", "The last field"),
        _quiet("left", "step(-1)", "left", "Back in the text; the choice before"),
        _quiet("right", "step(1)", "right", "On in the text; the next choice"),
        _quiet("ctrl+left", "word(-1)", "word-left", "A word back"),
        _quiet("ctrl+right", "word(1)", "word-right", "A word on"),
        _quiet("home,ctrl+a", "edge(-1)", "start", "To the start of the text"),
        _quiet("end,ctrl+e", "edge(1)", "end", "To the end of the text"),
        _quiet("backspace", "delete(1, 0)", "backspace", "Delete to the left"),
        _quiet("delete", "delete(0, 1)", "delete", "Delete to the right"),
        _quiet("ctrl+w", "delete_word", "delete-word", "Delete the word to the left"),
        _quiet("ctrl+u", f"delete({LONGEST}, 0)", "clear", "Delete all to the left"),
        _quiet("ctrl+k", f"delete(0, {LONGEST})", "cut", "Delete all to the right"),
    ]

    class Edited(Message):
        """A field holds another text; None wishes for its default. Who takes it calls `Form.heard`."""

        def __init__(self, form: Form, row: Row, text: str | None) -> None:
            super().__init__()
            self.form = form
            self.row = row
            self.text = text

    class Picking(Message):
        """Wish: choose this field's value from a list, or by steps of one where ``step`` is not 0."""

        def __init__(self, row: Row, step: int = 0) -> None:
            super().__init__()
            self.row = row
            self.step = step

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Keys that print are typed; the footer need not offer them."""
        return self.is_typing and character is not None and character.isprintable()

    def on_key(self, event: Key) -> None:
        """Types."""
        if event.is_printable and self.is_typing:
            event.stop()
            event.prevent_default()
            self._edit(self.line.insert(event.character or ""))

    def on_paste(self, event: Paste) -> None:
        """Types what was pasted, its first line."""
        event.stop()
        if self.is_typing:
            self._edit(self.line.insert(event.text.lstrip("\r\n").replace("\r", "\n")))

    def on_click(self, event: Click) -> None:
        """Goes to the field under the pointer; another click does what enter does."""
        index = event.y + int(self.scroll_offset.y)
        if not 0 <= index < len(self._lines):
            return
        again = self._lines[index].row == self._row_number
        self._go_to_row(self._lines[index].row)
        if again and self.is_typing:
            self._edit(self.line.go_to(event.x - self._lead))
        elif again:
            self.action_take()

    def heard(self) -> None:
        """One more edit has been taken: the rows that come now know of it."""
        self.unheard -= 1

    def action_take(self) -> None:
        """Does with the field what its kind asks for."""
        row = self.current
        if row is None:
            return
        if row.kind in TYPED:
            self.action_move(1)
        elif row.kind == "switch":
            self._say(row, SWITCH[row.text == SWITCH[0]])
        else:
            self.post_message(self.Picking(row))

    def action_step(self, by: int) -> None:
        """The cursor in a text, the next or last choice elsewhere."""
        row = self.current
        if row is None or row.kind == "more":
            return
        if row.kind in TYPED:
            self._edit(self.line.move(by))
        elif row.kind == "switch":
            self._say(row, SWITCH[row.text == SWITCH[0]])
        else:
            self.post_message(self.Picking(row, by))

    def action_word(self, direction: int) -> None:
        """The cursor by a word."""
        self._edit(self.line.move(direction * self.line.word(direction)))

    def action_edge(self, side: int) -> None:
        """The cursor to an end of the text."""
        self._edit(self.line.move(side * len(self.line.text)))

    def action_delete(self, left: int, right: int) -> None:
        """Characters on either side of the cursor."""
        self._edit(self.line.delete(left, right))

    def action_delete_word(self) -> None:
        """The word to the left."""
        self._edit(self.line.delete(self.line.word(-1), 0))

    def action_default(self) -> None:
        """Nothing chosen here any more."""
        row = self.current
        if row is not None and row.kind != "more":
            self._say(row, None)

    def _edit(self, line: EditLine) -> None:
        row = self.current
        if row is None or row.kind not in TYPED or line == self.line:
            return
        changed = line.text != self.line.text
        self.line = line
        self.refresh_changed()
        if changed:
            self._say(row, line.text)

    def _say(self, row: Row, text: str | None) -> None:
        self.unheard += 1
        self.post_message(self.Edited(self, row, text))
