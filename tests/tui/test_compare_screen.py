"""The Compare screen: every key, what it follows, what it shows of odd runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.binding import Binding
from textual.message import Message
from textual.pilot import Pilot
from textual.screen import Screen

from tests.tui.piloting import NOW, until
from tests.tui.recorded import HOSTILE, make_run
from tui.app import DltuiApp
from tui.messages import OpenRun
from tui.screens.compare import CompareScreen
from tui.widgets.compare_table import CompareTable
from tui.widgets.frame import Frame

WIDE, SMALL = (120, 40), (80, 24)


class Comparing(DltuiApp):
    """The app with a comparison in front; wishes are written down."""

    def __init__(self, runs: Path, paths: Sequence[Path]) -> None:
        super().__init__(runs, now=lambda: NOW)
        self.paths = paths
        self.wishes: list[Message] = []

    def on_mount(self) -> None:
        super().on_mount()
        self.push_screen(CompareScreen(self.paths))

    def on_open_run(self, message: OpenRun) -> None:
        message.prevent_default()
        self.wishes.append(message)


def runs_of(home: Path, count: int) -> list[Path]:
    """Runs that differ in network, learning rate and length."""
    paths = []
    for number in range(count):
        kind = "cnn" if number % 3 else "mlp"
        status = ("finished", "finished", "stopped", "failed")[number % 4]
        nan_from = 5 if status == "failed" else None
        name = f"20251120-2315{number:02d}-digits-{kind}-{number}"
        epochs = (20, 20, 30, 12)[number % 4]
        run = make_run(home, name, seed=number, epochs=epochs, status=status, nan_from=nan_from)
        text = run.preset_path.read_text().replace("lr = 0.001", f"lr = {0.001 * (number + 1):g}")
        run.preset_path.write_text(text.replace('name = "cnn"', f'name = "{kind}"'))
        paths.append(run.path)
    return paths


async def shown(pilot: Pilot[Any], count: int) -> CompareScreen:
    """The screen, once all runs and presets were read."""
    await until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
    screen = pilot.app.screen
    assert isinstance(screen, CompareScreen)
    await until(pilot, lambda: len(screen.views) == count and len(screen._settings) == count)
    return screen


def rows(table: CompareTable) -> dict[str, list[str]]:
    """The table's lines by their names."""
    found = {}
    for number in range(table.row_count):
        cells = [cell.text.strip() for cell in table.row_cells(number, table.content_width, False)]
        found[cells[0]] = cells[1:]
    return found


Check = Callable[[CompareScreen], object]
# Keys to press on three runs at 120×40, and what then holds.
KEYS: dict[str, list[tuple[str, Check]]] = {
    "compare.metric": [
        ("right_square_bracket", lambda s: s.metric not in ("", "val/accuracy")),
    ],
    "compare.metric-before": [
        ("right_square_bracket left_square_bracket", lambda s: s.metric == "val/accuracy"),
    ],
    "compare.hide": [
        ("space", lambda s: [item.index for item in s.chart.series] == [1, 2]),
        ("space space", lambda s: len(s.chart.series) == 3),
        ("space full_stop space full_stop space", lambda s: [item.index for item in s.chart.series] == [2]),
    ],
    "compare.open": [
        ("full_stop o", lambda s: s.app.wishes[0].path == s.runs[1].path),  # type: ignore[attr-defined]
    ],
    "compare.run": [
        ("full_stop", lambda s: s.table.run == 1),
        ("full_stop full_stop full_stop full_stop", lambda s: s.table.run == 2),
    ],
    "compare.run-before": [("full_stop full_stop comma", lambda s: s.table.run == 1)],
    "compare.curves": [("2 1", lambda s: s.focused is s.chart)],
    "compare.figures": [("2", lambda s: s.focused is s.table)],
    "table.left": [("2 right right left", lambda s: s.table.run == 1)],
    "table.right": [("2 right", lambda s: s.table.run == 1)],
    "back": [("escape", lambda s: s.app.screen is not s)],
}


def test_every_key_is_tried() -> None:
    bound = [
        binding
        for kind in (CompareScreen, CompareTable)
        for binding in kind.BINDINGS
        if isinstance(binding, Binding)
    ]
    assert {binding.id for binding in bound} <= set(KEYS)
    assert all(binding.description and binding.tooltip for binding in bound)


@pytest.mark.parametrize(("keys", "holds"), [entry for entries in KEYS.values() for entry in entries])
async def test_keys(home: Path, keys: str, holds: Check) -> None:
    app = Comparing(home, runs_of(home, 3))
    async with app.run_test(size=WIDE) as pilot:
        screen = await shown(pilot, 3)
        await pilot.press(*keys.split())
        await until(pilot, lambda: holds(screen))


async def test_enter_on_a_metric_shows_its_curves(home: Path) -> None:
    app = Comparing(home, runs_of(home, 2))
    async with app.run_test(size=SMALL) as pilot:
        screen = await shown(pilot, 2)
        await pilot.press("2")
        table = screen.table
        wanted = next(n for n in range(table.row_count) if table._rows[n].name == "val/loss")
        table.cursor = wanted
        await pilot.press("enter")
        await until(pilot, lambda: screen.metric == "val/loss")
        assert screen.focused is screen.chart


