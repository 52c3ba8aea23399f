"""The rows of the home screen: one line a run, columns that line up and give way as space runs out."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from textual.message import Message

from tui import words
from tui.themes import STATUS_TONES
from tui.widgets.line_list import Cell, LineList, fitted

if TYPE_CHECKING:
    from dlcore.run_dir import RunSummary

GAP = 2
MARK = 2
STATUS = 10
EPOCH = 5
VALUE = 8
AGE = 6
LEAST_NAME = 18
MOST_NAME = 44
TREND = 24  # columns of a trend as it is computed; a narrower column shows its means
_STAMPED = re.compile(r"\d{8}-\d{6}-.")


class Columns(NamedTuple):
    """Width of each column, 0 where it is left out."""

    name: int
    preset: int
    epoch: int
    value: int
    metric: int
    trend: int
    age: int


def columns(
    width: int, *, longest_name: int, longest_epoch: int, longest_metric: int, one_metric: bool
) -> Columns:
    """How the width of a row is shared out; epoch and value come first, then the trend, age and preset.

    Args:
        longest_name: columns of the longest name.
        longest_epoch: columns of the longest progress, such as ``7/20``.
        longest_metric: columns of the longest metric's name.
        one_metric: all runs are judged by the same metric, which the heading then names.
    """
    rest = width - MARK - STATUS - GAP - LEAST_NAME
    taken = dict.fromkeys(("epoch", "value", "trend", "age", "metric", "preset"), 0)
    wishes = [
        ("epoch", max(EPOCH, min(longest_epoch, 13))),
        ("value", VALUE),
        ("trend", 6),
        ("age", AGE),
        ("preset", 12),
    ]
    if not one_metric:
        wishes.insert(3, ("metric", min(longest_metric, 12)))
    for key, size in wishes:
        if rest >= size + GAP:
            taken[key] = size
            rest -= size + GAP
    name = LEAST_NAME + max(0, min(rest, min(longest_name, MOST_NAME) - LEAST_NAME))
    rest -= name - LEAST_NAME
    most = {
        "value": longest_metric if one_metric else 0,
        "metric": longest_metric,
        "trend": TREND,
        "preset": 20,
    }
    for key, size in most.items():
        if taken[key]:
            more = max(0, min(rest, size - taken[key]))
            taken[key] += more
            rest -= more
    return Columns(name=name, **taken)


def short_name(name: str, width: int) -> str:
    """A name cut where it says least: one that begins with its time loses the date, then the hour."""
    stamped = _STAMPED.match(name) is not None
    ways = [name, name[len("YYYYMMDD-") :], name[len("YYYYMMDD-HHMMSS-") :]] if stamped else [name]
    return fitted(next((way for way in ways if words.cells(way) <= width), ways[-1]), width)


def narrowed(bars: str, width: int) -> str:
    """A sparkline of fewer bars: each takes the last of those it stands for."""
    if len(bars) <= width:
        return bars
    return "".join(bars[(number + 1) * len(bars) // width - 1] for number in range(width))


class RunList(LineList):
    """Runs, newest first, with those that are selected marked."""

    HEADING = True

    class SightChanged(Message):
        """Other runs are in sight: they are worth a closer look than the rest."""

        def __init__(self, paths: tuple[Path, ...]) -> None:
            super().__init__()
            self.paths = paths

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: Sequence[RunSummary] = ()
        self.trends: Mapping[Path, str] = {}
        self.selected: Collection[Path] = frozenset()
        self.now = 0.0
        self._columns: Columns | None = None
        self._sight: tuple[Path, ...] = ()
        self._metric = ""

    @property
    def row_count(self) -> int:  # noqa: D102
        return len(self.rows)

    @property
    def current(self) -> RunSummary | None:
        """The run under the cursor."""
        return self.rows[self.cursor] if 0 <= self.cursor < len(self.rows) else None

    def show(self, rows: Sequence[RunSummary], now: float) -> None:
        """Takes new rows and keeps the cursor on its run; at the very top it stays at the top."""
        before = self.current
        moved = self.cursor > 0
        self.now = now
        self.rows = rows
        self._lay_out()
        if before is not None and moved and not (self.current and self.current.path == before.path):
            at = next((index for index, row in enumerate(rows) if row.path == before.path), self.cursor)
            self.set_reactive(RunList.cursor, min(at, len(rows) - 1))
            self._keep_in_sight()
        self.rows_changed()
        self.tell_sight()

    def show_trends(self, trends: Mapping[Path, str]) -> None:
        """Takes sparklines by path."""
        self.trends = trends
        self.refresh_changed()

    def show_selected(self, selected: Collection[Path]) -> None:
        """Takes the selected runs."""
        self.selected = selected
        self.refresh_changed()

    def show_ages(self, now: float) -> None:
        """Lets the ages go on."""
        self.now = now
        self.refresh_changed()

    def _lay_out(self) -> None:
        """Columns fit the longest name and the metrics there are; looked up only when rows change."""
        metrics = {row.best["metric"] for row in self.rows if row.best}
        names = max((words.cells(row.name) for row in self.rows[:1000]), default=0)
        before, self._metric = self._metric, next(iter(metrics)) if len(metrics) == 1 else ""
        shown = [self._metric] if self._metric else [_short(metric) for metric in metrics]
        longest = max(map(words.cells, shown), default=0)
        laid = columns(
            max(self.content_width, 1),
            longest_name=names,
            longest_epoch=max((len(_epoch(row)) for row in self.rows[:1000]), default=0),
            longest_metric=longest,
            one_metric=len(metrics) < 2,
        )
        if laid != self._columns or before != self._metric:
            self._columns = laid
            self.look_changed()

    def on_resize(self) -> None:
        """Other columns, and other runs in sight."""
        self._lay_out()
        self.tell_sight()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Other runs are in sight."""
        super().watch_scroll_y(old_value, new_value)
        self.tell_sight()

    def tell_sight(self) -> None:
        """Posts `SightChanged` where it is so."""
        top, bottom = self.in_sight
        sight = tuple(row.path for row in self.rows[top:bottom])
        if sight != self._sight:
            self._sight = sight
            self.post_message(self.SightChanged(sight))

    # How a row looks.

    def row_key(self, index: int) -> object:  # noqa: D102
        row = self.rows[index]
        best = row.best or {}
        return (
            row.name, row.preset, row.status, row.epoch, row.epochs, best.get("value"), best.get("metric"),
            self.trends.get(row.path), self._age(row), row.path in self.selected, self._columns,
        )  # fmt: skip

    def _age(self, row: RunSummary) -> str:
        return words.age(self.now - (row.updated or row.created))

    def row_cells(self, index: int, width: int, here: bool) -> Sequence[Cell]:  # noqa: D102
        row, at = self.rows[index], self._columns
        assert at is not None
        space = " " * GAP
        chosen = row.path in self.selected
        mark = "◆ " if chosen else "▸ " if here else "  "
        tone = STATUS_TONES.get(row.status, "quiet")
        cells = [
            Cell(mark, "accent", bold=True),
            Cell(short_name(row.name, at.name), "accent" if chosen else ""),
            Cell(space + fitted(words.status(row.status), STATUS), tone),
        ]
        if at.preset:
            cells.append(Cell(space + fitted(row.preset, at.preset), "quiet"))
        if at.epoch:
            cells.append(Cell(space + fitted(_epoch(row), at.epoch, right=True)))
        best = row.best
        if at.value:
            value = words.metric(best["value"]) if best else words.UNKNOWN
            cells.append(Cell(space + fitted(value, at.value, right=True), "" if best else "quiet"))
        if at.metric:
            cells.append(Cell(space + fitted(_short(best["metric"]) if best else "", at.metric), "quiet"))
        if at.trend:
            bars = narrowed(self.trends.get(row.path, ""), at.trend)
            cells.append(Cell(space + fitted(bars, at.trend), "quiet"))
        if at.age:
            cells.append(Cell(space + fitted(self._age(row), at.age, right=True), "quiet"))
        return cells

    def heading_cells(self, width: int) -> Sequence[Cell]:  # noqa: D102
        at = self._columns
        if at is None or not self.rows:
            return ()
        titles = [
            ("status", STATUS, False),
            ("preset", at.preset, False),
            ("epoch", at.epoch, True),
            (self._judged_by(at.value), at.value, True),
            ("metric", at.metric, False),
            ("trend", at.trend, False),
            ("age", at.age, True),
        ]
        shown = [" " * GAP + fitted(title, size, right=right) for title, size, right in titles if size]
        return [Cell(" " * MARK + fitted("name", at.name) + "".join(shown))]

    def _judged_by(self, width: int) -> str:
        name = self._metric or "best"
        return name if words.cells(name) <= width else _short(name)


def _epoch(row: RunSummary) -> str:
    return words.progress(row.epoch, row.epochs or None)


def _short(metric: str) -> str:
    """``accuracy`` of ``val/accuracy``; another part than val is named."""
    return metric.removeprefix("val/")
