"""Rows of lists: columns that line up in every width and with every name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult

from dlcore.run_dir import RunSummary
from dlcore.text_safety import safe_text
from tests.tui.piloting import until
from tui.widgets.line_list import fitted
from tui.widgets.run_list import MARK, RunList, columns, narrowed, short_name
from tui.widgets.shape_table import ShapeLines

BEST = {"metric": "val/accuracy", "value": 0.92, "epoch": 3}


@given(st.text(max_size=40), st.integers(0, 30), st.booleans())
def test_a_cell_is_exactly_as_wide_as_its_column(text: str, width: int, right: bool) -> None:
    assert cell_len(fitted(safe_text(text), width, right=right)) == width


@given(st.integers(1, 250), st.integers(1, 300), st.integers(0, 60), st.booleans())
def test_columns_fit_the_width_or_only_the_needed_ones_are_left(
    width: int, name: int, metric: int, one: bool
) -> None:
    laid = columns(width, longest_name=name, longest_epoch=7, longest_metric=metric, one_metric=one)
    shown = [size for size in laid if size]
    used = MARK + sum(shown) + 10 + 2 * len(shown)
    assert used <= width or laid[1:] == (0,) * 6


def test_wider_lists_show_more_and_never_less() -> None:
    longest = {"longest_name": 20, "longest_epoch": 7, "longest_metric": 8}
    shown = [sum(map(bool, columns(width, one_metric=True, **longest))) for width in range(30, 160)]
    assert shown == sorted(shown) and shown[0] == 1 and shown[-1] == 6


def test_a_name_with_its_time_keeps_its_end() -> None:
    stamped = "20251120-231502-digits-cnn"
    assert short_name(stamped, 26) == stamped
    assert short_name(stamped, 17) == "231502-digits-cnn"
    assert short_name(stamped, 12).rstrip() == "digits-cnn"
    assert short_name(stamped, 8) == "digits-…"
    assert short_name("a-name-somebody-typed", 12) == "a-name-some…"


def test_a_narrow_trend_ends_where_the_long_one_does() -> None:
    assert narrowed("▁▂▃▄▅▆▇█", 4) == "▂▄▆█"
    assert narrowed("▁█", 4) == "▁█"


class Lists(App[None]):
    """A list of very many runs and nothing else."""

    def compose(self) -> ComposeResult:
        yield RunList(id="runs")

    def get_css_variables(self) -> dict[str, str]:
        return super().get_css_variables() | {"row-cursor": "blue", "row-cursor-quiet": "gray"}


def many(number: int) -> list[RunSummary]:
    return [
        RunSummary(f"run-{index}", Path("runs") / str(index), "finished", best=BEST, created=float(index))
        for index in range(number)
    ]


async def test_ten_thousand_rows_cost_what_is_in_sight() -> None:
    app = Lists()
    async with app.run_test(size=(80, 24)) as pilot:
        rows = app.query_one(RunList)
        rows.show(many(10_000), 0.0)
        await until(pilot, lambda: rows.max_scroll_y > 0)
        await pilot.press("end")
        await until(pilot, lambda: rows.in_sight[1] == 10_000)
        assert rows.cursor == 9_999
        assert len(rows._drawn) < 100


async def test_only_rows_that_look_different_are_painted_again() -> None:
    app = Lists()
    async with app.run_test(size=(80, 24)) as pilot:
        rows = app.query_one(RunList)
        runs = many(5)
        rows.show(runs, 0.0)
        await until(pilot, lambda: len(rows._painted) == 5)
        painted: list[int] = []
        rows._refresh_row = painted.append  # type: ignore[method-assign]
        changed = RunSummary("run-2", runs[2].path, "finished", best=BEST, created=2.0, step=99)
        rows.show([*runs[:2], changed, *runs[3:]], 0.0)
        assert painted == [], "a step is not shown"
        changed = RunSummary("run-2", runs[2].path, "failed", best=BEST, created=2.0)
        rows.show([*runs[:2], changed, *runs[3:]], 0.0)
        assert painted == [2]


@pytest.mark.parametrize("names", [["a"], ["x" * 200, "数" * 60, "é" * 30], []])
async def test_every_line_is_as_wide_as_the_list(names: list[str]) -> None:
    app = Lists()
    async with app.run_test(size=(57, 12)) as pilot:
        rows = app.query_one(RunList)
        rows.show([RunSummary(name, Path(name), "died") for name in names], 0.0)
        await until(pilot, lambda: rows.row_count == len(names))
        assert {rows.render_line(y).cell_length for y in range(12)} == {57}


class Shapes(App[None]):
    """The rows of a shape table and nothing else."""

    CSS = "ShapeLines { width: 40; height: 10; scrollbar-size-vertical: 1; }"

    def compose(self) -> ComposeResult:
        yield ShapeLines()

    def get_css_variables(self) -> dict[str, str]:
        return super().get_css_variables() | {"row-cursor": "blue", "row-cursor-quiet": "gray"}


def layers(number: int) -> dict[str, Any]:
    row = {
        "path": "blocks.0.attention.qkv",
        "type": "Linear",
        "inputs": [[64, 5, 128]],
        "outputs": [[64, 5, 384]],
        "parameters": 49_536,
        "flops": 3.1e7,
    }
    return {"state": "ok", "rows": [row] * number}


async def test_of_several_outputs_a_narrow_table_tells_the_first_and_keeps_the_figures() -> None:
    answer = layers(1)
    answer["rows"][0] |= {"path": "lstm", "outputs": [[64, 8, 128], [1, 64, 128], [1, 64, 128]]}
    async with Shapes().run_test(size=(40, 10)) as pilot:
        lines = pilot.app.query_one(ShapeLines)
        lines.show(answer)
        row = lines.render_line(1).text
        assert "64×8×128 +2" in row
        assert "49,536" in row
        assert row.rstrip().endswith("31")


async def test_a_scroll_bar_that_comes_or_goes_moves_the_columns() -> None:
    async with Shapes().run_test(size=(40, 10)) as pilot:
        lines = pilot.app.query_one(ShapeLines)
        for number in (3, 30, 3):
            lines.show(layers(number))
            await until(pilot, lambda number=number: lines.show_vertical_scrollbar == (number > 9))
            assert sum(column.width + 2 for column in lines._columns) - 2 <= lines.content_width
            assert lines.render_line(1).text.rstrip().endswith("31"), "the last figure is whole"
