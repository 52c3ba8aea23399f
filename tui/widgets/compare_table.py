"""Figures and settings of several runs: a row a thing, a column a run; one column is the current one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from tui import words
from tui.comparison import Row
from tui.widgets import chart_style
from tui.widgets.line_list import Cell, LineList, fitted

_LEAST, _MOST = 10, 22  # columns of a run
_NAMES = 26  # columns of the rows' names at most
_GAP = 2


class Section(NamedTuple):
    """Rows under a heading."""

    title: str
    rows: Sequence[Row]


class Head(NamedTuple):
    """A run: safe name, and whether its curve is shown."""

    name: str
    shown: bool = True


class CompareTable(LineList):
    """Sections of rows; left and right choose the current run.

    Attributes:
        run: index of the current run.
    """

    HEADING = True
    DEFAULT_CSS = """
    CompareTable { min-height: 3; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "run(-1)", "Run", id="table.left", tooltip="The run to the left", show=False),
        Binding("right", "run(1)", "Run", id="table.right", tooltip="The run to the right", show=False),
    ]

    run: reactive[int] = reactive(0, repaint=False, layout=False, init=False)

    class RunMarked(Message):
        """Another run is the current one."""

        def __init__(self, run: int) -> None:
            super().__init__()
            self.run = run

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._heads: tuple[Head, ...] = ()
        self._rows: list[Row] = []
        self._lead = 0
        self._column = _LEAST
        self._first = 0  # of the runs in sight

    def show(self, heads: Sequence[Head], sections: Sequence[Section]) -> None:
        """Takes new content; what looks as before is not painted again."""
        rows: list[Row] = []
        for section in sections:
            rows += [Row("", ())] if rows else []
            rows += [Row(section.title, ()), *section.rows] if section.title else section.rows
        heads = tuple(heads)
        if heads != self._heads:
            self._heads = heads
            self.run = min(self.run, max(0, len(heads) - 1))
            self.look_changed()
        self._rows = rows
        self._lay_out()
        self.rows_changed()

    @property
    def current_row(self) -> Row | None:
        """The row under the cursor."""
        return self._rows[self.cursor] if 0 <= self.cursor < len(self._rows) else None

    @property
    def row_count(self) -> int:  # noqa: D102
        return len(self._rows)

    def row_key(self, index: int) -> object:  # noqa: D102
        return self._rows[index], self.run, self._layout_key

    @property
    def _layout_key(self) -> tuple[int, int, int]:
        return self._lead, self._column, self._first

    def _lay_out(self) -> None:
        """Names take what they need; runs share the rest, and scroll when that is too little."""
        before = self._layout_key
        width, runs = self.content_width, max(1, len(self._heads))
        longest = max((words.cells(row.name) for row in self._rows if row.values), default=0)
        self._lead = min(longest, _NAMES, max(10, width // 3))
        room = width - self._lead - 2
        self._column = max(_LEAST, min(_MOST, room // runs - _GAP))
        seen = self._runs_in_sight
        self._first = min(max(self._first, self.run - seen + 1), self.run, max(0, runs - seen))
        if self._layout_key != before:
            self.look_changed()

    @property
    def _runs_in_sight(self) -> int:
        return max(1, (self.content_width - self._lead - 2) // (self._column + _GAP))

    @property
    def _sight(self) -> range:
        return range(self._first, min(len(self._heads), self._first + self._runs_in_sight))

    def row_cells(self, index: int, width: int, here: bool) -> Sequence[Cell]:  # noqa: D102
        row = self._rows[index]
        if not row.values:
            return [Cell(fitted(f" {row.name}", width), "quiet")]
        cells = [Cell(fitted(f" {row.name}", self._lead + 2))]
        for number in self._sight:
            best = number in row.best
            text = fitted(row.values[number], self._column, right=True)
            cells.append(Cell(text + " " * _GAP, "success" if best else "", bold=best))
        return cells

    def _heading(self, width: int) -> Strip:
        """Each run with its sign and colour from the chart; the current one underlined."""
        plain, quiet = self._style("", False, False), self._style("quiet", False, False)
        left = " ◂" if self._first else ""
        segments = [Segment(fitted(left, self._lead + 2), quiet)]
        background = self.background_colors[1]
        for number in self._sight:
            head = self._heads[number]
            mark = chart_style.look("run", number).mark if head.shown else "·"
            name = words.fit(head.name, self._column - 2)
            space = " " * (self._column - 2 - words.cells(name))
            colour = chart_style.legible(Color.parse(chart_style.PALETTES["run"][number % 8]), background)
            tint = Style(color=colour.rich_color) if head.shown else Style()
            style = plain + Style(bold=True, underline=True) if number == self.run else quiet
            segments += [Segment(space, plain), Segment(f"{mark} ", plain + tint), Segment(name, style)]
            segments.append(Segment(" " * _GAP, plain))
        if self._sight.stop < len(self._heads):
            segments[-1] = Segment("▸ ", quiet)
        return Strip(segments).adjust_cell_length(width, plain)

    def on_resize(self) -> None:
        """Other columns."""
        self._lay_out()

    def watch_run(self) -> None:
        """Shows which one, and tells."""
        self._lay_out()
        self.look_changed()
        self.post_message(self.RunMarked(self.run))

    def action_run(self, by: int) -> None:
        """Another run."""
        self.run = min(max(self.run + by, 0), max(0, len(self._heads) - 1))
