"""A line that shows which of several looks is the one on the screen, and how many there are."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui import words

TRACK = 40  # columns at most


class Slider(Widget):
    """Which of the looks is shown.

    Attributes:
        at: index of it.
        count: how many there are.
        told: step and reason of it, in words.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Slider { height: 1; padding: 0 1; }
    """

    at: reactive[int] = reactive(0, layout=False)
    count: reactive[int] = reactive(0, layout=False)
    told: reactive[str] = reactive("", layout=False)

    def render(self) -> Content:
        """The line."""
        if not self.count:
            return Content.assemble((self.told, "$foreground 60%"))
        room = max(4, min(TRACK, self.size.width - words.cells(self.told) - 16))
        before = round(self.at / max(1, self.count - 1) * (room - 1)) if self.count > 1 else room - 1
        return Content.assemble(
            (self.told, "bold"), "  ◂", ("━" * before, "$accent"), ("●", "$accent"),
            ("─" * (room - 1 - before), "$foreground 25%"), "▸  ", (f"{self.at + 1}/{self.count}", "$foreground 60%"),
        )  # fmt: skip
