"""The chart in an app: every key and what the pointer does, what is sent, and when it is drawn."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.color import Color
from textual.geometry import Region
from textual.pilot import Pilot
from textual.screen import Screen

from tui import themes
from tui.widgets.chart import EMPTY, SMOOTHING, Chart, ChartSeries
from tui.widgets.chart_scale import Limits
from tui.widgets.frame import Frame
from tui.widgets.pacing import LEAST, Pacing

SIZE = (80, 24)


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Watched(Chart):
    """A chart that remembers what it had refreshed, and when it wanted to draw again."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.refreshed: list[tuple[Region, ...]] = []
        self.timers: list[float] = []

    def refresh(self, *regions: Region, **how: Any) -> Any:
        if hasattr(self, "refreshed"):
            self.refreshed.append(regions)
        return super().refresh(*regions, **how)

    def set_timer(self, delay: float, callback: Any = None, **how: Any) -> Any:
        self.timers.append(delay)
        return super().set_timer(3600, callback, **how)


class Charts(App[None]):
    """One chart in a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.heard: list[Any] = []
        for theme in themes.THEMES:
            self.register_theme(theme)
        self.theme = themes.DEFAULT

    def compose(self) -> ComposeResult:
        with Frame(title="Loss"):
            yield Watched(now=self.clock)

    def on_chart_cursor_moved(self, event: Chart.CursorMoved) -> None:
        self.heard.append((event.x, dict(event.values)))

    def on_chart_view_changed(self, event: Chart.ViewChanged) -> None:
        self.heard.append(event.chart.state_text)


def curves(steps: int) -> list[ChartSeries]:
    x = np.arange(steps)
    at = x[::100]
    return [
        ChartSeries("train", x, 2 * np.exp(-x / 300) + 0.1, "train", 0, 1e9 + x * 0.5, 1e9, 100.0),
        ChartSeries("val", at, 2 * np.exp(-at / 300) + 0.2, "val", 0, 1e9 + at * 0.5, 1e9, 100.0),
    ]


def chart_of(pilot: Pilot[Any]) -> Watched:
    return pilot.app.query_one(Watched)


def text_of(chart: Chart) -> list[str]:
    """What the chart's lines show."""
    return ["".join(segment.text for segment in chart.render_line(y)) for y in range(chart.size.height)]


async def grown(pilot: Pilot[Any], steps: int = 1000) -> Watched:
    """A chart with curves, which has the focus."""
    chart = chart_of(pilot)
    chart.set_series(curves(steps))
    chart.focus()
    await pilot.pause()
    pilot.app.heard.clear()  # type: ignore[attr-defined]
    return chart


