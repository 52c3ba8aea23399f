"""Bars, figures and small histories in rows, of which only the cells that changed are sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.style import Style
from textual.color import Color
from textual.message import Message

from tui import words
from tui.widgets.live_cells import LiveCells

if TYPE_CHECKING:
    from tui.widgets.cells import Cells

TONES = ("", "strong", "quiet", "track", "accent", "primary", "success", "warning", "error")
FULL, HALF, TRACK = "━", "╸", "─"  # lines rather than blocks: bars below each other stay apart
BARS = "▁▂▃▄▅▆▇"


class Part(NamedTuple):
    """A piece of a row: safe text and a tone of `TONES`."""

    text: str
    tone: str = ""


Row = Sequence[Part]


class Gauges(LiveCells, can_focus=True):
    """Rows of parts; `show` them as often as they change."""

    HELP_TITLE = "Gauges"
    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"gauge--{tone}" for tone in TONES if tone}
    DEFAULT_CSS = """
    Gauges {
        width: 1fr;
        height: 1fr;
        & > .gauge--strong { text-style: bold; }
        & > .gauge--quiet { color: $foreground 60%; }
        & > .gauge--track { color: $foreground 22%; }
        & > .gauge--accent { color: $accent; }
        & > .gauge--primary { color: $primary; }
        & > .gauge--success { color: $success; }
        & > .gauge--warning { color: $warning; }
        & > .gauge--error { color: $error; }
    }
    """

    class Resized(Message):
        """Rows of another length fit now."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: Sequence[Row] = ()
        self._at_once = False

    @property
    def text(self) -> str:
        """All rows, without styles."""
        return "\n".join("".join(part.text for part in row).rstrip() for row in self._rows)

    def show(self, rows: Sequence[Row]) -> None:
        """Other figures; what looks the same is not sent again."""
        at_once, self._at_once = self._at_once, False
        if rows == self._rows:
            return
        self._rows = rows
        if at_once and self.seen:
            self.draw()
        else:
            self.outdated()

    def draw_cells(self) -> Cells:
        """The rows as cells."""
        from tui.widgets.cells import Cells

        cells = Cells(self.size.width, self.size.height)
        for number, row in enumerate(self._rows[: self.size.height]):
            column = 0
            for text, tone in row:
                cells.write(number, column, text, TONES.index(tone))
                column += words.cells(text)
        return cells

    def make_styles(self, background: Color, tones: dict[str, Color]) -> list[Style]:
        """One a tone."""
        named = [self.get_component_rich_style(f"gauge--{tone}") for tone in TONES if tone]
        return [self.rich_style, *named]

    def on_resize(self) -> None:
        """Tells who makes the rows; the next ones do not wait for their turn."""
        self._at_once = True
        self.post_message(self.Resized())


def bar(share: float | None, width: int, tone: str = "primary") -> list[Part]:
    """A bar in halves of a column; blank where the share is not known."""
    if share is None or width <= 0:
        return [Part(" " * width)]
    whole, rest = divmod(round(min(1.0, max(0.0, share)) * width * 2), 2)
    filled = FULL * whole + HALF * rest
    return [Part(filled, tone), Part(TRACK * (width - len(filled)), "track")]


def stacked(shares: Sequence[tuple[float, str, str]], width: int) -> list[Part]:
    """Several parts of one whole side by side, each with its sign and tone; a part that is there is seen."""
    parts, total, taken = [], 0.0, 0
    for share, sign, tone in shares:
        total += max(0.0, share)
        until = max(taken, min(width, round(total * width)))
        if share > 0 and until == taken < width:
            until += 1
        parts.append(Part(sign * (until - taken), tone))
        taken = until
    return [*parts, Part(TRACK * (width - taken), "track")]


def history(values: Sequence[float | None], width: int) -> str:
    """Shares of 0 to 1 over time, the newest at the right; blank where one was not known."""
    shown = list(values)[-width:] if width > 0 else []
    marks = [
        " " if value is None else BARS[min(len(BARS) - 1, max(0, int(value * len(BARS))))] for value in shown
    ]
    return " " * (width - len(marks)) + "".join(marks)


def percent(share: float | None) -> str:
    """``  7 %``, always five columns."""
    return f"{'n/a':>5}" if share is None else f"{round(100 * share):>3d} %"


def sentence(text: str, width: int) -> list[Row]:
    """A text in quiet rows."""
    from tui.widgets.text_lines import wrapped

    return [[Part(line, "quiet")] for line in wrapped(text, max(8, width))]
