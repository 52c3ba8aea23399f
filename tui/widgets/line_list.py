"""A list of one-line rows that costs what is in sight, however many rows there are.

A subclass says how many rows there are and what one looks like; a row is drawn once and kept until its
look may have changed. Moving the cursor repaints two rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

QUIET = 0.6  # strength of a quiet text's colour
_KEPT = 4_000  # drawn rows


class Cell(NamedTuple):
    """Part of a row: safe text, as wide as its column.

    Attributes:
        tone: colour of the theme such as ``success``, or ``quiet``, or "" for the plain one.
    """

    text: str
    tone: str = ""
    bold: bool = False


def fitted(text: str, width: int, *, right: bool = False) -> str:
    """Safe text as exactly so many columns, as the terminal counts them; "…" where something is cut."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width > 0 else ""
    space = " " * (width - length)
    return space + text if right else text + space


class LineList(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows, a cursor, and above them an optional heading that stays.

    Attributes:
        cursor: index of the marked row; -1 where there are none.
    """

    HEADING = False
    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"lines--cursor"}
    DEFAULT_CSS = """
    LineList {
        height: 1fr;
        width: 1fr;
        overflow-x: hidden;
        overflow-y: auto;
        & > .lines--cursor { background: $row-cursor-quiet; }
        &:focus > .lines--cursor { background: $row-cursor; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", id="list.up", tooltip="One row up", show=False),
        Binding("down,j", "move(1)", "Down", id="list.down", tooltip="One row down", show=False),
        Binding("pageup", "page(-1)", "Page up", id="list.page-up", tooltip="Up a screen", show=False),
        Binding("pagedown", "page(1)", "Page down", id="list.page-down", tooltip="Down a screen", show=False),
        Binding("home,g", "jump(0)", "First", id="list.first", tooltip="To the first row", show=False),
        Binding("end,G", "jump(-1)", "Last", id="list.last", tooltip="To the last row", show=False),
        Binding("enter", "take", "Open", id="list.take", tooltip="Open the marked row"),
    ]  # fmt: skip

    cursor: reactive[int] = reactive(-1, repaint=False, layout=False)

    class Highlighted(Message):
        """The cursor is on another row."""

        def __init__(self, lines: LineList, index: int) -> None:
            super().__init__()
            self.lines = lines
            self.index = index

        @property
        def control(self) -> LineList:
            """The list."""
            return self.lines

    class Taken(Message):
        """A row was opened, by key or by a second click."""

        def __init__(self, lines: LineList, index: int) -> None:
            super().__init__()
            self.lines = lines
            self.index = index

        @property
        def control(self) -> LineList:
            """The list."""
            return self.lines

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._drawn: dict[object, Strip] = {}
        self._painted: dict[int, object] = {}  # what each row looked like when it was last painted
        self._styles: dict[tuple[str, bool, bool], Style] = {}

    # What a subclass says.

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def row_key(self, index: int) -> object:
        """All that decides a row's look, apart from width, theme and cursor."""
        raise NotImplementedError

    def row_cells(self, index: int, width: int, here: bool) -> Sequence[Cell]:
        """The row, left to right."""
        raise NotImplementedError

    def heading_cells(self, width: int) -> Sequence[Cell]:
        """The heading, where the class has one."""
        return ()

    # What everybody calls.

    def rows_changed(self) -> None:
        """To be called when rows came, went or moved. Repaints what is in sight and now looks different."""
        count = self.row_count
        size = Size(self.content_width, count + self.HEADING)
        if size.height != self.virtual_size.height:
            self.virtual_size = size
            self.refresh()
        else:
            self.refresh_changed()
        if not count:
            self.cursor = -1
        else:
            self.cursor = min(max(self.cursor, 0), count - 1)

    def refresh_changed(self) -> None:
        """Repaints the rows in sight that would look different now."""
        top, bottom = self.in_sight
        for index in range(top, bottom):
            if self._painted.get(index) != self._key(index):
                self._refresh_row(index)

    def look_changed(self) -> None:
        """To be called when all rows may look different."""
        self._drawn.clear()
        self._styles.clear()
        self.refresh()

    @property
    def content_width(self) -> int:
        """Columns of a row."""
        return self.scrollable_content_region.width

    @property
    def in_sight(self) -> tuple[int, int]:
        """First row in sight and the one behind the last."""
        top = int(self.scroll_offset.y)
        return top, min(self.row_count, top + max(0, self.size.height - self.HEADING))

    # How it is painted.

    def render_line(self, y: int) -> Strip:
        """One line of the list as it is scrolled now."""
        width = self.content_width
        if self.HEADING and y == 0:
            return self._heading(width)
        index = y - self.HEADING + int(self.scroll_offset.y)
        if index >= self.row_count:
            return self._blank(width)
        key = self._key(index)
        self._painted[index] = key
        strip = self._drawn.get(key)
        if strip is None:
            if len(self._drawn) > _KEPT:
                self._drawn.clear()
            here = self.is_marked(index)
            cells = self.row_cells(index, width, here)
            strip = self._drawn[key] = self._strip(cells, width, here)
        return strip

    def is_marked(self, index: int) -> bool:
        """Whether a row looks like the one under the cursor."""
        return index == self.cursor

    def _blank(self, width: int) -> Strip:
        blank = self._drawn.get(width)
        if blank is None:
            blank = self._drawn[width] = Strip.blank(width, self._style("", False, False))
        return blank

    def _key(self, index: int) -> object:
        return self.row_key(index), self.is_marked(index), self.has_focus, self.content_width

    def _heading(self, width: int) -> Strip:
        text = "".join(cell.text for cell in self.heading_cells(width))
        return Strip([Segment(fitted(text, width), self._style("quiet", False, False))], width)

    def _strip(self, cells: Sequence[Cell], width: int, here: bool) -> Strip:
        segments = [Segment(cell.text, self._style(cell.tone, cell.bold, here)) for cell in cells]
        return Strip(segments).adjust_cell_length(width, self._style("", False, here))

    def _style(self, tone: str, bold: bool, here: bool) -> Style:
        found = self._styles.get((tone, bold, here))
        if found is None:
            found = self.get_component_rich_style("lines--cursor") if here else self.rich_style
            if tone:
                found += Style(color=self._tone(tone).rich_color)
            if bold:
                found += Style(bold=True)
            self._styles[tone, bold, here] = found
        return found

    def _tone(self, tone: str) -> Color:
        """A theme's colour. A component class for each would cost as much as a widget each at the start."""
        if tone == "quiet":
            background, foreground = self.colors[2:]
            return background.blend(foreground, QUIET, alpha=1)
        return Color.parse(self.app.theme_variables[tone])

    def notify_style_update(self) -> None:
        """Theme or focus changed."""
        super().notify_style_update()
        self._styles.clear()
        self._drawn.clear()

    def on_resize(self) -> None:
        """Another width, other columns."""
        self._drawn.clear()
        self.rows_changed()
        self._keep_in_sight()

    def watch_show_vertical_scrollbar(self) -> None:
        """A scroll bar takes columns, or gives them back."""
        self.call_next(self.on_resize)

    def _refresh_row(self, index: int) -> None:
        top, bottom = self.in_sight
        if top <= index < bottom:
            self.refresh(Region(0, index - top + self.HEADING, self.size.width, 1))

    # How it is moved.

    def validate_cursor(self, cursor: int) -> int:  # noqa: D102
        return min(max(cursor, 0 if self.row_count else -1), self.row_count - 1)

    def watch_cursor(self, before: int, cursor: int) -> None:
        """Repaints the two rows, scrolls if it must, and tells."""
        self._refresh_row(before)
        self._refresh_row(cursor)
        self._keep_in_sight()
        self.post_message(self.Highlighted(self, cursor))

    def _keep_in_sight(self) -> None:
        rows = self.size.height - self.HEADING
        top = int(self.scroll_offset.y)
        if rows > 0 and self.cursor >= 0:
            wanted = min(max(top, self.cursor - rows + 1), self.cursor)
            if wanted != top:
                self.scroll_to(y=wanted, animate=False, force=True)

    def action_move(self, by: int) -> None:
        """Rows down, or up where negative."""
        self.cursor += by

    def action_page(self, by: int) -> None:
        """Screenfuls down, or up where negative."""
        self.cursor += by * max(1, self.size.height - self.HEADING - 1)

    def action_jump(self, index: int) -> None:
        """To a row; -1 is the last."""
        self.cursor = index if index >= 0 else self.row_count - 1

    def action_take(self) -> None:
        """Opens the marked row."""
        if self.cursor >= 0:
            self.post_message(self.Taken(self, self.cursor))

    def on_click(self, event: Click) -> None:
        """Marks the row under the pointer; a second click opens it."""
        index = event.y - self.HEADING + int(self.scroll_offset.y)
        if event.y < self.HEADING or not 0 <= index < self.row_count:
            return
        if event.chain > 1 and index == self.cursor:
            self.action_take()
        self.cursor = index