# Every key, on curves of 1,000 steps: keys to press, and what then holds.
KEYS: dict[str, list[tuple[str, Callable[[Chart], object]]]] = {
    "chart.log": [("y", lambda c: c.log_y), ("y y", lambda c: not c.log_y)],
    "chart.smooth": [
        ("s", lambda c: c.smoothing == SMOOTHING[1]),
        (" ".join("s" * 20), lambda c: c.smoothing == 0.99),
    ],
    "chart.rough": [
        ("s s S", lambda c: c.smoothing == SMOOTHING[1]),
        ("S", lambda c: c.smoothing == 0),
    ],
    "chart.x": [
        ("x", lambda c: c.x_mode == "epoch"),
        ("x x", lambda c: c.x_mode == "time"),
        ("x x x", lambda c: c.x_mode == "step"),
    ],
    "chart.left": [
        ("left", lambda c: c.cursor == 999),
        ("left left", lambda c: 960 < c.cursor < 999),
    ],
    "chart.right": [
        ("home right", lambda c: 0 < c.cursor < 30),
        ("end right", lambda c: c.cursor == 999),
    ],
    "chart.home": [("home", lambda c: c.cursor == 0)],
    "chart.end": [("home end", lambda c: c.cursor == 999)],
    "chart.in": [
        ("plus", lambda c: c.window.x == Limits(250, 750)),
        ("equals_sign", lambda c: c.window.x == Limits(250, 750)),
        ("home plus", lambda c: c.window.x == Limits(0, 500)),
    ],
    "chart.out": [
        ("plus plus minus", lambda c: c.window.x == Limits(250, 750)),
        ("plus minus minus", lambda c: c.window.x is None),
        ("minus", lambda c: c.window.x is None),
    ],
    "chart.pan-left": [
        ("plus shift+left", lambda c: c.window.x == Limits(125, 625)),
        ("shift+left", lambda c: c.window.x is None),
    ],
    "chart.pan-right": [
        ("plus shift+right", lambda c: c.window.x == Limits(375, 875)),
        ("plus " + " ".join(["shift+right"] * 9), lambda c: c.window.x == Limits(500, 1000)),
    ],
    "chart.pan-up": [("shift+up", lambda c: c.window.y is not None and c.window.y.low > 0)],
    "chart.pan-down": [("shift+down", lambda c: c.window.y is not None and c.window.y.low < 0)],
    "chart.reset": [
        ("plus shift+up left 0", lambda c: not c.window.chosen and c.cursor is None),
    ],
}


def test_every_key_is_tried() -> None:
    bound = [binding for binding in Chart.BINDINGS if isinstance(binding, Binding)]
    assert {binding.id for binding in bound} == set(KEYS)
    assert all(binding.description and binding.tooltip for binding in bound)
    tried = {key for tries in KEYS.values() for keys, _ in tries for key in keys.split()}
    assert {key for binding in bound for key in binding.key.split(",")} <= tried


@pytest.mark.parametrize(("keys", "holds"), [entry for entries in KEYS.values() for entry in entries])
async def test_keys(keys: str, holds: Callable[[Chart], object]) -> None:
    async with Charts().run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        await pilot.press(*keys.split())
        await pilot.pause()
        assert holds(chart)


async def test_keys_do_nothing_without_points() -> None:
    async with Charts().run_test(size=SIZE) as pilot:
        chart = chart_of(pilot)
        chart.focus()
        await pilot.press("left", "home", "plus", "shift+left", "shift+up", "0", "y", "s", "x")
        assert chart.cells is None
        assert EMPTY in "".join(text_of(chart))


async def test_every_change_of_the_view_is_told() -> None:
    async with Charts().run_test(size=SIZE) as pilot:
        await grown(pilot)
        await pilot.press("s", "s", "y", "x", "plus")
        await pilot.pause()
        heard = [text for text in pilot.app.heard if isinstance(text, str)]  # type: ignore[attr-defined]
        assert heard[-1] == "epoch · smooth 0.6 · log · zoomed"


async def test_the_cursor_tells_values_and_the_legend_shows_them() -> None:
    async with Charts().run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        await pilot.press("home")
        await pilot.pause()
        assert pilot.app.heard[-1] == (0, {"train": pytest.approx(2.1), "val": pytest.approx(2.2)})  # type: ignore[attr-defined]
        assert "train 2.1000" in text_of(chart)[0]
        assert "step 0" in text_of(chart)[0]


async def test_a_cursor_out_of_sight_comes_into_it() -> None:
    async with Charts().run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        await pilot.press("plus", "plus", "home")
        assert chart.window.x is not None
        assert chart.window.x.low <= 0 <= chart.window.x.high


# The pointer.


async def test_a_hovering_pointer_shows_values_and_leaves_nothing_behind() -> None:
    async with Charts().run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        await pilot.hover(Watched, (40, 10))
        await pilot.pause()
        assert chart.cursor is not None
        assert 400 < chart.cursor < 700
        await pilot.hover(Frame, (0, 0))
        await pilot.pause()
        assert chart.cursor is None


