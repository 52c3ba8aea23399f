"""Narrow updates: the same cells as Textual would show, and no others sent."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.geometry import Region
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Static

from tui.widgets import spans

SIZE = (60, 16)


class Layers(App[None]):
    """Columns, borders, something over something else."""

    CSS = """
    Screen { layers: below above; }
    Static { width: 1fr; height: 1fr; border: round red; }
    #over { layer: above; width: 20; height: 5; offset: 12 3; background: blue; }
    """

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static("left " * 100)
            yield Static("right " * 100)
        yield Static("over " * 20, id="over")


class Dialog(ModalScreen[None]):
    CSS = "Dialog { align: center middle; background: black 50%; } #box { width: 20; height: 5; }"

    def compose(self) -> ComposeResult:
        yield Static("box", id="box")


def cells(strip: Strip) -> list[tuple[str, object]]:
    return [(sign, segment.style) for segment in strip for sign in segment.text]


@pytest.mark.parametrize("modal", [False, True])
async def test_pieces_are_what_the_whole_screen_has_there(modal: bool) -> None:
    app = Layers()
    async with app.run_test(size=SIZE) as pilot:
        if modal:
            await app.push_screen(Dialog())
        spans.narrow(app.screen)
        await pilot.pause()
        compositor = app.screen._compositor
        whole = [cells(strip) for strip in compositor.render_strips()]
        random = np.random.default_rng(0)
        for _ in range(30):
            regions = {
                Region(int(x), int(y), int(w), int(h))
                for x, y, w, h in random.integers([0, 0, 1, 1], [SIZE[0], SIZE[1], 30, 4], (3, 4))
            }
            compositor._dirty_regions = set(regions)
            update = compositor.render_update(screen_stack=app._background_screens)
            assert isinstance(update, spans.SpansUpdate)
            sent = np.zeros((SIZE[1], SIZE[0]), int)
            for y, x, strip in update.pieces:
                assert cells(strip) == whole[y][x : x + strip.cell_length]
                sent[y, x : x + strip.cell_length] += 1
            wanted = np.zeros_like(sent)
            for region in regions:
                wanted[region.y : region.bottom, region.x : region.right] = 1
            assert (sent == wanted).all()


async def test_less_is_sent_than_textual_would_send() -> None:
    app, texts = Layers(), []
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        console = Console(color_system="truecolor", force_terminal=True)
        for _ in range(2):
            app.screen._compositor._dirty_regions = {Region(55, 2, 3, 1)}
            update = app.screen._compositor.render_update()
            texts.append(update.render_segments(console))  # type: ignore[union-attr]
            spans.narrow(app.screen)
    assert len(texts[1]) < len(texts[0]) / 1.5


async def test_nothing_dirty_is_nothing_to_send() -> None:
    app = Layers()
    async with app.run_test(size=SIZE) as pilot:
        spans.narrow(app.screen)
        await pilot.pause()
        assert app.screen._compositor.render_update() is None


async def test_a_screen_that_is_built_otherwise_is_left_alone() -> None:
    app = Layers()
    async with app.run_test(size=SIZE):
        screen, other = app.screen, object()
        real, screen._compositor = screen._compositor, other  # type: ignore[assignment]
        spans.narrow(screen)
        assert screen._compositor is other
        screen._compositor = real
