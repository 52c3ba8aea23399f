"""A change of the user's own file that would mend the network: to be read and copied, never made from here."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.fixes import Fix
from tui.screens.dialogs import Dialog, hint

_TONES = {"+": "$success", "-": "$error", "@": "$foreground 60%"}


class FixText(Dialog[None]):
    """Why, then the change as a diff."""

    HELP_TITLE = "Change"
    DEFAULT_CSS = """
    FixText {
        & > Vertical { width: 100; max-width: 96%; max-height: 90%; padding: 0 1; }
        & VerticalScroll { height: auto; max-height: 1fr; border: none; margin: 1 0; }
        & .why { width: 1fr; height: auto; margin-top: 1; }
        & .hint { width: 1fr; max-width: 100%; margin-top: 0; }
        & .diff { width: auto; height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy", "Copy", id="fix.copy", tooltip="Copy the change as a diff (OSC 52)"),
        Binding("q,ctrl+f", "leave", "Close", id="fix.leave", tooltip="Close this page", show=False),
        Binding("down,j", "scroll(1)", "Down", id="fix.down", tooltip="One line down", show=False),
        Binding("up,k", "scroll(-1)", "Up", id="fix.up", tooltip="One line up", show=False),
    ]

    def __init__(self, fix: Fix) -> None:
        super().__init__(f"Change {fix.file}")
        self._fix = fix

    def compose_box(self) -> ComposeResult:
        """The reason above, the change below."""
        why = f"{self._fix.say}. {self._fix.why}" if self._fix.why else f"{self._fix.say}."
        yield Static(f"{why}\nTried on a copy: a batch goes through with it.", classes="why", markup=False)
        with VerticalScroll() as page:
            page.can_focus = False
            yield Static(coloured(self._fix.diff), classes="diff", markup=False)
        yield hint(("c", "copy"), ("esc", "close"))

    def action_copy(self) -> None:
        """To the clipboard of the terminal; ``patch`` and ``git apply`` take it."""
        self.app.copy_to_clipboard(self._fix.diff)
        said = "copied; if it is not there, the terminal does not allow it (OSC 52)"
        self.query_one(".hint", Static).update(said)

    def action_scroll(self, by: int) -> None:
        """Lines down, or up where negative."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)


def coloured(diff: str) -> Content:
    """What goes and what comes told apart by colour, beside their signs."""
    return Content("\n").join(Content.styled(line, _TONES.get(line[:1], "")) for line in diff.splitlines())
