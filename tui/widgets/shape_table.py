"""The network as it now stands: a row for each layer, totals below, and what is wrong where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.widgets import Static

from dlcore.text_safety import safe_text
from tui import shape_rows
from tui.shape_rows import ShapeRow
from tui.widgets.line_list import Cell, LineList, fitted

_TYPE = 74  # columns from which the layers' classes are shown
_INPUT = 96  # and what goes into them
_LEAST = {"output": 12, "parameters": 9, "mega": 5}  # columns, so that little jumps with an edit
_SHAPES = ("inputs", "output")  # columns that give way first
_SHORTEST = 12  # columns of the layer, unless its longest name has fewer
_FIGURES = ("parameters", "mega")  # of which the last goes first where even that is too much
_GAP = 4  # columns behind the longest name, where there is room
_LOW = 10  # lines below which the totals are cut to one


_TITLES = ShapeRow("layer", "type", "input", "output", "params", "MFLOP")


class _Column(NamedTuple):
    name: str
    width: int
    right: bool = False


class ShapeLines(LineList):
    """The rows; wider tables also show classes and inputs."""

    HELP_TITLE = "Shapes"

    def __init__(self) -> None:
        super().__init__()
        self.answer: Mapping[str, Any] = {}
        self._rows: list[ShapeRow] = []
        self._before_failure = -1  # where the cursor was
        self._columns: tuple[_Column, ...] = ()

    def show(self, answer: Mapping[str, Any]) -> None:
        """Takes the engine's answer; what fails, and what mends it, comes into sight by itself."""
        self.answer = answer
        self._lay_out()
        self.rows_changed()
        failing = next((at for at, row in enumerate(self._rows) if row.tone == "error"), -1)
        if failing < 0:
            if self._before_failure >= 0:
                self.cursor = self._before_failure
            self._before_failure = -1
            return
        if self._before_failure < 0:
            self._before_failure = self.cursor
        if not self.has_focus:
            self.cursor = failing
        self.call_after_refresh(self._show_failure)

    def _show_failure(self) -> None:
        """Scrolls to the end, or as far as the failing row is still in sight."""
        failing = next((at for at, row in enumerate(self._rows) if row.tone == "error"), -1)
        if failing >= 0 and not self.has_focus:
            room = max(1, self.scrollable_content_region.height - self.HEADING)
            top = max(0, min(failing, len(self._rows) - room))
            self.scroll_to(y=top, animate=False, force=True)

    def _lay_out(self) -> None:
        width = self.content_width
        layers = shape_rows.layer_rows(self.answer)
        self.HEADING = bool(layers)
        self._rows = layers + shape_rows.failure_rows(self.answer, width)
        self._rows += shape_rows.fix_rows(self.answer, width)
        before, self._columns = self._columns, _columns([row for row in layers if not row.tone], width)
        if self._columns != before:
            self.refresh(Region(0, 0, self.size.width, 1))  # the heading; rows know by themselves

    @property
    def here(self) -> ShapeRow | None:
        """The row under the cursor."""
        return self._rows[self.cursor] if 0 <= self.cursor < len(self._rows) else None

    @property
    def row_count(self) -> int:  # noqa: D102
        return len(self._rows)

    def row_key(self, index: int) -> object:  # noqa: D102
        return self._rows[index], self._columns

    def heading_cells(self, width: int) -> Sequence[Cell]:  # noqa: D102
        return self._cells(_TITLES)

    def row_cells(self, index: int, width: int, here: bool) -> Sequence[Cell]:  # noqa: D102
        row = self._rows[index]
        return [Cell(fitted(row.layer, width), row.tone)] if row.tone else self._cells(row)

    def _cells(self, row: ShapeRow) -> list[Cell]:
        cells = []
        for number, (field, width, right) in enumerate(self._columns):
            text = getattr(row, field)
            if field == "layer" and len(text) > width:
                text = "…" + text[len(text) - width + 1 :]  # the end of a path tells more than its start
            if field in _SHAPES and len(text) > width:
                text = shape_rows.shortened(text)
            shown = fitted(text, width, right=right)
            tone = "quiet" if field in ("type", "inputs") else ""
            cells.append(Cell(("  " if number else "") + shown, tone))
        return cells

    def on_resize(self) -> None:
        """Another width, other columns."""
        self._lay_out()
        super().on_resize()


