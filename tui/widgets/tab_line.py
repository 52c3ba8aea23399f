"""One line that names the panels and marks the one in sight, for terminals with room for one at a time."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui import words

_GAP = "   "


class TabLine(Widget):
    """Numbered names; a click or the number goes there.

    Attributes:
        active: index of the panel in sight.
        marks: a sign behind each name, such as ``✗``; "" for none.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    TabLine { height: 1; color: $foreground 60%; }
    """

    active: reactive[int] = reactive(0, layout=False)
    marks: reactive[tuple[str, ...]] = reactive((), layout=False)

    class Wanted(Message):
        """Wish: show this panel."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, names: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._names = tuple(names)

    def _texts(self) -> list[str]:
        marks = [*self.marks, *[""] * len(self._names)]
        return [
            f"{number} {name}{f' {mark}' if mark else ''}"
            for number, (name, mark) in enumerate(zip(self._names, marks, strict=False), start=1)
        ]

    def render(self) -> Content:
        """The line."""
        parts: list[str | tuple[str, str]] = [" "]
        for number, text in enumerate(self._texts()):
            parts += [(text, "bold $accent" if number == self.active else ""), _GAP]
        return Content.assemble(*parts)

    def on_click(self, event: Click) -> None:
        """Goes to the name under the pointer."""
        start = 1
        for number, text in enumerate(self._texts()):
            end = start + words.cells(text)
            if start <= event.x < end:
                self.post_message(self.Wanted(number))
            start = end + len(_GAP)