async def test_enter_elsewhere_does_nothing(home: Path) -> None:
    app = Comparing(home, runs_of(home, 2))
    async with app.run_test(size=WIDE) as pilot:
        screen = await shown(pilot, 2)
        await pilot.press("2", "home", "enter")
        await pilot.pause()
        assert screen.metric == "val/accuracy"


async def test_curves_figures_and_differences_are_shown(home: Path) -> None:
    app = Comparing(home, runs_of(home, 3))
    async with app.run_test(size=WIDE) as pilot:
        screen = await shown(pilot, 3)
        assert [item.name for item in screen.chart.series] == ["mlp-0", "cnn-1", "cnn-2"]
        assert [item.index for item in screen.chart.series] == [0, 1, 2]
        found = rows(screen.table)
        assert found["status"] == ["✓ finished", "✓ finished", "◼ stopped"]
        assert found["model.name"] == ["mlp", "cnn", "cnn"]
        assert found["optimizer.lr"] == ["0.001", "0.002", "0.003"]
        assert "data.name" not in found
        assert found["val/accuracy"][0].startswith("▲ ")
        assert "what differs in their presets" in found


async def test_equal_presets_say_so(home: Path) -> None:
    paths = [make_run(home, name).path for name in ("a", "b")]
    app = Comparing(home, paths)
    async with app.run_test(size=WIDE) as pilot:
        screen = await shown(pilot, 2)
        await until(pilot, lambda: "their presets are the same" in rows(screen.table))


@pytest.mark.parametrize("size", [WIDE, SMALL, (40, 12)])
@pytest.mark.parametrize("count", [2, 8])
async def test_two_to_eight_runs_at_any_size(home: Path, count: int, size: tuple[int, int]) -> None:
    app = Comparing(home, runs_of(home, count))
    async with app.run_test(size=size) as pilot:
        screen = await shown(pilot, count)
        assert len(screen.chart.series) == count
        await pilot.press("2", *["right"] * 7)
        await pilot.pause()
        assert screen.table.run == count - 1
        assert screen.table.run in screen.table._sight


async def test_more_than_eight_are_left_out_and_told(home: Path) -> None:
    app = Comparing(home, runs_of(home, 10))
    async with app.run_test(size=WIDE) as pilot:
        screen = await shown(pilot, 8)
        assert len(screen.runs) == 8
        assert any("2 more are left out" in note.message for note in app._notifications)


@pytest.mark.parametrize("size", [WIDE, SMALL])
async def test_one_panel_at_a_time_where_there_is_no_room(home: Path, size: tuple[int, int]) -> None:
    app = Comparing(home, runs_of(home, 2))
    async with app.run_test(size=size) as pilot:
        screen = await shown(pilot, 2)
        frames = list(screen.query("#panels > Frame").results(Frame))
        assert [frame.display and bool(frame.size) for frame in frames] == [True, size == WIDE]
        await pilot.press("2")
        await pilot.pause()
        assert [frame.display and bool(frame.size) for frame in frames] == [size == WIDE, True]


async def test_runs_that_are_gone_damaged_or_hostile_are_shown(home: Path) -> None:
    hostile = make_run(home, "hostile", hostile=True).path
    damaged = make_run(home, "damaged").path
    (damaged / "events.jsonl").write_bytes(b"\xff\x00{]" * 100)
    (damaged / "preset.toml").write_bytes(b"\xff")
    app = Comparing(home, [hostile, damaged, home / "gone"])
    async with app.run_test(size=WIDE) as pilot:
        screen = await shown(pilot, 3)
        text = "".join(segment.text for strip in screen._compositor.render_strips() for segment in strip)
        assert "\x1b" not in text
        assert HOSTILE not in text
        assert len(screen.chart.series) >= 1


async def test_runs_without_curves_say_so(home: Path) -> None:
    paths = [make_run(home, name, status="starting", done=0).path for name in ("a", "b")]
    app = Comparing(home, paths)
    async with app.run_test(size=WIDE) as pilot:
        screen = await shown(pilot, 2)
        await until(pilot, lambda: screen.chart.empty.startswith("None of these runs"))
        assert screen.chart.cells is None


async def test_nothing_is_read_while_another_screen_is_in_front(home: Path) -> None:
    app = Comparing(home, runs_of(home, 2))
    async with app.run_test(size=WIDE) as pilot:
        screen = await shown(pilot, 2)
        await app.push_screen(Screen())
        await until(pilot, lambda: not any(follower.running for follower in screen._followers))
        await app.pop_screen()
        await until(pilot, lambda: all(follower.running for follower in screen._followers))
        app.app_focus = False
        await until(pilot, lambda: not any(follower.running for follower in screen._followers))


async def test_its_threads_end_with_it(home: Path) -> None:
    app = Comparing(home, runs_of(home, 3))
    async with app.run_test(size=WIDE) as pilot:
        await shown(pilot, 3)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, CompareScreen))
        await until(pilot, lambda: not any("RunFollower" in thread.name for thread in threading.enumerate()))


async def test_the_table_at_rest_paints_nothing(home: Path) -> None:
    app = Comparing(home, runs_of(home, 2))
    async with app.run_test(size=WIDE) as pilot:
        screen = await shown(pilot, 2)
        await until(pilot, lambda: not screen.table._repaint_regions)  # what was read last is painted
        screen._show()
        assert screen.table._repaint_regions == set()