def _columns(layers: Sequence[ShapeRow], width: int) -> tuple[_Column, ...]:
    """The columns that a width has room for; the layer's gives way first, then figures, and none is cut."""
    wide = [name for name, least in (("type", _TYPE), ("inputs", _INPUT)) if width >= least]
    rows = (_TITLES, *layers)
    for kept in range(len(_FIGURES), -1, -1):
        names = ("layer", *wide, "output", *_FIGURES[:kept])
        widths = {name: max(len(getattr(row, name)) for row in rows) for name in names}
        spare = width - sum(widths.values()) - 2 * (len(widths) - 1)
        for name in _SHAPES:
            if spare < 0 and name in widths:  # of several tensors only the first is told
                short = max(len(shape_rows.shortened(getattr(row, name))) for row in rows)
                spare += widths[name] - short
                widths[name] = short
        if widths["layer"] + spare >= min(_SHORTEST, widths["layer"]):
            break
    widths["layer"] = max(1, widths["layer"] + min(spare, _GAP))
    for name, least in _LEAST.items():
        more = max(0, min(least - widths.get(name, least), spare - _GAP))
        if more:
            widths[name] += more
            spare -= more
    return tuple(_Column(name, columns, name in _FIGURES) for name, columns in widths.items())


class ShapeTable(Vertical):
    """Table and totals, or why there are none."""

    DEFAULT_CSS = """
    ShapeTable {
        height: 1fr;
        & > .totals { height: auto; max-height: 6; margin-top: 1; }
        & > .notice { height: 1fr; color: $foreground 60%; }
        & > .notice.-error { color: $error; }
    }
    """

    class Looked(Message):
        """The cursor is on a layer, or on none."""

        def __init__(self, row: ShapeRow | None) -> None:
            super().__init__()
            self.row = row

    class FixWanted(Message):
        """Wish: take this fix."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def compose(self) -> ComposeResult:
        """Rows, totals, and what stands in for them."""
        yield ShapeLines()
        yield Static("", classes="totals", markup=False)
        yield Static("", classes="notice", markup=False)

    def on_mount(self) -> None:
        """Empty until told."""
        self.show_notice("")

    @property
    def lines(self) -> ShapeLines:
        """The rows, which take the focus."""
        return self.query_one(ShapeLines)

    def show(self, answer: Mapping[str, Any]) -> None:
        """Takes the engine's answer to ``shapes``."""
        if answer.get("state") == "wrong" and not answer.get("rows") and not answer.get("failure"):
            self.show_notice("\n".join(answer["problems"]))
            return
        self.query_one(".notice").display = False
        self.lines.display = True
        self.lines.show(answer)
        parts = [(shape_rows.totals(answer), ""), shape_rows.memory(answer), shape_rows.data_line(answer)]
        told = [Content.styled(text, f"${tone}" if tone else "") for text, tone in parts if text]
        told = told[:1] if self.size.height < _LOW else told
        totals = self.query_one(".totals", Static)
        totals.display = bool(told)
        content = Content("\n").join(told)
        if content != totals.content:
            totals.update(content)

    def on_resize(self) -> None:
        """Less room, fewer totals."""
        if self.lines.display and self.lines.answer:
            self.show(self.lines.answer)

    def show_notice(self, text: str, *, error: bool = False) -> None:
        """Says why there is no table."""
        notice = self.query_one(".notice", Static)
        notice.update(safe_text(text, newlines=True))
        notice.set_class(error, "-error")
        notice.display = True
        self.lines.display = False
        self.query_one(".totals").display = False

    @on(LineList.Highlighted)
    def _look(self, event: LineList.Highlighted) -> None:
        event.stop()
        self.post_message(self.Looked(self.lines.here))

    @on(LineList.Taken)
    def _taken(self, event: LineList.Taken) -> None:
        event.stop()
        if self.lines.here is not None and self.lines.here.fix >= 0:
            self.post_message(self.FixWanted(self.lines.here.fix))
