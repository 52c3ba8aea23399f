"""Home: every run of the folder, newest first, with what one can do to it.

Shows its frame at once, the runs when the follower has read them, a preview after a moment's rest on a
run. Reading goes on only while this screen is in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.events import Resize
from textual.geometry import Size
from textual.timer import Timer
from textual.widgets import Input, Static

from tui import words
from tui.messages import (
    DeviceRead,
    OpenCompare,
    OpenEvaluation,
    OpenNewRun,
    OpenRun,
    RunsChanged,
    TrendsChanged,
)
from tui.run_filter import RunFilter, parse
from tui.screens.chores import RunChores
from tui.widgets.frame import Frame
from tui.widgets.line_list import LineList
from tui.widgets.preview import REST, RunPreview
from tui.widgets.run_list import TREND, RunList

if TYPE_CHECKING:
    from dlcore.run_dir import RunSummary
    from tui.device_follower import DeviceFollower
    from tui.follow import Follower
    from tui.runs_follower import RunsFollower

AGES = 30.0  # seconds between two looks at the ages
BESIDE = 110  # columns from which the preview stands beside the list
BELOW = 34  # lines from which it stands below
PREVIEW = "runs_preview"  # key of the preferences: shown, hidden, or where there is room


class RunsScreen(RunChores):
    """The list of runs, a preview of the marked one, or how to begin where there is none.

    Args:
        behind: name of a run that is about to be shown in front: all but that stays blank until then.
    """

    WHERE = "runs"
    AUTO_FOCUS = "#runs"
    DEFAULT_CSS = """
    RunsScreen {
        #body { layout: horizontal; height: 1fr; }
        #list-frame { width: 1fr; height: 1fr; }
        #filter { height: 1; }
        #note { height: auto; color: $foreground 60%; }
        RunPreview { display: none; }
        &.-beside RunPreview { display: block; width: 46%; }
        &.-below #body { layout: vertical; }
        &.-below RunPreview { display: block; height: 45%; }
        &.-behind #body, &.-behind KeyBar { display: none; }
        &.-empty #list-frame, &.-empty RunPreview { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "New", id="runs.new", tooltip="Set up a new run"),
        Binding("space", "select", "Select", id="runs.select", tooltip="Select this run, or no longer"),
        Binding("a", "select_all", "Select all", id="runs.all", tooltip="Select all runs listed, or none"),
        Binding("c", "compare", "Compare", id="runs.compare", tooltip="Curves of the selected runs"),
        Binding("slash", "filter", "Filter", id="runs.filter", tooltip="Find by words, or acc>0.9"),
        Binding("E", "evaluation", "Evaluation", id="runs.evaluation", tooltip="How good it is, and its mistakes"),
        Binding("r", "resume", "Resume", id="runs.resume", tooltip="Go on from the last checkpoint"),
        Binding("X", "stop", "Stop", id="runs.stop", tooltip="Save a checkpoint and stop"),
        Binding("d,delete", "delete", "Delete", id="runs.delete", tooltip="Delete the selected or this run"),
        Binding("t", "try", "Try", id="runs.try", tooltip="One change beside this run, and both compared"),
        Binding("escape", "back", "Show all", id="back", tooltip="No filter, no selection", show=False),
        Binding("v", "preview", "Preview", id="runs.preview", tooltip="Show or hide the preview"),
    ]  # fmt: skip

    def __init__(self, behind: str = "") -> None:
        super().__init__(classes="-behind" if behind else None)
        self._behind = behind
        self._runs: Sequence[RunSummary] | None = None
        self._settled = False
        self._filter = RunFilter()
        self._selected: set[Path] = set()
        self._trends: dict[Path, str] = {}
        self._follower: RunsFollower | None = None
        self._device_follower: DeviceFollower | None = None
        self._keys_timer: Timer | None = None

    def compose_body(self) -> ComposeResult:
        """The list and the preview, still empty: reading begins after the first paint."""
        self._place_preview(self.app.size)
        with Container(id="body"):
            with Frame(title="Runs", id="list-frame"):
                yield Static("Reading the runs …", id="note", markup=False)
                yield RunList(id="runs")
            yield RunPreview()

    @property
    def run_list(self) -> RunList:
        """The rows."""
        return self.query_one("#runs", RunList)

    @property
    def frame(self) -> Frame:
        """The panel around them."""
        return self.query_one("#list-frame", Frame)

    # Following.

    def on_mount(self) -> None:
        """The first paint goes before the first read."""
        if self._behind:
            self.header.where = self._behind
        self.call_after_refresh(self._begin)
        self.set_interval(AGES, self._age)

    def _begin(self) -> None:
        from tui.runs_follower import RunsFollower

        self._follower = RunsFollower(self.post_message, self.dltui.runs, trend_width=TREND)
        if self.app.screen is self:  # is_current is true of the screen below it, too
            self._follower.start()

    def on_screen_resume(self) -> None:
        """In front again."""
        self._age()
        for follower in self._followers():
            follower.start()
        self.query_one(RunPreview).go_on()
        if self._settled:
            self.dltui.warm_up()

    def on_screen_suspend(self) -> None:
        """Behind another screen nothing is read."""
        if self._behind:
            self._behind, self.header.where = "", self.WHERE
            self.remove_class("-behind")
        self._stop_following()
        self.query_one(RunPreview).pause()

    def on_unmount(self) -> None:
        """The threads end with the screen."""
        self._stop_following()

    def _stop_following(self) -> None:
        for follower in self._followers():
            follower.stop()

    def _followers(self) -> list[Follower]:
        both = (self._follower, self._device_follower)
        return [follower for follower in both if follower is not None]

    def runs_touched(self) -> None:
        """Looks now rather than at the next turn."""
        if self._follower is not None:
            self._follower.wake()

    @on(RunsChanged)
    def _take_runs(self, message: RunsChanged) -> None:
        if not self.is_attached:  # on the way out
            return
        self._runs = message.runs
        if self._selected:
            self._selected &= {run.path for run in message.runs}
        self._show()
        if message.complete and not self._settled:
            self._settled = True
            self.call_after_refresh(self._settle)

    def _settle(self) -> None:
        """The runs are there to see: time for what can wait, such as loading what draws curves."""
        self.dltui.warm_up(engine=self.app.screen is self)
        self._preview_soon()
        if self.dltui.gauges is not None:
            from tui.device_follower import DeviceFollower

            self._device_follower = DeviceFollower(self.post_message, self.dltui.gauges(), self.dltui.runs)
            if self.app.screen is self:  # is_current is true of the screen below it, too
                self._device_follower.start()

    @on(DeviceRead)
    def _take_device(self, message: DeviceRead) -> None:
        self.header.device = message.text

    @on(TrendsChanged)
    def _take_trends(self, message: TrendsChanged) -> None:
        self._trends.update(message.trends)
        self.run_list.show_trends(self._trends)

    @on(RunList.SightChanged)
    def _take_sight(self, message: RunList.SightChanged) -> None:
        if self._follower is not None:
            self._follower.in_sight = message.paths
            self._follower.wake()

    def _age(self) -> None:
        if self._runs:
            self.run_list.show_ages(self.dltui.now())

    # Showing.

    def _show(self) -> None:
        """The runs that pass the filter, and what to say where there is none."""
        if self._runs is None:
            return
        shown = self._filter.apply(self._runs)
        self.run_list.show(shown, self.dltui.now())
        self.run_list.show_selected(frozenset(self._selected))
        note = self.query_one("#note", Static)
        note.display = not shown
        if self._runs and not shown:
            note.update(f"No run matches {self._filter.text}. Press esc to show all.")
        self._show_counts(len(shown))
        self._ensure_welcome() if not self._runs else self._ensure_preview()

    def _show_counts(self, shown: int) -> None:
        total = len(self._runs or ())
        self.header.clock = f"{self.dltui.runs_label} · {words.plural(total, 'run')}"
        parts = [f"/ {self._filter.text} · {shown:,} of {total:,}"] if self._filter else []
        parts += [f"{len(self._selected):,} selected"] if self._selected else []
        self.frame.frame_state = " · ".join(parts)
        self.frame.frame_tone = "accent" if parts else ""
        self.refresh_bindings()

    def _ensure_welcome(self) -> None:
        self.add_class("-empty")
        if not self.query("Welcome"):
            from tui.widgets.welcome import Welcome

            self.query_one("#body").mount(Welcome(title="Welcome"))

    def _ensure_preview(self) -> None:
        """Runs are there: the list takes the welcome's place."""
        if self.has_class("-empty"):
            self.remove_class("-empty")
            self.query("Welcome").remove()
            self.run_list.focus()
        self._preview_soon()

    def on_resize(self, event: Resize) -> None:
        """Space decides where the preview stands."""
        self._place_preview(event.size)
        self._preview_soon()

    def _place_preview(self, size: Size) -> None:
        width, height = size
        beside, below = width >= BESIDE, height >= BELOW
        chosen = self.dltui.preferences.get(PREVIEW, "")
        wanted = chosen == "shown" or (chosen != "hidden" and (beside or below))
        self.set_class(wanted and beside, "-beside")
        self.set_class(wanted and not beside, "-below")

    @on(LineList.Highlighted, "#runs")
    def _preview_soon(self) -> None:
        """What is told of the marked run waits until the cursor rests."""
        if not self._settled:
            return
        self.query_one(RunPreview).look_at(self.run_list.current)
        if self._keys_timer is not None:
            self._keys_timer.stop()
        self._keys_timer = self.set_timer(REST, self.refresh_bindings)

    # The filter.

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self._filter = parse(event.value)
        self._show()

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self._close_filter()

    def _close_filter(self) -> None:
        self.query("#filter").remove()
        self.run_list.focus()

    def action_filter(self) -> None:
        """Opens the line to type a filter in."""
        if not self.query("#filter"):
            hint = "words, or conditions such as acc>0.9"
            line = Input(self._filter.text, hint, id="filter", compact=True, select_on_focus=False)
            line.cursor_blink = False
            self.frame.mount(line, before=0)
        self.query_one("#filter").focus()

    def action_back(self) -> None:
        """Takes back the last thing: the filter and its line, the selection."""
        if self._filter or self.query("#filter"):
            self._filter = RunFilter()
            self._close_filter()
            self._show()
        elif self._selected:
            self._select(set())
        else:
            super().action_back()

    # What one can do.

    def key_ids(self) -> Sequence[str]:
        """New, open, then what fits the marked run."""
        run, chosen = self.run_list.current, len(self._selected)
        if self.query("#filter:focus"):
            return ("submit", "back")
        if self.has_class("-empty"):
            return ("list.take", "runs.new", "leave")
        if chosen:
            return ("runs.compare", "runs.delete", "runs.select", "runs.all", "runs.filter")
        act = "runs.try" if run else ""
        if run and run.status != "finished":
            act = "runs.stop" if run.alive else "runs.resume"
        return [name for name in ("runs.new", "list.take", "runs.select", act, "runs.filter") if name]

    def _chosen(self) -> list[RunSummary]:
        """The selected runs, else the marked one."""
        chosen = [run for run in self._runs or () if run.path in self._selected]
        current = self.run_list.current
        return chosen or ([current] if current is not None else [])

    def _select(self, paths: set[Path]) -> None:
        self._selected = paths
        self.run_list.show_selected(frozenset(paths))
        self._show_counts(self.run_list.row_count)

    @on(LineList.Taken, "#runs")
    def _open(self) -> None:
        run = self.run_list.current
        if run is not None:
            self.post_message(OpenRun(run.path, self.query_one(RunPreview).view_of(run.path)))

    def action_new(self) -> None:
        """Opens the New run screen."""
        self.post_message(OpenNewRun())

    def action_select(self) -> None:
        """Selects the marked run, or takes it out, and goes on to the next."""
        run = self.run_list.current
        if run is not None:
            self._select(self._selected ^ {run.path})
            self.run_list.action_move(1)

    def action_select_all(self) -> None:
        """Selects all runs listed, or none when all are."""
        listed = {run.path for run in self.run_list.rows}
        self._select(self._selected - listed if listed <= self._selected else self._selected | listed)

    def action_compare(self) -> None:
        """Lays the curves of the selected runs over each other."""
        chosen = self._chosen()
        if len(chosen) < 2:
            self.tell("Select two runs or more with space, then press c.")
        else:
            self.post_message(OpenCompare([run.path for run in chosen]))

    def action_evaluation(self) -> None:
        """Measures the network of the marked run."""
        run = self.run_list.current
        if run is not None:
            self.post_message(OpenEvaluation(run.path))

    def action_resume(self) -> None:
        """Goes on with the marked run."""
        run = self.run_list.current
        if run is not None:
            self.resume_run(run)

    def action_try(self) -> None:
        """Trains what the marked run's preset suggests to try."""
        run = self.run_list.current
        if run is not None:
            self.try_beside(run.path)

    def action_stop(self) -> None:
        """Saves and stops the selected runs, else the marked one."""
        self.stop_runs(self._chosen())

    def action_delete(self) -> None:
        """Deletes the selected runs, else the marked one."""
        if self._runs:
            self.delete_runs(self._chosen())

    def action_preview(self) -> None:
        """Shows or hides the preview, from now on."""
        shown = self.query_one(RunPreview).display
        self.dltui.preferences.set(PREVIEW, "hidden" if shown else "shown")
        self._place_preview(self.size)
        self._preview_soon()