async def test_a_click_sets_a_cursor_that_stays() -> None:
    async with Charts().run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        await pilot.click(Watched, (40, 10))
        clicked = chart.cursor
        await pilot.hover(Watched, (60, 10))
        await pilot.hover(Frame, (0, 0))
        await pilot.pause()
        assert clicked is not None
        assert chart.cursor == clicked


async def test_the_wheel_zooms_around_the_pointer() -> None:
    async with Charts().run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        await pilot._post_mouse_events([events_of("up")], Watched, (20, 10), button=0)
        await pilot.pause()
        near = chart.window.x
        assert near is not None
        assert near.span == pytest.approx(500)
        assert near.low < 250
        await pilot._post_mouse_events([events_of("down")], Watched, (20, 10), button=0)
        await pilot.pause()
        assert chart.window.x is None


def events_of(direction: str) -> Any:
    from textual import events

    return events.MouseScrollUp if direction == "up" else events.MouseScrollDown


async def test_dragging_pans() -> None:
    async with Charts().run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        await pilot.press("plus")
        await pilot.mouse_down(Watched, (50, 10))
        await pilot.hover(Watched, (40, 10))
        await pilot.hover(Watched, (30, 10))
        await pilot.mouse_up(Watched, (30, 10))
        await pilot.pause()
        assert chart.window.x is not None
        assert chart.window.x.low > 300
        assert chart.window.x.span == pytest.approx(500)
        await pilot.hover(Frame, (0, 0))
        await pilot.pause()
        assert chart.cursor is None  # it was no click


# What is sent.


async def test_only_cells_that_changed_are_refreshed() -> None:
    app = Charts()
    async with app.run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        before, after = chart.cells, None
        chart.refreshed.clear()
        app.clock.seconds += 1
        chart.set_series(curves(990))
        after = chart.cells
        assert before is not None
        assert after is not None
        changed = {(row, x) for row, start, stop in after.changes(before) for x in range(start, stop)}
        sent = {
            (region.y, x)
            for regions in chart.refreshed
            for region in regions
            for x in range(region.x, region.right)
        }
        assert sent == changed
        assert 0 < len(sent) < 30


async def test_the_same_points_again_send_nothing() -> None:
    app = Charts()
    async with app.run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        chart.refreshed.clear()
        app.clock.seconds += 1
        chart.set_series(curves(1000))
        assert chart.refreshed == []


async def test_the_screen_shows_what_the_chart_has_drawn() -> None:
    app = Charts()
    async with app.run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        for steps in range(1000, 1600, 40):
            app.clock.seconds += 1
            chart.set_series(curves(steps))
            await pilot.pause()
        shown = [
            "".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()
        ]
        region = chart.content_region
        assert [line[region.x : region.right] for line in shown[region.y : region.bottom]] == text_of(chart)


async def test_another_theme_has_other_colours_at_once() -> None:
    app = Charts()
    async with app.run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        dark = {segment.style.bgcolor for segment in chart.render_line(5) if segment.style}
        app.theme = "dltui-light"
        await pilot.pause()
        light = {segment.style.bgcolor for segment in chart.render_line(5) if segment.style}
        assert light == {Color.parse(themes.LIGHT.background or "").rich_color}
        assert dark.isdisjoint(light)


@pytest.mark.parametrize("theme", [theme.name for theme in themes.THEMES])
def test_series_stand_out_from_every_background(theme: str) -> None:
    from tui.widgets import chart_style

    found = next(each for each in themes.THEMES if each.name == theme)
    background = Color.parse(found.background or "black")
    for palette in chart_style.PALETTES.values():
        for name in palette:
            shown = chart_style.legible(Color.parse(name), background)
            assert chart_style.contrast(shown, background) >= 3


# When it is drawn.


