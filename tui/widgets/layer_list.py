"""Layers as rows of figures: what comes out of them, how large their weights and gradients are."""

from __future__ import annotations

from collections.abc import Sequence

from tui import words
from tui.layer_rows import LayerRow
from tui.widgets.line_list import Cell, LineList, fitted

_FIGURE = 8
_LEAST_PATH = 10
_COLUMNS = (  # title, width, what is in it; the first ones stay longest
    ("zeros", 6),
    ("std", _FIGURE),
    ("gradient", _FIGURE),
    ("update", _FIGURE),
    ("mean", _FIGURE),
    ("weights", _FIGURE),
    ("shape", 18),
    ("kind", 14),
)
_ORDER = ("kind", "shape", "mean", "std", "zeros", "weights", "gradient", "update")
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
        titles = {
            "gradient": "|grad|",
            "weights": "|w|",
            "update": "upd/w",
            "kind": "  type",
            "shape": "  output",
        }
        shown = "".join(
            fitted(titles.get(name, name), size, right=name not in _LEFT) for name, size in columns
        )
        return [Cell("  " + fitted("layer", path) + shown)]


def _figure(row: LayerRow, title: str) -> str:
    if title == "zeros":
        return words.UNKNOWN if row.zeros is None else f"{100 * row.zeros:.0f} %"
    values = {"mean": row.mean, "std": row.std, "weights": row.weight_norm, "gradient": row.gradient_norm}
    values["update"] = row.update
    value = values[title]
    said = words.metric(value)
    return said if value is None or len(said) < _FIGURE else f"{value:.1e}"
