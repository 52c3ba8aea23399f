"""One line that names all panels with their keys: what is seen, what is not, and which has the focus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui import words

GAP = "   "


class Tab(NamedTuple):
    """A panel: its id, its name, and whether it is on the screen, hidden, or has the focus."""

    key: str
    name: str
    seen: bool = False
    hidden: bool = False
    focused: bool = False


class PanelLine(Widget):
    """`1 loss   2 metric   …`; a click is as good as the key."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    PanelLine { height: 1; color: $foreground; }
    """

    tabs: reactive[tuple[Tab, ...]] = reactive((), layout=False)

    class Chosen(Message):
        """A panel was clicked."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self) -> None:
        super().__init__()
        self._spans: list[tuple[int, int, str]] = []

    def render(self) -> Content:
        """All names where they fit, else those on the screen, else the one with the focus."""
        gap, names = self._fitting(self.size.width - 1)
        line, self._spans = Content(" "), []
        for number, (tab, name) in enumerate(zip(self.tabs, names, strict=True), 1):
            named = (f" {name}" if name else "", _style(tab))
            label = Content.assemble((f"{number}", _style(tab, number=True)), named)
            self._spans.append((line.cell_length, line.cell_length + label.cell_length, tab.key))
            line = line + label + gap
        return line

    def _fitting(self, width: int) -> tuple[str, list[str]]:
        names = [tab.name for tab in self.tabs]
        seen = [tab.name if tab.seen or tab.focused else "" for tab in self.tabs]
        focused = [tab.name if tab.focused else "" for tab in self.tabs]
        for gap in (GAP, GAP[:2], GAP[:1]):
            if _length(names, gap) <= width:
                return gap, names
        fits = _length(seen, GAP[:2]) <= width
        return GAP[:2], seen if fits else focused

    def on_click(self, event: Click) -> None:
        """Tells which panel it was."""
        for start, end, key in self._spans:
            if start <= event.x <= end:
                self.post_message(self.Chosen(key))
                return


def _length(names: Sequence[str], gap: str) -> int:
    return sum(1 + bool(name) + words.cells(name) + len(gap) for name in names)


def _style(tab: Tab, *, number: bool = False) -> str:
    if tab.focused:
        return "bold $accent"
    if tab.hidden:
        return "$foreground 35%"
    if tab.seen:
        return "bold $foreground" if number else "$foreground"
    return "$foreground 55%"