async def test_it_is_drawn_four_times_a_second_at_most() -> None:
    app = Charts()
    async with app.run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        first = chart.cells
        chart.set_series(curves(1100))
        chart.set_series(curves(1200))
        assert chart.cells is first
        assert chart.waits
        assert len(chart.timers) == 1
        assert 0 < chart.timers[0] <= LEAST
        app.clock.seconds += LEAST
        chart._on_time()
        assert chart.cells is not first
        assert "train" in text_of(chart)[0]


@pytest.mark.parametrize("away", ["blurred", "hidden", "behind"])
async def test_nothing_is_drawn_while_it_cannot_be_seen(away: str) -> None:
    app = Charts()
    async with app.run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        before = chart.cells
        if away == "blurred":
            app.app_focus = False
        elif away == "hidden":
            chart.display = False
        else:
            await app.push_screen(Screen())
        await pilot.pause()
        for steps in (1100, 1200, 1300):
            app.clock.seconds += 10
            chart.set_series(curves(steps))
            await pilot.pause()
        assert chart.cells is before
        assert chart.timers == []
        if away == "blurred":
            app.app_focus = True
        elif away == "hidden":
            chart.display = True
        else:
            await app.pop_screen()
        await pilot.pause()
        await pilot.pause()
        assert chart.cells is not before
        assert "0.1" in text_of(chart)[0]


def test_a_costly_chart_spaces_out() -> None:
    pacing = Pacing()
    pacing.drawn(1000.0, 0.0005)
    assert pacing.interval == LEAST
    for _ in range(50):
        pacing.drawn(1000.0, 0.004)
    assert pacing.interval == 4 * LEAST


def test_charts_draw_at_the_same_moments() -> None:
    one, other = Pacing(), Pacing()
    one.drawn(1000.03, 0.0001)
    other.drawn(1000.17, 0.0001)
    assert 1000.2 + one.wait(1000.2) == pytest.approx(1000.2 + other.wait(1000.2)) == 1000.25


def test_the_first_drawing_waits_for_nothing() -> None:
    assert Pacing().wait(5.0) == 0.0


async def test_another_size_is_drawn_at_once() -> None:
    async with Charts().run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert chart.cells is not None
        assert chart.cells.codes.shape == (chart.size.height, chart.size.width)


# What it is given.


async def test_other_series_begin_with_everything_in_sight() -> None:
    async with Charts().run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        await pilot.press("plus")
        chart.set_series(curves(500)[:1])
        assert chart.window.x is None


async def test_growing_series_keep_the_part_that_was_chosen() -> None:
    async with Charts().run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        await pilot.press("plus")
        chart.set_series(curves(1100))
        assert chart.window.x == Limits(250, 750)


async def test_a_mode_that_the_series_do_not_allow_is_not_taken() -> None:
    async with Charts().run_test(size=SIZE) as pilot:
        chart = chart_of(pilot)
        chart.set_series([ChartSeries("train", np.arange(5), np.ones(5))])
        chart.x_mode = "time"
        assert chart.x_mode == "step"
        chart.set_series(curves(10))
        chart.x_mode = "time"
        chart.set_series([ChartSeries("train", np.arange(5), np.ones(5))])
        assert chart.x_mode == "step"


async def test_numpy_and_plotext_wait_for_the_first_point() -> None:
    code = "import sys, tui.widgets.chart; print([m for m in ('numpy', 'plotext') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


async def test_memory_stays_flat_over_many_drawings() -> None:
    app = Charts()
    async with app.run_test(size=SIZE) as pilot:
        chart = await grown(pilot)
        full = curves(1200)

        async def draw(times: int) -> int:
            for turn in range(times):
                end = 1000 + turn % 200
                chart.set_series([ChartSeries("train", full[0].x[:end], full[0].y[:end]), full[1]])
                chart.draw()
                chart.refreshed.clear()
                if turn % 50 == 0:
                    await pilot.pause()
            gc.collect()
            return sys.getallocatedblocks()

        first = await draw(1000)
        assert await draw(1000) < first + 500
