"""The first line of every screen: the program, where one is, facts, the device and the run's clock."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui import words

GAP = 3


class Header(Widget):
    """One line; what does not fit is left out from the right end of `facts`, then the device.

    Attributes:
        where: the screen, or the run it shows.
        facts: short texts that matter now, the most important first; a pair is (text, style) where the
            style is a theme colour such as ``$success``.
        device: what it runs on, as gauges know it.
        clock: time left or elapsed.
    """

    DEFAULT_CSS = """
    Header {
        height: 1;
        dock: top;
        background: $background;
        color: $foreground;
    }
    """

    where: reactive[str] = reactive("", layout=False)
    facts: reactive[tuple[str | tuple[str, str], ...]] = reactive((), layout=False)
    device: reactive[str] = reactive("", layout=False)
    clock: reactive[str] = reactive("", layout=False)

    def render(self) -> Content:
        """The line for the present width."""
        width = self.size.width
        left = [("dltui", "bold $accent"), (self.where, "bold")]
        facts = [(fact, "") if isinstance(fact, str) else fact for fact in self.facts]
        right = [(text, "$foreground 70%") for text in (self.device, self.clock) if text]
        while facts and _cells(left + facts + right) > width - 2:
            facts.pop()
        while len(right) > 1 and _cells(left + right) > width - 2:
            right.pop(0)
        if right and _cells(left + right) > width - 2:
            right = []
        return _line(left + facts, right, width)


def _cells(parts: Sequence[tuple[str, str]]) -> int:
    return sum(words.cells(text) + GAP for text, _ in parts if text)


def _line(left: Sequence[tuple[str, str]], right: Sequence[tuple[str, str]], width: int) -> Content:
    gap = " " * GAP
    start = Content.assemble(" ", *_spaced(left, gap))
    end = Content.assemble(*_spaced(right, gap), " ")
    space = " " * max(0, width - start.cell_length - end.cell_length)
    return Content.assemble(start, space, end) if right else start


def _spaced(parts: Sequence[tuple[str, str]], gap: str) -> list[str | tuple[str, str]]:
    found: list[str | tuple[str, str]] = []
    for text, style in parts:
        if text:
            found += [(text, style), gap]
    return found[:-1]
