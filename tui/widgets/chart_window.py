"""Which part of a chart is looked at: zoom and pan, always inside the whole."""

from __future__ import annotations

from tui.widgets.chart_scale import Limits

ZOOM = 0.5  # of the span that one step in leaves
PAN = 0.25  # of the span that one step goes
_CLOSEST = 1e-6  # of the whole: the least that is shown


class Window:
    """Limits chosen by the user.

    Attributes:
        x: None for the whole.
        y: None for what fits the data in sight.
    """

    def __init__(self) -> None:
        self.x: Limits | None = None
        self.y: Limits | None = None

    @property
    def chosen(self) -> bool:
        """Whether anything but the whole is shown."""
        return self.x is not None or self.y is not None

    def reset(self) -> None:
        """The whole."""
        self.x = self.y = None

    def show(self, low: float, high: float, whole: Limits) -> None:
        """A part of x, moved inside the whole; the whole when it is as wide as that."""
        span = max(high - low, whole.span * _CLOSEST)
        if span >= whole.span * (1 - 1e-9):
            self.x = None
            return
        low = min(max(low, whole.low), whole.high - span)
        self.x = Limits(low, low + span)

    def zoom(self, shown: Limits, whole: Limits, direction: int, around: float | None) -> None:
        """Half of what is shown, or twice as much; ``around``, else the middle, stays in its place."""
        if around is None or not shown.low <= around <= shown.high:
            around = (shown.low + shown.high) / 2
        span = shown.span * (ZOOM if direction > 0 else 1 / ZOOM)
        low = around - (around - shown.low) / shown.span * span
        self.show(low, low + span, whole)

    def pan(self, right: int, whole: Limits) -> None:
        """A quarter of what is shown to a side; the whole stays where it is."""
        if self.x is not None:
            by = right * PAN * self.x.span
            self.show(self.x.low + by, self.x.high + by, whole)

    def lift(self, up: int, shown: Limits) -> None:
        """The same for y, from the limits that are shown."""
        by = up * PAN * shown.span
        self.y = Limits(shown.low + by, shown.high + by)

    def include(self, at: float, whole: Limits) -> None:
        """Moves so that ``at`` is in sight."""
        if self.x is not None and not self.x.low <= at <= self.x.high:
            half = self.x.span / 2
            self.show(at - half, at + half, whole)
