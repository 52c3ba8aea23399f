"""Lines with a search: `/` opens a line to type in, enter keeps what it found, esc shows everything again."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from tui.widgets.text_lines import TextLines


class SearchLine(Input):
    """Where the search is typed; it swallows only what it is for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "give_up", "Close", id="search.close", tooltip="Show everything again", show=False),
    ]

    class GivenUp(Message):
        """Esc was pressed."""

    def action_give_up(self) -> None:
        """No search."""
        self.post_message(self.GivenUp())


class SearchBox(Vertical):
    """`TextLines` above the line that filters them."""

    DEFAULT_CSS = """
    SearchBox {
        height: 1fr;
        & > SearchLine { height: 1; display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", id="lines.search", tooltip="Only lines with what you type"),
    ]

    class Found(Message):
        """Other lines are shown."""

    def compose(self) -> ComposeResult:
        """The lines; the search is hidden until it is wanted."""
        yield TextLines()
        line = SearchLine(placeholder="search", compact=True)
        line.cursor_blink = False
        yield line

    @property
    def lines(self) -> TextLines:
        """The lines."""
        return self.query_one(TextLines)

    @property
    def search(self) -> SearchLine:
        """What is typed."""
        return self.query_one(SearchLine)

    @property
    def state_text(self) -> str:
        """``/ nan · 3 of 812``, for the border; "" without a search."""
        if not self.lines.filter:
            return ""
        return f"/ {self.lines.filter} · {self.lines.matching:,} of {len(self.lines.entries):,}"

    def action_search(self) -> None:
        """Opens the search."""
        self.search.display = True
        self.search.focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.lines.set_filter(event.value)
        self.post_message(self.Found())

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._close()

    @on(SearchLine.GivenUp)
    def _given_up(self, event: SearchLine.GivenUp) -> None:
        event.stop()
        self.clear()

    def clear(self) -> None:
        """Everything again."""
        self.search.value = ""
        self._close()

    def _close(self) -> None:
        had_focus = self.search.has_focus
        self.search.display = False
        if had_focus:
            self.lines.focus()
