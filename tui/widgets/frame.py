"""The thin border that every panel has: its name in the top left, its state in the top right.

The border of the panel that holds the focus takes the accent colour.
"""

from __future__ import annotations

from textual.color import Color
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.style import Style
from textual.widget import Widget

from tui import words

_AROUND = 6  # columns of the border that are never label: corners, one line each, one space each


class Frame(Vertical):
    """A framed column of widgets; the widget inside that takes keys is the one to focus.

    Attributes:
        frame_title: the panel's name, safe text.
        frame_state: what it shows or is at, safe text; cut before the name is.
        frame_tone: theme colour of the state, such as ``success``; "" for a quiet one.
    """

    DEFAULT_CSS = """
    Frame {
        border: round $foreground 25%;
        border-title-color: $foreground;
        border-title-style: bold;
        padding: 0 1;

        &:focus, &:focus-within {
            border: round $accent;
            border-title-color: $accent;
        }
    }
    """

    frame_title: reactive[str] = reactive("", layout=False, repaint=False)
    frame_state: reactive[str] = reactive("", layout=False, repaint=False)
    frame_tone: reactive[str] = reactive("", layout=False, repaint=False)

    _dressed: tuple[object, ...] = ()

    def __init__(
        self, *children: Widget, title: str = "", id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(*children, id=id, classes=classes)
        self.set_reactive(Frame.frame_title, title)
        if title:
            self.border_title = Content(title)  # for the first paint, until the width is known

    def watch_frame_title(self) -> None:  # noqa: D102
        self._dress()

    def watch_frame_state(self) -> None:  # noqa: D102
        self._dress()

    def watch_frame_tone(self) -> None:  # noqa: D102
        self._dress()

    def on_resize(self) -> None:
        """The label is as long as the border."""
        self._dress()

    def notify_style_update(self) -> None:
        """The line between name and state has the colour of the border, which changes with the focus."""
        super().notify_style_update()
        self._dress()

    def _dress(self) -> None:
        width = self.outer_size.width - _AROUND
        if not self.is_attached or width <= 0:
            return
        line = self.background_colors[0] + self.styles.border_top[1]
        known = (self.frame_title, self.frame_state, self.frame_tone, width, line, self.app.theme)
        if known != self._dressed:
            self._dressed = known
            self.border_title = self._label(width, line)

    def _label(self, width: int, line: Color) -> Content:
        title = Content(words.fit(self.frame_title, width))
        room = width - title.cell_length - 3
        if not self.frame_state or room < 4:
            return title
        state = words.fit(self.frame_state, room)
        between = "─" * (width - title.cell_length - words.cells(state) - 2)
        variables = self.app.theme_variables
        tone = Color.parse(variables.get(self.frame_tone) or variables["foreground"])
        return Content.assemble(
            title,
            " ",
            (between, Style(foreground=line, bold=False)),
            " ",
            (state, Style(foreground=tone, bold=False, dim=not self.frame_tone)),
        )
