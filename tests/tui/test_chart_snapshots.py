"""Pictures of charts and of the Compare screen: frozen data, both sizes, dark and light."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.app import App, ComposeResult
from textual.containers import Grid
from textual.pilot import Pilot

from tests.tui.piloting import until
from tests.tui.recorded import make_run
from tests.tui.test_compare_screen import SMALL, WIDE, Comparing, runs_of, shown
from tui import themes
from tui.widgets.chart import Chart, ChartSeries
from tui.widgets.frame import Frame

THEMES = [themes.DARK.name, themes.LIGHT.name]
SIZES = [SMALL, WIDE]


def loss(steps: int = 3000, *, broken: bool = False) -> list[ChartSeries]:
    """Train and validation loss that overfit; ``broken``: not a number near the end."""
    noise = np.random.default_rng(0).normal(0, 1, steps)
    x = np.arange(1, steps + 1)
    y = 0.08 + 2.2 / (1 + x / 250) + 0.05 * noise / (1 + x / 400)
    at = np.arange(300, steps + 1, 300)
    val = 0.12 + 2.2 / (1 + at / 250) + (at / steps) ** 3 * 0.25
    if broken:
        y[2600:] = np.nan
        val[8:] = np.inf
    times, steps_per_epoch = 1e9 + x * 0.11, 300.0
    return [
        ChartSeries("train", x, y, "train", 0, times, 1e9, steps_per_epoch),
        ChartSeries("val", at, val, "val", 0, 1e9 + at * 0.11, 1e9, steps_per_epoch),
    ]


def runs(count: int) -> list[ChartSeries]:
    """Accuracies of runs that end at different steps."""
    found = []
    for number in range(count):
        x = np.arange(20, 900 - 70 * number, 10)
        y = 0.97 - 0.8 * np.exp(-x / (120 + 40 * number))
        found.append(ChartSeries(f"run-{number}", x, y, "run", number))
    return found


class Themed(App[None]):
    """An app with dltui's themes."""

    CSS = "Grid { grid-size: 2 3; } Screen { background: $background; }"

    def __init__(self, theme: str) -> None:
        super().__init__()
        for each in themes.THEMES:
            self.register_theme(each)
        self.theme = theme


class Gallery(Themed):
    """Six charts: plain, smoothed, log, broken, runs, empty."""

    def compose(self) -> ComposeResult:
        with Grid():
            for name in ("plain", "smooth", "log", "broken", "runs", "empty"):
                with Frame(title=name.capitalize()):
                    yield Chart(id=name)

    def on_mount(self) -> None:
        self.query_one("#plain", Chart).set_series(loss()[:1])
        for name in ("smooth", "log"):
            chart = self.query_one(f"#{name}", Chart)
            chart.smoothing = 0.9
            chart.log_y = name == "log"
            chart.set_series(loss())
        self.query_one("#log", Chart).x_mode = "epoch"
        self.query_one("#broken", Chart).set_series(loss(broken=True))
        self.query_one("#broken", Chart).x_mode = "time"
        self.query_one("#runs", Chart).set_series(runs(5))


async def settled(pilot: Pilot[Any]) -> None:
    """Every chart that has curves shows them."""
    charts = list(pilot.app.screen.query(Chart))
    assert charts
    await until(pilot, lambda: not any(chart.waits for chart in charts))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", THEMES)
def test_charts(snap_compare: Any, theme: str, size: tuple[int, int]) -> None:
    assert snap_compare(Gallery(theme), terminal_size=size, run_before=settled)


def pressing(*keys: str) -> Callable[[Pilot[Any]], Any]:
    async def press(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press(*keys)
        await settled(pilot)
        await pilot.pause()

    return press


class One(Themed):
    """One chart on the whole screen."""

    def compose(self) -> ComposeResult:
        with Frame(title="Loss"):
            yield Chart()

    def on_mount(self) -> None:
        self.query_one(Chart).set_series(loss())


@pytest.mark.parametrize("size", [*SIZES, (40, 12)])
def test_a_zoomed_chart_with_a_cursor(snap_compare: Any, size: tuple[int, int]) -> None:
    keys = ("home", *["right"] * 6, "plus", "s", "s")
    assert snap_compare(One(THEMES[0]), terminal_size=size, run_before=pressing(*keys))


def test_a_chart_without_colours(snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(One(THEMES[0]), terminal_size=SMALL, run_before=pressing("s"))


def test_a_chart_in_ascii(snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    assert snap_compare(One(THEMES[0]), terminal_size=SMALL, run_before=pressing("s"))


async def read(pilot: Pilot[Any], count: int) -> None:
    await shown(pilot, count)
    await settled(pilot)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", THEMES)
def test_compare(snap_compare: Any, home: Path, theme: str, size: tuple[int, int]) -> None:
    app = Comparing(home, runs_of(home, 3))
    app.theme = theme
    assert snap_compare(app, terminal_size=size, run_before=lambda pilot: read(pilot, 3))


@pytest.mark.parametrize("size", SIZES)
def test_compare_eight(snap_compare: Any, home: Path, size: tuple[int, int]) -> None:
    async def second_panel(pilot: Pilot[Any]) -> None:
        await read(pilot, 8)
        await pilot.press("2", "right", "right")
        await pilot.pause()

    app = Comparing(home, runs_of(home, 8))
    assert snap_compare(app, terminal_size=size, run_before=second_panel)


def test_compare_hostile_and_gone(snap_compare: Any, home: Path) -> None:
    paths = [
        make_run(home, "一个很长的名字-with-a-name-that-goes-on-and-on-and-on", seed=1).path,
        make_run(home, "hostile", hostile=True, seed=2).path,
        home / "gone",
    ]
    assert snap_compare(Comparing(home, paths), terminal_size=WIDE, run_before=lambda pilot: read(pilot, 3))
