"""The progress that a terminal shows: a table that grows by an epoch a row, and a bar below it.

Nothing is repainted unless its text changed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import IO, NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tui import sentences, words
from tui.epoch_table import EpochTable
from tui.pace import Pace
from tui.reporters import Reporter
from tui.run_state import Event, Notice, RunState, notices_of
from tui.watch import RunWatch

ECHO = 5  # columns
_SIGNS = {"info": ("·", "dim"), "warning": ("!", "yellow"), "error": ("✗", "red")}


class LiveReporter(Reporter):
    """Paints on a terminal.

    Args:
        out: the terminal.
        clock: seconds that only grow.
        console: where to paint instead, for tests.
    """

    def __init__(
        self, out: IO[str], clock: Callable[[], float] = time.monotonic, console: Console | None = None
    ) -> None:
        self._console = console or Console(file=out, highlight=False, markup=False, emoji=False)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._clock = clock
        self._began = clock()
        self._pace = Pace(clock)
        self._table: EpochTable | None = None
        self._headed = False
        self._painted: tuple[Frame, int] | None = None

    def waiting(self, what: str) -> None:
        """One line that counts the seconds."""
        self._paint(Frame(f"{what}  {self._clock() - self._began:.0f} s"))

    def update(self, watch: RunWatch, fresh: Sequence[Event]) -> None:
        """Adds what is new to the table and repaints the bar below it."""
        state = watch.state
        above = self._heading(watch) + self._rows(state, fresh)
        above += [_notice(notice) for notice in notices_of(state, fresh)]
        if above:
            self._live.start()
            self._console.print(Group(*above), no_wrap=True, overflow="ellipsis", crop=True)
        if not self._headed:
            self.waiting(state.doing or "preparing data and model")
        elif not state.ended:
            self._pace.add(state)
            self._paint(self._frame(watch))

    def finish(self, watch: RunWatch) -> None:
        """Takes the bar away and says how it ended."""
        self.close()
        state, status = watch.state, watch.status
        bad = status in ("failed", "died")
        if watch.unspoken:
            return
        if self._table is not None:
            self._print(*self._table.last())
        if bad and not sys.stderr.isatty():
            print(sentences.end_line(watch), file=sys.stderr, flush=True)
        sign = (words.STATUS_SIGNS.get(status, " "), words.STATUS_COLOURS.get(status, ""))
        first, *others = sentences.outcome(state, status)
        self._console.print(Text.assemble("\n" if self._headed else "", sign, " ", first), soft_wrap=True)
        for line in others:
            self._console.print(Text(f"  {line}"), soft_wrap=True)
        for step in sentences.next_steps(watch.run, status):
            self._console.print(Text(f"  {step}", style="dim"), soft_wrap=True)

    def close(self) -> None:
        """Takes the bar away and shows the cursor again; a second call does nothing."""
        self._live.update(Text(""))
        self._live.stop()

    def _heading(self, watch: RunWatch) -> list[Text]:
        if self._headed or not watch.begun:
            return []
        self._headed = True
        facts = sentences.heading(watch.state)
        return [Text.assemble((watch.name, "bold"), *((f"   {fact}", "") for fact in facts)), Text("")]

    def _rows(self, state: RunState, fresh: Sequence[Event]) -> list[Text]:
        rows: list[Text] = []
        for event in fresh:
            if event.get("event") == "epoch":
                if self._table is None:
                    self._table = EpochTable(event, state.epochs, self._console.width)
                    rows.append(self._table.header())
                rows += self._table.add(event)
        return rows

    def _frame(self, watch: RunWatch) -> Frame:
        state = watch.state
        current = min(state.epoch + 1, state.epochs or state.epoch + 1)
        left = self._pace.left(state.steps)
        figures = [words.speed(state.samples_per_second)]
        figures.append("" if left is None else f"{words.duration(left)} left")
        if state.status == "paused":
            figures = ["paused"]
        return Frame(
            f"epoch {words.progress(current, state.epochs)}",
            min(1.0, state.step / state.steps) if state.steps else 0.0,
            "   ".join(figure for figure in figures if figure not in ("", words.UNKNOWN)),
            "  ".join(self._latest(watch)),
        )

    def _latest(self, watch: RunWatch) -> list[str]:
        state = watch.state
        losses = [name for name in state.metrics if name.startswith("train/") and "loss" in name] or [
            "train/loss"
        ]
        figures = {name: watch.recent(name) for name in losses}
        if self._table is not None and self._table.every > 1:  # else the last row says it
            judged = ("val/loss", state.best.metric if state.best else "")
            figures |= {name: state.metrics.get(name) for name in judged}
        known = {name: value for name, value in figures.items() if value is not None}
        parts = [f"{name} {words.metric(known[name])}" for name in sentences.in_order(known)]
        parts.append(sentences.best(state.best))
        parts.append(f"lr {words.rate(state.lr)}" if state.lr is not None else "")
        return [part for part in parts if part]

    def _paint(self, frame: Frame) -> None:
        seen = (frame, self._console.width)
        if seen != self._painted:
            self._painted = seen
            self._live.update(frame.render(self._console.width))
            self._live.start()
            self._live.refresh()

    def _print(self, *lines: Text) -> None:
        for line in lines:
            self._console.print(line, no_wrap=True, overflow="ellipsis", crop=True)


class Frame(NamedTuple):
    """What stands below the table. ``share`` from 0 to 1 draws a bar; None leaves it out."""

    label: str
    share: float | None = None
    figures: str = ""
    latest: str = ""

    def render(self, width: int) -> Group | Text:
        """At most two lines."""
        if self.share is None:
            return Text(words.fit(self.label, width - ECHO), style="dim", no_wrap=True)
        line = Table.grid(padding=(0, 2, 0, 0))
        bar = ProgressBar(total=1.0, completed=self.share, width=max(4, min(40, width - 60)))
        line.add_row(Text(self.label), bar, Text(f"{self.share:4.0%}"), Text(self.figures, no_wrap=True))
        # Room for the ^C that a terminal echoes: a line that wraps could not be taken back.
        return Group(line, Text(words.fit(self.latest, width - ECHO), style="dim", no_wrap=True))


def _notice(notice: Notice) -> Text:
    sign, style = _SIGNS[notice.level]
    return Text.assemble((f"{sign} ", style), notice.text)
