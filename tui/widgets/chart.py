"""Training curves that move while they are watched: keys and pointer, smoothing, scales, zoom and a cursor.

plotext draws the axes, which are kept; the curves' cells are painted into them, and only cells that changed
are sent (`live_cells`). numpy and plotext are loaded with the first point.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.color import Color
from textual.message import Message
from textual.reactive import reactive

from dlcore.text_safety import safe_text
from tui.terminal import is_ascii_only
from tui.widgets import chart_style
from tui.widgets.chart_series import MODES, ChartSeries, Mode
from tui.widgets.chart_window import Window
from tui.widgets.live_cells import LiveCells

if TYPE_CHECKING:
    from tui.widgets.cells import Cells
    from tui.widgets.chart_plot import Plot

__all__ = ["Chart", "ChartSeries"]

SMOOTHING = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99)
EMPTY = "Curves appear here with the first steps."


class Chart(LiveCells, can_focus=True):
    """Shows `ChartSeries`; give it new ones with `set_series` as they grow.

    Args:
        empty: what to say while there is not a point.
        now: monotonic seconds, for tests.

    Attributes:
        log_y: logarithmic y; values of 0 and below are left out and marked.
        smoothing: weight of the moving average, 0 to 0.99; the raw line stays, faint.
        x_mode: what x counts; a mode that a series does not allow is not taken.
        cursor: x value whose points the legend shows; None for none.
        live: more points are to come, so there is room for them on the right.
    """

    DEFAULT_CSS = """
    Chart {
        width: 1fr;
        height: 1fr;
        min-height: 3;
    }
    """
    BINDINGS = [
        Binding("y", "log", "Log y", id="chart.log", tooltip="Logarithmic y axis on or off"),
        Binding("s", "smooth(1)", "Smooth", id="chart.smooth", tooltip="Smooth the curves more"),
        Binding(
            "S", "smooth(-1)", "Smooth less", id="chart.rough", tooltip="Smooth the curves less", show=False
        ),
        Binding("x", "mode", "X axis", id="chart.x", tooltip="x by step, epoch or time"),
        Binding(
            "left", "cursor(-1)", "Cursor left", id="chart.left", tooltip="Cursor to the left", show=False
        ),
        Binding(
            "right", "cursor(1)", "Cursor right", id="chart.right", tooltip="Cursor to the right", show=False
        ),
        Binding(
            "home", "cursor_end(-1)", "First point", id="chart.home", tooltip="To the first point", show=False
        ),
        Binding(
            "end", "cursor_end(1)", "Last point", id="chart.end", tooltip="To the last point", show=False
        ),
        Binding(
            "plus,equals_sign", "zoom(1)", "Zoom in", id="chart.in", tooltip="Zoom in, around the cursor"
        ),
        Binding("minus", "zoom(-1)", "Zoom out", id="chart.out", tooltip="Zoom out", show=False),
        Binding(
            "shift+left", "pan(-1)", "Pan left", id="chart.pan-left", tooltip="Pan to the left", show=False
        ),
        Binding(
            "shift+right", "pan(1)", "Pan right", id="chart.pan-right", tooltip="Pan to the right", show=False
        ),
        Binding("shift+up", "lift(1)", "Pan up", id="chart.pan-up", tooltip="Show larger values", show=False),
        Binding(
            "shift+down", "lift(-1)", "Pan down", id="chart.pan-down", tooltip="Smaller values", show=False
        ),
        Binding("0", "reset", "Show all", id="chart.reset", tooltip="Show everything, no cursor", show=False),
    ]

    log_y: reactive[bool] = reactive(False, repaint=False, init=False)
    smoothing: reactive[float] = reactive(0.0, repaint=False, init=False)
    x_mode: reactive[Mode] = reactive[Mode]("step", repaint=False, init=False)
    cursor: reactive[float | None] = reactive(None, repaint=False, init=False)
    live: reactive[bool] = reactive(True, repaint=False, init=False)

    class CursorMoved(Message):
        """The cursor is elsewhere, or gone.

        Attributes:
            x: axis value in the chart's mode; None when there is no cursor.
            values: value of each series at its nearest point, by name.
        """

        def __init__(self, chart: Chart, x: float | None, values: Mapping[str, float]) -> None:
            super().__init__()
            self.chart = chart
            self.x = x
            self.values = values

        @property
        def control(self) -> Chart:
            """The chart."""
            return self.chart

    class ViewChanged(Message):
        """What x counts, scale, smoothing or zoom is another; `Chart.state_text` says which."""

        def __init__(self, chart: Chart) -> None:
            super().__init__()
            self.chart = chart

        @property
        def control(self) -> Chart:
            """The chart."""
            return self.chart

    def __init__(
        self,
        *,
        empty: str = EMPTY,
        now: Callable[[], float] = time.monotonic,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(now=now, name=name, id=id, classes=classes)
        self.set_reactive(Chart.empty, safe_text(empty))
        self.window = Window()
        self._series: tuple[ChartSeries, ...] = ()
        self._plot: Plot | None = None
        self._ascii = is_ascii_only()
        self._hovering = False
        self._drag_from: int | None = None  # screen column of the last step of a drag
        self._dragged = False

    # -- what it shows ------------------------------------------------------------------------------------

    @property
    def series(self) -> tuple[ChartSeries, ...]:
        """What it was given last."""
        return self._series

    @property
    def modes(self) -> tuple[Mode, ...]:
        """What x can count with these series."""
        return tuple(mode for mode in MODES if all(item.allows(mode) for item in self._series))

    @property
    def state_text(self) -> str:
        """How the curves are shown, for a panel's border: ``step · smooth 0.6 · log``."""
        parts: list[str] = [self.x_mode]
        parts += [f"smooth {self.smoothing:g}"] if self.smoothing else []
        parts += ["log"] if self.log_y else []
        parts += ["zoomed"] if self.window.chosen else []
        return " · ".join(parts)

    def set_series(self, series: Sequence[ChartSeries]) -> None:
        """New series, or the same with more points; drawn when it is time."""
        before = [(item.role, item.index, item.name) for item in self._series]
        self._series = tuple(series)
        if before != [(item.role, item.index, item.name) for item in self._series]:
            self.window.reset()
            self._plot = None
        if self.x_mode not in self.modes:
            self.x_mode = "step"
        self.outdated()

    def draw_cells(self) -> Cells | None:  # noqa: D102
        if not any(len(item.y) for item in self._series):
            return None
        from tui.widgets.chart_plot import Plot, View

        self._plot = self._plot or Plot()
        view = View(
            columns=self.size.width,
            rows=self.size.height,
            mode=self.x_mode,
            log=self.log_y,
            smoothing=self.smoothing,
            x=self.window.x,
            y=self.window.y,
            cursor=self.cursor,
            live=self.live,
            ascii=self._ascii,
        )
        return self._plot.draw(self._series, view)

    def make_styles(self, background: Color, tones: dict[str, Color]) -> list[Style]:  # noqa: D102
        return chart_style.styles(background, **tones)

    @property
    def _drawn(self) -> Plot | None:
        """The plot, when it is what the cells show."""
        return self._plot if self.cells is not None else None

    # -- how it shows it ----------------------------------------------------------------------------------

    def validate_smoothing(self, smoothing: float) -> float:  # noqa: D102
        return min(SMOOTHING[-1], max(0.0, smoothing))

    def validate_x_mode(self, mode: Mode) -> Mode:  # noqa: D102
        return mode if mode in self.modes or mode == "step" else self.x_mode

    def watch_log_y(self) -> None:  # noqa: D102
        self.window.y = None
        self._look_changed()

    def watch_smoothing(self) -> None:  # noqa: D102
        self._look_changed()

    def watch_x_mode(self) -> None:  # noqa: D102
        self.window.reset()
        self.cursor = None
        self._look_changed()

    def watch_live(self) -> None:  # noqa: D102
        if self._series:
            self.outdated()

    def watch_cursor(self, at: float | None) -> None:  # noqa: D102
        self.draw()
        values: Mapping[str, float] = {}
        if at is not None and self._drawn is not None:
            from tui.widgets import chart_cursor

            values = chart_cursor.values(self._drawn, at)
        self.post_message(self.CursorMoved(self, at, values))

    def _look_changed(self) -> None:
        self.draw()
        self.post_message(self.ViewChanged(self))

    def action_log(self) -> None:
        """Turns the logarithmic axis on or off."""
        self.log_y = not self.log_y

    def action_smooth(self, by: int) -> None:
        """The next or the previous weight of `SMOOTHING`."""
        near = 1e-9
        if by > 0:
            more = [weight for weight in SMOOTHING if weight > self.smoothing + near]
            self.smoothing = min(more, default=SMOOTHING[-1])
        else:
            self.smoothing = max(
                (weight for weight in SMOOTHING if weight < self.smoothing - near), default=0.0
            )

    def action_mode(self) -> None:
        """The next thing that x can count."""
        modes = self.modes
        self.x_mode = modes[(modes.index(self.x_mode) + 1) % len(modes)]

    # -- cursor, zoom and pan -----------------------------------------------------------------------------

    def action_cursor(self, direction: int) -> None:
        """To the next point in another column; what is out of sight comes into it."""
        if self._drawn is not None:
            from tui.widgets import chart_cursor

            self._pin(chart_cursor.neighbour(self._drawn, self.cursor, direction))

    def action_cursor_end(self, direction: int) -> None:
        """To the first or the last point."""
        if self._drawn is not None:
            from tui.widgets import chart_cursor

            ends = chart_cursor.ends(self._drawn)
            self._pin(None if ends is None else ends.low if direction < 0 else ends.high)

    def _pin(self, at: float | None) -> None:
        """Sets the cursor so that it stays when the pointer leaves."""
        self._hovering = False
        if at is not None and self._drawn is not None:
            before = self.window.x
            self.window.include(at, self._drawn.whole)
            self.cursor = at
            if self.window.x != before:
                self._look_changed()

    def action_zoom(self, direction: int) -> None:
        """Half or twice the span of x, around the cursor, else the middle."""
        self._zoom(direction, self.cursor)

    def _zoom(self, direction: int, around: float | None) -> None:
        if self._drawn is not None:
            self.window.zoom(self._drawn.x, self._drawn.whole, direction, around)
            self._look_changed()

    def action_pan(self, right: int) -> None:
        """A quarter of what is shown to a side, once zoomed in."""
        if self._drawn is not None:
            self.window.pan(right, self._drawn.whole)
            self._look_changed()

    def action_lift(self, up: int) -> None:
        """A quarter of what is shown up or down; y stays so until `action_reset`."""
        if self._drawn is not None:
            self.window.lift(up, self._drawn.y)
            self._look_changed()

    def action_reset(self) -> None:
        """Everything in sight, without a cursor."""
        self.window.reset()
        self._hovering = False
        self.cursor = None
        self._look_changed()

    # -- pointer ------------------------------------------------------------------------------------------

    def _column(self, event: events.MouseEvent) -> int | None:
        """The canvas column under the pointer."""
        offset = event.get_content_offset(self)
        if offset is None or self._drawn is None:
            return None
        column = offset.x - self._drawn.left
        return column if 0 <= column < self._drawn.width else None

    def _point(self, event: events.MouseEvent) -> float | None:
        """The x under the pointer: that of a point where there is one."""
        column = self._column(event)
        if column is None or self._drawn is None:
            return None
        from tui.widgets import chart_cursor

        return chart_cursor.snapped(self._drawn, column)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Pans while dragged, else takes along a cursor that was not set by click or key."""
        if self._drag_from is not None:
            self._drag(event.screen_x)
        elif self.cursor is None or self._hovering:
            at = self._point(event)
            if at is not None:
                self._hovering = True
                self.cursor = at

    def _drag(self, column: int) -> None:
        assert self._drag_from is not None
        moved, self._drag_from = self._drag_from - column, column
        if moved and self._drawn is not None:
            self._dragged = True
            shown = self._drawn.x
            by = moved / self._drawn.width * shown.span
            self.window.show(shown.low + by, shown.high + by, self._drawn.whole)
            self._look_changed()

    def on_leave(self) -> None:
        """A cursor that only followed the pointer goes with it."""
        if self._hovering:
            self._hovering = False
            self.cursor = None

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begins a drag or a click."""
        if self._column(event) is not None:
            self._drag_from, self._dragged = event.screen_x, False
            self.capture_mouse()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Ends a drag; without one it was a click, which sets the cursor."""
        if self._drag_from is not None:
            self._drag_from = None
            self.release_mouse()
            if not self._dragged:
                self._pin(self._point(event))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Zooms in at the pointer."""
        self._scroll(event, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Zooms out."""
        self._scroll(event, -1)

    def _scroll(self, event: events.MouseEvent, direction: int) -> None:
        at = self._point(event)
        if at is not None:
            event.stop()
            event.prevent_default()
            self._zoom(direction, at)
