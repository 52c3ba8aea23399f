"""Several runs over each other: one metric's curves, final figures side by side, and what differs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import DescendantFocus, Resize

from dlcore.run_dir import RunDir
from dlcore.text_safety import safe_text
from tui import comparison, words
from tui.messages import OpenRun, RunChanged
from tui.run_state import LIVE
from tui.screens.base import AppScreen
from tui.widgets.chart import Chart, ChartSeries
from tui.widgets.compare_table import CompareTable, Head, Section
from tui.widgets.frame import Frame
from tui.widgets.line_list import LineList
from tui.widgets.tab_line import TabLine

if TYPE_CHECKING:
    from tui.follow import RunFollower, RunView

PANELS = ("Curves", "Figures")
MOST = 8  # runs: as many colours and signs as can be told apart
ROOMY = 30  # lines from which both panels are seen at once
NO_CURVES = "None of these runs has a curve yet. Curves appear with the first steps."


class CompareScreen(AppScreen):
    """Follows all of its runs while it is in front.

    Args:
        paths: of the runs, in the order of their colours; those after the eighth are left out.
    """

    WHERE = "compare"
    AUTO_FOCUS = "Chart"
    KEYS = ("compare.metric", "compare.hide", "compare.open", "chart.smooth", "back")
    DEFAULT_CSS = """
    CompareScreen {
        #panels { height: 1fr; }
        #curves { height: 1fr; }
        #figures { height: 1fr; }
        TabLine { display: none; }
        &.-short {
            TabLine { display: block; }
            #panels > Frame { display: none; }
            #panels > Frame.-active { display: block; }
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket", "turn(1)", "Metric", key_display="]", id="compare.metric",
                tooltip="Curves of the next metric"),
        Binding("left_square_bracket", "turn(-1)", "Metric", key_display="[", id="compare.metric-before",
                tooltip="Curves of the metric before", show=False),
        Binding("space", "hide", "Hide run", id="compare.hide",
                tooltip="Hide the current run's curve, or show it"),
        Binding("o", "open", "Open run", id="compare.open", tooltip="Open the current run"),
        Binding("comma", "run(-1)", "Run", key_display=",", id="compare.run-before",
                tooltip="The run before becomes the current one", show=False),
        Binding("full_stop", "run(1)", "Run", key_display=".", id="compare.run",
                tooltip="The next run becomes the current one", show=False),
        Binding("1", "go(0)", "Curves", id="compare.curves", tooltip="To the curves", show=False),
        Binding("2", "go(1)", "Figures", id="compare.figures", tooltip="To the figures", show=False),
    ]  # fmt: skip

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__()
        self.runs = [RunDir(path) for path in paths[:MOST]]
        self.names = comparison.short_names(safe_text(run.name, limit=60) for run in self.runs)
        self.views: dict[Path, RunView] = {}
        self.metric = ""
        self._left_out = len(paths) - len(self.runs)
        self._hidden: set[int] = set()
        self._settings: list[comparison.Settings] = []
        self._followers: list[RunFollower] = []

    def compose_body(self) -> ComposeResult:
        """Tab line, curves above figures."""
        self.set_class(self.app.size.height < ROOMY, "-short")
        yield TabLine(PANELS)
        with Vertical(id="panels"):
            with Frame(title=PANELS[0], id="curves", classes="-active"):
                yield Chart(empty=f"Reading {words.plural(len(self.runs), 'run')} …")
            with Frame(title=PANELS[1], id="figures"):
                yield CompareTable()

    @property
    def chart(self) -> Chart:
        """The curves."""
        return self.query_one(Chart)

    @property
    def table(self) -> CompareTable:
        """The figures."""
        return self.query_one(CompareTable)

    # -- following ----------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Reads the runs when the frames are there to see."""
        self.header.facts = (words.plural(len(self.runs), "run"),)
        if self._left_out:
            self.notify(
                f"Only {MOST} runs can be told apart; {self._left_out:,} more are left out.", markup=False
            )
        self.watch(self.app, "app_focus", self._wake_or_rest, init=False)
        self._show()
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        from tui.follow import RunFollower

        self._followers = [RunFollower(self.post_message, run) for run in self.runs]
        self._wake_or_rest()
        self._read_settings()

    @work(exclusive=True)
    async def _read_settings(self) -> None:
        paths = [run.preset_path for run in self.runs]
        self._settings = await asyncio.to_thread(lambda: [comparison.settings(path) for path in paths])
        self._show_table()

    def _wake_or_rest(self) -> None:
        for follower in self._followers:
            if self.app.screen is self and self.app.app_focus:
                follower.start()
            else:
                follower.stop()

    def on_screen_resume(self) -> None:
        """In front again."""
        self._wake_or_rest()

    def on_screen_suspend(self) -> None:
        """Behind another screen nothing is read."""
        self._wake_or_rest()

    def on_unmount(self) -> None:
        """The threads end with the screen."""
        for follower in self._followers:
            follower.stop()

    @on(RunChanged)
    def _take_run(self, message: RunChanged) -> None:
        message.stop()
        self.views[message.path] = message.view
        self._show()

    # -- showing ------------------------------------------------------------------------------------------

    def _in_order(self) -> list[RunView | None]:
        return [self.views.get(run.path) for run in self.runs]

    def _show(self) -> None:
        self._show_curves()
        self._show_table()

    def _show_curves(self) -> None:
        views = self._in_order()
        if self.metric not in comparison.metric_names(views):
            self.metric = comparison.judged(views)
        if len(self.views) == len(self.runs):
            self.chart.empty = NO_CURVES
        self.chart.live = any(view is None or view.status in LIVE for view in views)
        self.chart.set_series(
            [
                _series(view, self.metric, number, self.names[number])
                for number, view in enumerate(views)
                if view is not None and self.metric in view.curves and number not in self._hidden
            ]
        )
        self.query_one("#curves", Frame).frame_title = self.metric or PANELS[0]
        self._show_states()

    def _show_table(self) -> None:
        views = self._in_order()
        heads = [Head(name, number not in self._hidden) for number, name in enumerate(self.names)]
        sections = [
            Section("", comparison.facts(views)),
            Section("final figures, ▲ highest or ▼ lowest is best", comparison.figures(views)),
        ]
        if self._settings:
            rows = comparison.differing(self._settings)
            title = "what differs in their presets" if rows else "their presets are the same"
            sections.append(Section(title, rows))
        if costs := comparison.costs(views):
            sections.append(Section("what it costs", costs))
        self.table.show(heads, sections)
        self._show_states()

    @on(Chart.ViewChanged)
    @on(CompareTable.RunMarked)
    def _show_states(self) -> None:
        """The current run, whose keys work in both panels, and how the curves are drawn."""
        run = safe_text(self.runs[self.table.run].name, limit=60) if self.runs else ""
        self.query_one("#figures", Frame).frame_state = run
        here = [self.names[self.table.run]] if self.has_class("-short") and self.names else []
        drawn = [self.chart.state_text] if self.metric else []
        self.query_one("#curves", Frame).frame_state = "   ".join([*here, *drawn])

    # -- what one can do ----------------------------------------------------------------------------------

    def action_turn(self, by: int) -> None:
        """Curves of another metric."""
        names = comparison.metric_names(self._in_order())
        if names:
            now = names.index(self.metric) if self.metric in names else 0
            self.metric = names[(now + by) % len(names)]
            self._show_curves()

    @on(LineList.Taken)
    def _row_taken(self) -> None:
        """A metric's row shows its curves."""
        row = self.table.current_row
        if row is not None and row.metric and row.name in comparison.metric_names(self._in_order()):
            self.metric = row.name
            self._show_curves()
            if self.has_class("-short"):
                self.action_go(0)

    def action_run(self, by: int) -> None:
        """Another run is the current one, from any panel."""
        self.table.action_run(by)

    def action_hide(self) -> None:
        """Hides the current run's curve, or shows it again; one always stays."""
        number = self.table.run
        hidden = self._hidden ^ {number}
        if len(hidden) < len(self.runs):
            self._hidden = hidden
            self._show()

    def action_open(self) -> None:
        """Opens the current run."""
        if self.runs:
            path = self.runs[self.table.run].path
            self.post_message(OpenRun(path, self.views.get(path)))

    def action_go(self, panel: int) -> None:
        """To a panel."""
        self._activate(panel)
        (self.chart, self.table)[panel].focus()

    def _activate(self, panel: int) -> None:
        for number, frame in enumerate(self.query("#panels > Frame")):
            frame.set_class(number == panel, "-active")
        self.query_one(TabLine).active = panel

    @on(TabLine.Wanted)
    def _tab_wanted(self, event: TabLine.Wanted) -> None:
        self.action_go(event.index)

    @on(DescendantFocus)
    def _focus_moved(self) -> None:
        """The panel with the focus is the one in sight where there is room for one."""
        self._activate(1 if self.focused is self.table else 0)

    def on_resize(self, event: Resize) -> None:
        """Space decides whether both panels are seen."""
        self.set_class(event.size.height < ROOMY, "-short")
        self._show_states()


def _series(view: RunView, metric: str, number: int, name: str) -> ChartSeries:
    curve = view.curves[metric]
    return ChartSeries(
        name=name,
        x=curve.step,
        y=curve.value,
        role="run",
        index=number,
        time=curve.time,
        steps_per_epoch=float(view.state.steps_per_epoch or 0),
    )
