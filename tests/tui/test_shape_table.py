"""The table of shapes fits any width, and what it shows it does not cut."""

from __future__ import annotations

import pytest

from tui.shape_rows import ShapeRow
from tui.widgets.shape_table import _columns

ROWS = [
    ShapeRow("blocks.0.conv", "Conv2d", "64×1×8×8", "64×32×8×8", "320", "2.4"),
    ShapeRow("hidden1.activation", "ReLU", "64×128", "64×128", "-", "-"),
    ShapeRow("rnn", "GRU", "64×8×8", "64×8×128, 1×64×128", "1,052,992", "27"),
]


@pytest.mark.parametrize("width", range(28, 150))
def test_no_figure_is_cut_at_any_width(width: int) -> None:
    columns = _columns(ROWS, width)
    assert sum(column.width for column in columns) + 2 * (len(columns) - 1) <= width
    for column in columns:
        if column.right:
            assert column.width >= max(len(getattr(row, column.name)) for row in ROWS)


def test_layers_give_way_first_and_then_the_last_figure() -> None:
    def names(width: int) -> list[str]:
        return [column.name for column in _columns(ROWS, width)]

    assert names(60) == ["layer", "output", "parameters", "mega"]
    assert names(44) == ["layer", "output", "parameters"]
    assert names(30) == ["layer", "output"]
    assert _columns(ROWS, 52)[0].width < len("hidden1.activation")
