"""One run: its curves, gauges, events, samples, and the commands it takes.

The run directory says everything that is shown. Nothing is read or drawn while another screen or another
window is in front.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.events import Resize
from textual.reactive import reactive

from dlcore.gauges import GaugeReader
from dlcore.text_safety import safe_text
from tui import words
from tui.messages import RunChanged
from tui.pace import Pace
from tui.run_state import LIVE
from tui.screens.run_commands import CommandScreen, last_checkpoint
from tui.screens.run_overlays import OverlayScreen
from tui.screens.run_panels import PanelScreen
from tui.themes import STATUS_TONES
from tui.widgets.asked_line import AskedLine
from tui.widgets.ending import Ending
from tui.widgets.live_cells import LiveCells
from tui.widgets.panel import Context
from tui.widgets.panel_grid import PanelGrid
from tui.widgets.panel_line import PanelLine

if TYPE_CHECKING:
    from textual.timer import Timer

    from tui.follow import RunFollower, RunView
    from tui.run_state import RunState

SHORT = 16  # lines below which the line at the foot is there only for what is asked
HEAD_SECONDS = 1.0
SOON = 0.001  # seconds; a timer of none divides by it
NARROW = 60  # columns below which the time left gives way to the state
WIDE = 140  # columns from which the run's name is shown with its time
_CURVES = ("loss", "metric")  # panels whose content is known at once where a run is
_OWN_KEYS = {
    "loss": "chart.smooth",
    "metric": "metric.next",
    "events": "lines.search",
    "log": "lines.search",
    "samples": "samples.earlier",
    "layers": "layers.earlier",
    "doctor": "doctor.apply",
}


class RunScreen(CommandScreen, PanelScreen, OverlayScreen):
    """Follows one run and takes commands for it.

    Args:
        path: of the run directory.
        gauges: what asks the machine; None: as the app does.
        known: what another screen has read of it already.

    Attributes:
        view: the run as it is now; None until it was read.
        awake: this screen is in front and the terminal has the focus.
    """

    HELP_TITLE = "Run"
    DEFAULT_CSS = """
    RunScreen {
        &.-short AskedLine.-quiet { display: none; }
    }
    """

    view: reactive[RunView | None] = reactive(None, layout=False, repaint=False, always_update=True)
    awake: reactive[bool] = reactive(False, layout=False, repaint=False)

    def __init__(
        self, path: Path, *, gauges: GaugeReader | None = None, known: RunView | None = None
    ) -> None:
        super().__init__(path)
        self._known = known
        self._gauges = gauges
        self._follower: RunFollower | None = None
        self._pace = Pace(time.monotonic)
        self._head_time = float("-inf")
        self._head_timer: Timer | None = None

    def compose_body(self) -> ComposeResult:
        """Empty panels: reading begins after the first paint."""
        self.recall_panels()
        context = Context(self.run, self._gauges or (self.dltui.gauges or GaugeReader)())
        state = (RunScreen.view, RunScreen.awake, RunScreen.others)
        panels = [kind(context).data_bind(*state) for kind in self._types]
        yield Ending()
        yield PanelLine()
        yield PanelGrid(*panels, plan=self.plan_panels)
        yield AskedLine()

    @property
    def run_view(self) -> RunView | None:  # noqa: D102
        return self.view

    @property
    def own_path(self) -> Path:  # noqa: D102
        return self.run.path

    # Following.

    def on_mount(self) -> None:
        """Begins to read, which goes on while the empty panels are painted."""
        from tui.follow import RunFollower

        self._name_it()
        self.arrange_panels()
        self.focus_first_panel()
        self.watch(self.app, "app_focus", self._wake_or_rest, init=False)
        self._follower = RunFollower(self.post_message, self.run)
        if self._known is not None:
            self.post_message(RunChanged(self.run.path, self._known))
            self._known = None
            self.hold_paint(self._has_curves)
        self._wake_or_rest()

    def on_screen_resume(self) -> None:
        """In front again."""
        self._wake_or_rest()

    def on_screen_suspend(self) -> None:
        """Behind another screen nothing is read."""
        self._wake_or_rest()

    def on_unmount(self) -> None:
        """The thread ends with the screen."""
        self.follow_overlays(False)
        if self._follower is not None:
            self._follower.stop()

    def _wake_or_rest(self) -> None:
        self.awake = self.app.screen is self and self.app.app_focus  # is_current is true below, too
        self.follow_overlays(self.awake)
        if self._follower is not None:
            if self.awake or self.leaving:
                self._follower.start()
            else:
                self._follower.stop()

    def leave_when_over(self, wanted: bool) -> None:  # noqa: D102
        super().leave_when_over(wanted)
        self._wake_or_rest()

    def runs_touched(self) -> None:
        """Looks now rather than at the next turn."""
        if self._follower is not None:
            self._follower.wake()

    @on(RunChanged)
    def _take_run(self, message: RunChanged) -> None:
        message.stop()
        if message.path != self.run.path:
            self.take_overlay(message.view)
            return
        before, view = self.view, message.view
        self.view = view
        self._pace.add(view.state)
        self.settle(view)
        self._show_ending(view)
        if before is None or before.status != view.status:
            self._show_head(view)
            self.refresh_bindings()
        else:
            self._show_head_in_time()
        if self.leaving and not self.alive:
            self.app.exit()

    def _has_curves(self) -> bool:
        """Whether every chart in sight is drawn."""
        shown = [self._panel(key) for key in self.grid.plan]
        charts = [cells for panel in shown for cells in panel.query(LiveCells) if panel.KEY in _CURVES]
        return bool(shown) and all(panel.seen for panel in shown) and all(c.drawn for c in charts)

    # What is said above the panels.

    def _name_it(self) -> None:
        name = safe_text(self.run.name, limit=80)
        if self.size.width < WIDE:
            name = words.short_run_name(name)
        self.header.where = words.fit(name, max(12, self.size.width // 3))

    def _show_head_in_time(self) -> None:
        """Once a second: each change of a figure sends the line again."""
        wait = self._head_time + HEAD_SECONDS - time.monotonic()
        if self._head_timer is None:
            self._head_timer = self.set_timer(max(SOON, wait), self._show_head_now)

    def _show_head_now(self) -> None:
        if self.view is not None:
            self._show_head(self.view)

    def _show_head(self, view: RunView) -> None:
        """What matters most comes first: the header leaves out from the end."""
        if self._head_timer is not None:
            self._head_timer.stop()
        self._head_timer, self._head_time = None, time.monotonic()
        state, alive = view.state, view.status in LIVE
        tone = STATUS_TONES.get(view.status, "foreground")
        facts: list[str | tuple[str, str]] = [(words.status(view.status), f"${tone}")]
        if state.step or state.epoch:
            facts.append(f"epoch {words.progress(state.epoch, state.epochs)}")
        if alive and state.lr is not None:
            facts.append(f"lr {words.rate(state.lr)}")
        if alive and state.samples_per_second:
            facts.append(words.speed(state.samples_per_second))
        if state.step:
            facts.append(f"step {words.count(state.step)}")
        if state.device:
            facts.append(words.fit(state.device, 20))
        self.header.facts = tuple(facts)
        self.header.clock = self._clock(view) if self.size.width >= NARROW else ""

    def _clock(self, view: RunView) -> str:
        state = view.state
        if view.status == "running":
            left = self._pace.left(state.steps)
            left = left if left is not None else estimate(state)
            return f"{words.duration(left)} left" if left is not None else ""
        return words.duration(state.seconds) if view.status not in LIVE and state.seconds else ""

    def _show_ending(self, view: RunView) -> None:
        from tui import sentences

        alive = view.status in LIVE
        outcome = [] if alive else sentences.outcome(view.state, view.status)
        self.query_one(Ending).tell("" if alive else view.status, outcome, [] if alive else remedies(view))

    def on_resize(self, event: Resize) -> None:
        """Another size has other places."""
        short = event.size.height < SHORT
        self.set_class(short, "-short")
        self.query_one(Ending).set_class(short, "-short")
        self._name_it()
        if self.view is not None:
            self._show_head(self.view)
        self.call_after_refresh(self.show_tabs)

    # What the keys are for.

    def key_ids(self) -> Sequence[str]:
        """What fits the run and the panel with the focus."""
        panel = self.current
        here = _OWN_KEYS.get(panel.KEY, "") if panel is not None else ""
        if self.view is not None and not self.alive:
            return ("run.resume", here or "run.try", "run.evaluation", "run.inspector", "run.leave")
        return ("run.pause", "run.continue", "run.lr", here or "run.inspect", "run.inspector", "run.leave")

    def show_inspections(self) -> None:  # noqa: D102
        self.go_to("layers")


def estimate(state: RunState) -> float | None:
    """Seconds until the last step at the pace of the whole run so far; None while nobody can tell."""
    if not state.steps or not state.step or state.seconds <= 0:
        return None
    return max(0, state.steps - state.step) * state.seconds / state.step


def remedies(view: RunView) -> list[str]:
    """What can be done with a run that is over."""
    saved = last_checkpoint(view)
    on = f"r goes on from the {saved}" if saved else "r goes on from its last checkpoint, or from the start"
    if view.status == "finished":
        return ["r trains on to more epochs."]
    if view.status == "failed":
        return [f"Mend the cause, then {on}. Panel 6 has the log."]
    return [f"{on}."]
