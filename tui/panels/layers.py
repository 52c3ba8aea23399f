"""Inside the network: statistics of every layer at the moments when somebody asked to look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from tui import words
from tui.folder_follower import FolderFollower, FolderRead
from tui.layer_rows import LayerRow, parse
from tui.widgets.line_list import Cell, LineList, fitted
from tui.widgets.panel import Context, Panel

if TYPE_CHECKING:
    from tui.follow import RunView

_NONE = "Press i to look inside the network now; set inspection.every_epochs to have it done by itself."
_DAMAGED = "This inspection cannot be read. [ and ] go to others."
_FIGURE = 10
_LEAST_PATH = 10
_COLUMNS = (  # title, width, what is in it; the first ones stay longest
    ("zeros", 7),
    ("std", _FIGURE),
    ("gradient", _FIGURE),
    ("mean", _FIGURE),
    ("weights", _FIGURE),
    ("shape", 18),
    ("kind", 14),
)
_ORDER = ("kind", "shape", "mean", "std", "zeros", "weights", "gradient")
_LEFT = ("kind", "shape")


class LayerList(LineList):
    """Layers in the order of the forward pass."""

    HEADING = True
    HELP_TITLE = "Layers"

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[LayerRow] = ()

    def show(self, rows: Sequence[LayerRow]) -> None:
        """Other layers; the cursor stays where it was."""
        self.rows = rows
        self.rows_changed()
        self.refresh()

    @property
    def row_count(self) -> int:  # noqa: D102
        return len(self.rows)

    def row_key(self, index: int) -> object:  # noqa: D102
        return self.rows[index]

    def _shown(self, width: int) -> tuple[int, list[tuple[str, int]]]:
        """Width of the path, and the columns there is room for."""
        path = min(36, max((words.cells(row.path) for row in self.rows), default=0))
        rest = width - 2 - max(_LEAST_PATH, min(path, width // 2))
        kept = []
        for name, size in _COLUMNS:
            if rest < size:
                break
            kept.append((name, size))
            rest -= size
        kept.sort(key=lambda column: _ORDER.index(column[0]))
        return width - 2 - sum(size for _, size in kept), kept

    def row_cells(self, index: int, width: int, here: bool) -> Sequence[Cell]:  # noqa: D102
        row = self.rows[index]
        path, columns = self._shown(width)
        bad = row.trouble == "non-finite"
        tone = "error" if bad else "warning" if row.trouble else ""
        cells = [Cell("✗ " if bad else "▲ " if row.trouble else "  ", tone)]
        name = f"{row.path}  {row.trouble}" if row.trouble else row.path
        cells.append(Cell(fitted(name, path), tone))
        for title, size in columns:
            if title in _LEFT:
                said = row.kind if title == "kind" else row.shape
                cells.append(Cell("  " + fitted(said, size - 2), "quiet"))
            else:
                cells.append(Cell(fitted(_figure(row, title), size, right=True)))
        return cells

    def heading_cells(self, width: int) -> Sequence[Cell]:  # noqa: D102
        if not self.rows:
            return ()
        path, columns = self._shown(width)
        titles = {"gradient": "|grad|", "weights": "|weights|", "kind": "  type", "shape": "  output"}
        shown = "".join(
            fitted(titles.get(name, name), size, right=name not in _LEFT) for name, size in columns
        )
        return [Cell("  " + fitted("layer", path) + shown)]


def _figure(row: LayerRow, title: str) -> str:
    if title == "zeros":
        return words.UNKNOWN if row.zeros is None else f"{100 * row.zeros:.0f} %"
    values = {"mean": row.mean, "std": row.std, "weights": row.weight_norm, "gradient": row.gradient_norm}
    return words.metric(values[title])


class LayersPanel(Panel):
    """The newest inspection; `[` and `]` go back and forth in time."""

    KEY = "layers"
    TAB = "inspector"
    ORDER = 8
    SHARE = 6
    DEFAULT_CSS = """
    LayersPanel > Static { height: auto; color: $foreground 60%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket", "turn(-1)", "Earlier", key_display="[", id="layers.earlier",
                tooltip="The inspection before this one"),
        Binding("right_square_bracket", "turn(1)", "Later", key_display="]", id="layers.later",
                tooltip="The inspection after this one"),
    ]  # fmt: skip

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._follower = FolderFollower(self.post_message, context.run, context.run.inspections_path, parse)
        self._names: tuple[str, ...] = ()
        self._read_once = False
        self._name = ""

    def compose(self) -> ComposeResult:
        """The table, and what to say while there is none."""
        yield Static(_NONE, markup=False)
        yield LayerList()

    @property
    def heart(self) -> Widget:  # noqa: D102
        return self.query_one(LayerList)

    def show_view(self, view: RunView) -> None:
        """The files are all there is to show."""

    @property
    def ready(self) -> bool:  # noqa: D102
        return self._read_once

    def follow(self, wanted: bool) -> None:  # noqa: D102
        if wanted:
            self._follower.start()
        else:
            self._follower.stop()

    @on(FolderRead)
    def _read(self, event: FolderRead) -> None:
        event.stop()
        self._read_once = True
        self._names, self._name = event.names, event.name
        step, rows = event.content or (None, [])
        self.query_one(LayerList).show(rows)
        note = self.query_one(Static)
        note.display = not rows
        note.update(_DAMAGED if self._name else _NONE)
        parts = [f"step {words.count(step)}"] if step is not None and rows else []
        if len(self._names) > 1:
            parts.append(f"{self._names.index(self._name) + 1}/{len(self._names)}")
        troubles = sum(bool(row.trouble) for row in rows)
        parts += [f"▲ {troubles}"] if troubles else []
        self.frame_state = " · ".join(parts)
        self.frame_tone = "warning" if troubles else ""

    def action_turn(self, by: int) -> None:
        """The inspection of another time; behind the last one always the newest."""
        if not self._names:
            return
        at = self._names.index(self._name) + by if self._name in self._names else len(self._names) - 1
        at = min(max(at, 0), len(self._names) - 1)
        self._follower.choose("" if at == len(self._names) - 1 else self._names[at])
