"""What happened in a run, newest last: epochs excepted, which the charts show."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.widget import Widget

from tui.widgets.panel import Panel
from tui.widgets.search_box import SearchBox
from tui.widgets.text_lines import Entry

if TYPE_CHECKING:
    from tui.follow import RunView
    from tui.run_state import Notice

SIGNS = {"info": ("·", ""), "warning": ("▲", "warning"), "error": ("✗", "error")}
_NOTHING = Entry("Best results, checkpoints, warnings and answers of the worker appear here.", tone="quiet")


class EventsPanel(Panel):
    """Notices with their time; `/` searches them."""

    KEY = "events"
    TAB = "events"
    ORDER = 5
    SHARE = 5

    def compose(self) -> ComposeResult:
        """The lines."""
        yield SearchBox()

    @property
    def box(self) -> SearchBox:
        """The lines with their search."""
        return self.query_one(SearchBox)

    @property
    def heart(self) -> Widget:  # noqa: D102
        return self.box.lines

    def show_view(self, view: RunView) -> None:  # noqa: D102
        entries = [_entry(notice) for notice in view.state.notices]
        self.box.lines.replace(entries or [_NOTHING])
        levels = [notice.level for notice in view.state.notices]
        counts = [(SIGNS[level], levels.count(level)) for level in ("error", "warning") if level in levels]
        self.frame_tone = counts[0][0][1] if counts else ""
        said = "  ".join(f"{sign} {count}" for (sign, _), count in counts)
        self.frame_state = self.box.state_text or said

    @on(SearchBox.Found)
    def _found(self, event: SearchBox.Found) -> None:
        event.stop()
        if self.view is not None:
            self.show_view(self.view)


def _entry(notice: Notice) -> Entry:
    sign, tone = SIGNS[notice.level]
    return Entry(notice.text, clock(notice.time), sign, tone)


def clock(seconds: float) -> str:
    """``23:15:02``, in local time."""
    try:
        return time.strftime("%H:%M:%S", time.localtime(seconds))
    except (ValueError, OverflowError, OSError):
        return "--:--:--"
