"""What the home screen shows before there is a run: how to begin, and what to begin from."""

from __future__ import annotations

import asyncio

from textual import work
from textual.app import ComposeResult
from textual.widgets import Static

from tui.messages import OpenNewRun
from tui.widgets.frame import Frame
from tui.widgets.line_list import LineList
from tui.widgets.preset_list import PresetList, offers

HOW = (
    "There are no runs here yet. Choose a preset and press enter: you see every shape before anything "
    "trains, and ctrl+r starts it."
)
NO_PRESETS = "There are no runs here yet, and no presets were found. Press n to set up a run from scratch."


class Welcome(Frame):
    """Two sentences and the presets."""

    DEFAULT_CSS = """
    Welcome {
        padding: 1 2;

        & > Static { height: auto; margin-bottom: 1; }
    }
    """

    def compose(self) -> ComposeResult:
        """The sentences at once, the presets when they are read."""
        yield Static(HOW, markup=False)
        yield PresetList(id="presets")

    def on_mount(self) -> None:
        """Takes the keys and reads the presets."""
        self.query_one(PresetList).focus()
        self._read()

    @work
    async def _read(self) -> None:
        found = await asyncio.to_thread(offers)
        self.query_one(PresetList).show(found)
        if found:
            self.frame_state = f"{len(found)} presets"
        else:
            self.query_one(Static).update(NO_PRESETS)

    def on_line_list_taken(self, event: LineList.Taken) -> None:
        """Begins from the preset."""
        event.stop()
        offer = self.query_one(PresetList).current
        if offer is not None:
            self.post_message(OpenNewRun(offer.name))
