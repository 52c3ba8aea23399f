"""The run under the cursor at a glance: the curve it is judged by, and what it is in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.timer import Timer
from textual.widgets import Static

from tui import words
from tui.messages import RunChanged
from tui.themes import STATUS_TONES
from tui.widgets.frame import Frame

if TYPE_CHECKING:
    from pathlib import Path

    from dlcore.run_dir import RunSummary
    from tui.follow import Curve, RunFollower, RunView
    from tui.run_state import RunState
    from tui.widgets.chart import Chart, ChartSeries

REST = 0.12  # seconds on a run before its curves are read
NOTHING = "No run is marked. Its curves will be here."


class RunPreview(Frame):
    """Follows the run it is given after a moment's rest on it, and nothing while it is not to be seen.

    Attributes:
        shown: the run whose curves are drawn; None until they are.
    """

    DEFAULT_CSS = """
    RunPreview {
        & > #facts { height: auto; max-height: 5; color: $foreground 70%; }
        & > #chart-name { height: 1; color: $foreground 60%; }
        & > Chart { height: 1fr; }
    }
    """

    def __init__(self) -> None:
        super().__init__(title="Preview")
        self._wanted: RunSummary | None = None
        self._follower: RunFollower | None = None
        self._rest: Timer | None = None
        self.shown: Path | None = None
        self._view: RunView | None = None

    def view_of(self, path: Path) -> RunView | None:
        """What was read of a run, when it is the one that is previewed."""
        return self._view if self._view is not None and self._view.path == path else None

    def compose(self) -> ComposeResult:
        """The chart is mounted with the first curves: its libraries are not needed before."""
        yield Static("", id="chart-name", markup=False)
        yield Static("", id="facts", markup=False)

    def look_at(self, run: RunSummary | None) -> None:
        """Takes the run to show; nothing is read while the cursor flies over a list."""
        self._wanted = run
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(REST, self._begin)

    def pause(self) -> None:
        """Reads nothing until `go_on`."""
        if self._follower is not None:
            self._follower.stop()

    def go_on(self) -> None:
        """After `pause`."""
        if self._follower is not None:
            self._follower.start()

    def on_unmount(self) -> None:
        """The thread ends with the widget."""
        self.pause()

    def _begin(self) -> None:
        run = self._wanted if self.display else None
        path = run.path if run is not None else None
        if path == (self._follower.run.path if self._follower is not None else None):
            return
        self.pause()
        self._follower = None
        self._introduce(run)
        if run is not None:
            from tui.follow import RunFollower

            self._follower = RunFollower(self.post_message, run.path)
            if self.app.screen is self.screen:
                self._follower.start()

    def _introduce(self, run: RunSummary | None) -> None:
        """What is known at once; what was shown of another run goes."""
        self.shown = self._view = None
        self.frame_title = run.name if run else "Preview"
        self.frame_state = words.status(run.status) if run else ""
        self.frame_tone = STATUS_TONES.get(run.status, "") if run else ""
        self._say("#facts", run.error if run else NOTHING)
        self._say("#chart-name", "")
        for chart in self._charts():
            chart.display = run is not None
            chart.set_series(())

    @on(RunChanged)
    def _show(self, message: RunChanged) -> None:
        message.stop()
        view = message.view
        if not self.is_attached or self._follower is None or message.path != self._follower.run.path:
            return
        self._view = view
        self.frame_state = words.status(view.status)
        self.frame_tone = STATUS_TONES.get(view.status, "")
        self._say("#facts", "\n".join(facts(view)))
        name, curves = judged(view)
        self._say("#chart-name", name if curves else "")
        chart = next(iter(self._charts()), None) or self._make_chart()
        chart.live = not view.over
        chart.set_series(_series(curves, view.state))
        if self.shown != message.path:
            self.shown = message.path
            chart.draw()  # growth may wait for its turn, another run may not

    def _say(self, selector: str, text: str) -> None:
        widget = self.query_one(selector, Static)
        if widget.content != text:
            widget.update(text)

    def _charts(self) -> list[Chart]:
        return list(self.query("Chart"))  # type: ignore[arg-type]

    def _make_chart(self) -> Chart:
        from tui.widgets.chart import Chart

        chart = Chart()
        chart.x_mode = "epoch"
        self.mount(chart, after="#chart-name")
        return chart


def judged(view: RunView) -> tuple[str, list[Curve]]:
    """The metric that decides what is best, else the loss: its name and its curves, training first."""
    metric = (view.state.best.metric if view.state.best else view.state.monitor) or "val/loss"
    _, _, name = metric.rpartition("/")
    found = [view.curves[key] for key in (f"train/{name}", metric) if key in view.curves]
    if not found and name != "loss":
        name, found = "loss", [view.curves[key] for key in ("train/loss", "val/loss") if key in view.curves]
    return name, found


def facts(view: RunView) -> list[str]:
    """What it is, how fast it goes, and how it ended."""
    from tui import sentences

    state = view.state
    if view.status in ("running", "paused", "starting"):
        left = seconds_left(state) if view.status == "running" else None
        news = [
            state.doing,
            words.speed(state.samples_per_second) if state.samples_per_second else "",
            f"{words.duration(left)} left" if left is not None else "",
        ]
    else:
        news = sentences.outcome(state, view.status)
    lines = (sentences.heading(state), news)
    return [line for line in (" · ".join(filter(None, parts)) for parts in lines) if line]


def seconds_left(state: RunState) -> float | None:
    """Seconds until the last step at the pace so far; None while nobody can tell."""
    if not state.steps or not state.step or state.seconds <= 0:
        return None
    return max(0, state.steps - state.step) * state.seconds / state.step


def _series(curves: list[Curve], state: RunState) -> list[ChartSeries]:
    from tui.widgets.chart import ChartSeries

    return [
        ChartSeries(
            name=curve.name.partition("/")[0],
            x=curve.step,
            y=curve.value,
            role="train" if curve.name.startswith("train/") else "val",
            time=curve.time,
            steps_per_epoch=state.steps_per_epoch or 0,
        )
        for curve in curves
    ]
