"""A widget of cells that are drawn anew as data comes in, of which only those that changed are sent.

A drawing is made when there is something new, at most four times a second, and only while it can be seen:
the widget is shown, its screen is the current one, the terminal has the focus. Nothing ticks in between.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.geometry import Region
from textual.reactive import reactive
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from tui import words
from tui.widgets import spans
from tui.widgets.pacing import Pacing

if TYPE_CHECKING:
    from tui.widgets.cells import Cells


class LiveCells(Widget):
    """Base of widgets that say with `outdated` that they have something new, and draw it in `draw_cells`.

    Args:
        now: monotonic seconds, for tests.

    Attributes:
        empty: safe text for when there are no cells.
    """

    empty: reactive[str] = reactive("", init=False)

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.monotonic,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.cells: Cells | None = None
        self._now = now
        self._outdated = False
        self._timer: Timer | None = None
        self._pacing = Pacing()
        self._styles_of: tuple[object, list[Style]] | None = None

    def draw_cells(self) -> Cells | None:
        """New cells of the widget's size, or None to show `empty`."""
        raise NotImplementedError

    def make_styles(self, background: Color, tones: dict[str, Color]) -> list[Style]:
        """Styles by number.

        Args:
            tones: the theme's foreground, accent, error and warning.
        """
        raise NotImplementedError

    # -- when to draw -------------------------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Whether there is something new that is not drawn yet."""
        return self._outdated

    @property
    def drawn(self) -> bool:
        """Whether it was drawn, and with all that was told."""
        return bool(self.size) and not self._outdated

    @property
    def seen(self) -> bool:
        """Whether drawing is worth anything now."""
        if not self.is_attached or not self.size or not self.display:
            return False
        return self.app.app_focus and self.app.screen is self.screen  # is_current is true below it, too

    def outdated(self) -> None:
        """There is something new: drawn now if it may be, else when its time has come or it is seen again."""
        self._outdated = True
        self._catch_up()

    def _catch_up(self) -> None:
        if not self._outdated or self._timer is not None or not self.seen:
            return
        wait = self._pacing.wait(self._now())
        if wait > 0:
            self._timer = self.set_timer(wait, self._on_time)
        else:
            self.draw()

    def _on_time(self) -> None:
        self._timer = None
        if self._outdated and self.seen:
            self.draw()

    def on_mount(self) -> None:
        """Follows the terminal's focus; the screen sends narrow updates from here on."""
        spans.narrow(self.screen)
        self.watch(self.app, "app_focus", self._catch_up, init=False)

    def on_show(self) -> None:
        """Shows what came in the meantime."""
        self._catch_up()

    def on_resize(self) -> None:
        """Another size needs another drawing."""
        self.draw(whole=True)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines as they are; when a screen comes back with old ones, new ones follow."""
        if self._outdated and self._timer is None:
            self.call_later(self._catch_up)
        self._dirty_regions.clear()  # Textual does so only for widgets that render whole, and it would grow
        return super().render_lines(crop)

    # -- drawing ------------------------------------------------------------------------------------------

    def draw(self, *, whole: bool = False) -> None:
        """Draws at once and has the cells sent that changed; all of them with ``whole``."""
        if not self.is_attached or not self.size:
            return
        began = time.thread_time()
        self._outdated = False
        before, self.cells = self.cells, self.draw_cells()
        after = self.cells
        if whole or before is None or after is None or before.codes.shape != after.codes.shape:
            if before is not None or after is not None:
                self.refresh()
        else:
            changes = after.changes(before)
            if changes:
                self.refresh(*(Region(start, row, stop - start, 1) for row, start, stop in changes))
        if after is not None:
            self._pacing.drawn(self._now(), time.thread_time() - began)

    def render_line(self, y: int) -> Strip:
        """One line of cells, or of the text that stands for them."""
        styles, width = self._styles(), self.size.width
        if self.cells is None:
            return self._empty_line(y, styles[0])
        if y >= len(self.cells.codes):
            return Strip.blank(width, styles[0])
        return Strip([Segment(text, styles[style]) for text, style in self.cells.runs(y)])

    def _empty_line(self, y: int, style: Style) -> Strip:
        width, height = self.size
        lines = textwrap.wrap(self.empty, max(1, min(width - 2, 60)))[:height]
        number = y - max(0, (height - len(lines)) // 2)
        if not 0 <= number < len(lines):
            return Strip.blank(width, style)
        space = " " * max(0, (width - words.cells(lines[number])) // 2)
        return Strip([Segment(space + lines[number], style)]).adjust_cell_length(width, style)

    def _styles(self) -> list[Style]:
        background, theme = self.background_colors[1], self.app.theme
        if self._styles_of is None or self._styles_of[0] != (background, theme):
            variables = self.app.theme_variables
            names = ("foreground", "accent", "error", "warning")
            tones = {name: Color.parse(variables[name]) for name in names}
            self._styles_of = (background, theme), self.make_styles(background, tones)
        return self._styles_of[1]
