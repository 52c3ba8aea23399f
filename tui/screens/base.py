"""What all full screens share: a header of one line above, the keys of the moment below."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen

from tui.widgets.header import Header
from tui.widgets.keys import KeyBar


class AppScreen(Screen[None]):
    """Yields its own widgets from `compose_body`; sets `header`'s attributes as it learns more."""

    WHERE = ""
    BINDINGS = [
        Binding(
            "escape", "back", "Back", id="back", tooltip="Go back to the screen before this one", show=False
        ),
    ]

    def compose(self) -> ComposeResult:
        """The header, the body, the keys."""
        header = Header()
        header.where = self.WHERE
        yield header
        yield from self.compose_body()
        yield KeyBar()

    def compose_body(self) -> ComposeResult:
        """The widgets between the two lines."""
        yield from ()

    @property
    def header(self) -> Header:
        """The first line."""
        return self.query_one(Header)

    def action_back(self) -> None:
        """Leaves this screen; on the first one there is nothing to go back to."""
        if len(self.app.screen_stack) > 1:
            self.dismiss()
