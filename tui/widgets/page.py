"""A page of finished lines that scrolls: text in tones, and cells that bring a style of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.widgets.gauge import TONES, Part

Line = Sequence[Part | Segment]
_BAR = 2  # columns of a scroll bar and the gap before it


class Page(ScrollView, can_focus=True):
    """Shows lines; arrow keys and the wheel move over them."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"page--{tone}" for tone in TONES if tone}
    DEFAULT_CSS = """
    Page {
        width: 1fr;
        height: 1fr;
        overflow-x: hidden;
        overflow-y: auto;
        & > .page--strong { text-style: bold; }
        & > .page--quiet { color: $foreground 60%; }
        & > .page--track { color: $foreground 22%; }
        & > .page--accent { color: $accent; }
        & > .page--primary { color: $primary; }
        & > .page--success { color: $success; }
        & > .page--warning { color: $warning; }
        & > .page--error { color: $error; }
    }
    """

    class Resized(Message):
        """Lines of another length fit now."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: Sequence[Line] = ()
        self._styles: dict[str, Style] = {}

    @property
    def width(self) -> int:
        """Columns there are for a line: beside a scroll bar, whether or not one is there now.

        The lines decide whether there is a bar; did the bar decide how long they are, they would depend on
        what was shown before.
        """
        return max(0, self.content_region.width - _BAR)

    @property
    def text(self) -> str:
        """All of it, without styles."""
        return "\n".join("".join(part.text for part in line).rstrip() for line in self._lines)

    def show(self, lines: Sequence[Line]) -> None:
        """Other lines; where one was stays as far as that is possible."""
        if lines == self._lines:
            return
        self._lines = lines
        self.virtual_size = Size(self.width, len(lines))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line as it is scrolled now."""
        index = y + int(self.scroll_offset.y)
        width = self.size.width
        if index >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        segments = [
            Segment(part.text, self.rich_style + (part.style or Style()))
            if isinstance(part, Segment)
            else Segment(part.text, self._style(part.tone))
            for part in self._lines[index]
        ]
        return Strip(segments).adjust_cell_length(width, self.rich_style)

    def _style(self, tone: str) -> Style:
        found = self._styles.get(tone)
        if found is None:
            found = self.get_component_rich_style(f"page--{tone}") if tone else self.rich_style
            self._styles[tone] = found
        return found

    def on_resize(self) -> None:
        """Tells who makes the lines."""
        self.post_message(self.Resized())

    def notify_style_update(self) -> None:
        """Another theme."""
        super().notify_style_update()
        self._styles = {}
