"""The terminal app: which screen is shown, themes, the bindings of every screen, and a clean way out.

Screens are imported when they are opened: the first paint waits for nothing but the list of runs' frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from textual import on
from textual.app import App
from textual.binding import Binding
from textual.screen import Screen

from tui import themes
from tui.messages import OpenCompare, OpenNewRun, OpenRun
from tui.screens.runs import RunsScreen


class DltuiApp(App[None]):
    """Args:
    runs: the runs folder.
    attach: a run to show at once.
    now: Unix seconds; tests give a frozen clock.
    """

    TITLE = "dltui"
    CSS_PATH = "app.tcss"
    BINDINGS = [
        Binding("question_mark", "keys", "Keys", id="keys", tooltip="All keys of this screen", show=False),
        Binding("q", "leave", "Leave", id="leave", tooltip="Leave dltui; trainings go on", show=False),
    ]

    def __init__(
        self, runs: Path, *, attach: Path | None = None, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__()
        self.runs = runs
        self.attach = attach
        self.now = now
        for theme in themes.THEMES:
            self.register_theme(theme)
        self.theme = themes.DEFAULT

    def get_default_screen(self) -> Screen[None]:
        """The list of runs lies under every other screen."""
        return RunsScreen()

    def on_mount(self) -> None:
        """Opens what was asked for on the command line."""
        if self.attach is not None:
            self.post_message(OpenRun(self.attach))

    @on(OpenRun)
    def _open_run(self, message: OpenRun) -> None:
        from tui.screens.run import RunScreen

        self.push_screen(RunScreen(message.path))

    @on(OpenNewRun)
    def _open_new_run(self, message: OpenNewRun) -> None:
        from tui.screens.new_run import NewRunScreen

        self.push_screen(NewRunScreen(message.preset))

    @on(OpenCompare)
    def _open_compare(self, message: OpenCompare) -> None:
        from tui.screens.compare import CompareScreen

        self.push_screen(CompareScreen(message.paths))

    def action_keys(self) -> None:
        """Every key of this screen."""
        from tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.screen))

    def action_leave(self) -> None:
        """Leaves the app; nothing that trains is touched."""
        self.exit()
