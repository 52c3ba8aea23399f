"""Where a step's time goes: waiting for data, forward, backward, optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.widget import Widget

from tui import words
from tui.step_times import step_times
from tui.widgets.gauge import Gauges, Part, Row, bar, percent, sentence
from tui.widgets.panel import Panel

if TYPE_CHECKING:
    from tui.follow import RunView

REPLAY = "replay"
ONE_LAUNCH = "replay: forward, backward and optimizer in one launch"
_NAME = 10
_FIGURES = 14
_EMPTY = "How a step's time splits appears here after the first seconds of training."


class TimePanel(Panel):
    """A bar for each part of a step."""

    KEY = "time"
    TAB = "time"
    ORDER = 4
    SHARE = 3

    def compose(self) -> ComposeResult:
        """The bars."""
        yield Gauges()

    @property
    def heart(self) -> Widget:  # noqa: D102
        return self.query_one(Gauges)

    @on(Gauges.Resized)
    def _resized(self) -> None:
        if self.view is not None:
            self.show_view(self.view)

    def show_view(self, view: RunView) -> None:  # noqa: D102
        gauges = self.query_one(Gauges)
        parts = step_times(view)
        total = sum(parts.values())
        if not parts or total <= 0:
            gauges.show(sentence(_EMPTY, gauges.size.width))
            return
        gauges.show(rows(parts, gauges.size.width))


def rows(parts: dict[str, float], width: int) -> list[Row]:
    """Name, bar, share and time of each; the largest share stands out."""
    total, most = sum(parts.values()), max(parts.values())
    room = width - _NAME - _FIGURES
    lines: list[Row] = []
    for name, seconds in parts.items():
        share = seconds / total
        figures = f"{percent(share)}{words.duration(seconds):>{_FIGURES - 5}}"
        if room < 4:
            figures = percent(share)
        middle = bar(share, max(0, width - _NAME - len(figures)), "accent" if seconds == most else "primary")
        lines.append([Part(words.fit(name, _NAME - 1).ljust(_NAME)), *middle, Part(figures)])
    whole = words.duration(total)  # not in the border, where each change would send the whole panel again
    lines.append([Part(f"{'a step':<{_NAME}}{whole:>{max(0, width - _NAME)}}", "quiet")])
    return lines + ([[Part(words.fit(ONE_LAUNCH, width), "quiet")]] if REPLAY in parts else [])
