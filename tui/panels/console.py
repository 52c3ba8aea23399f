"""What the worker and the user's own code print: the end of worker.log, followed while it is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.widget import Widget

from tui.log_follower import LogFollower, LogGrew
from tui.widgets.panel import Context, Panel
from tui.widgets.search_box import SearchBox
from tui.widgets.text_lines import Entry

if TYPE_CHECKING:
    from tui.follow import RunView

_NOTHING = Entry("Nothing was printed. What your code prints, and tracebacks, appear here.", tone="quiet")


class ConsolePanel(Panel):
    """The last lines of the log; `/` searches them."""

    KEY = "log"
    TAB = "log"
    ORDER = 6
    SHARE = 5

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._follower = LogFollower(self.post_message, context.run.log_path)

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

    def show_view(self, view: RunView) -> None:
        """The log is all there is to show."""

    @property
    def ready(self) -> bool:  # noqa: D102
        return bool(self.box.lines.entries)

    def follow(self, wanted: bool) -> None:  # noqa: D102
        if wanted:
            self._follower.start()
        else:
            self._follower.stop()

    @on(LogGrew)
    def _grown(self, event: LogGrew) -> None:
        event.stop()
        lines = self.box.lines
        if event.anew or lines.entries == [_NOTHING]:
            lines.clear()
        lines.extend(Entry(line) for line in event.lines)
        if not lines.entries:
            lines.extend([_NOTHING])
        self._say()

    @on(SearchBox.Found)
    def _found(self, event: SearchBox.Found) -> None:
        event.stop()
        self._say()

    def _say(self) -> None:
        self.frame_state = self.box.state_text
