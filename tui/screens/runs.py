"""Home: every run of the folder, newest first."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from tui.messages import OpenNewRun
from tui.screens.base import AppScreen


class RunsScreen(AppScreen):
    """The list of runs."""

    WHERE = "runs"
    BINDINGS = [Binding("n", "new", "New", id="runs.new", tooltip="Set up a new run")]

    def compose_body(self) -> ComposeResult:
        """The list."""
        yield Static("loading", markup=False)

    def action_new(self) -> None:
        """Opens the New run screen."""
        self.post_message(OpenNewRun())
