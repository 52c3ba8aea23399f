"""What the terminal shows: whatever is left out of an update was there already."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._context import visible_screen_stack
from textual.strip import Strip

from tests.tui.piloting import app_on, listed, until
from tests.tui.recorded import make_run
from tui.app import DltuiApp
from tui.widgets import shown as module
from tui.widgets.shown import Piece, Shown
from tui.widgets.spans import SpansUpdate, narrow, only_news

WIDTH, HEIGHT = 24, 4
SIGNS = "ab ─▄⠿é学習⚙👍"
STYLES = [Style.parse(text) for text in ("red", "bold red", "on blue", "none")]
Picture = dict[tuple[int, int], object]


@cache
def seen_of(sign: str, style: Style | None) -> Style | None:
    """What of a style a person can see: a blank has no colour of its own unless it is inverted or lined."""
    lines = style is not None and any(
        (style.reverse, style.underline, style.underline2, style.strike, style.overline)
    )
    if style is None or sign != " " or lines:
        return style
    return Style(bgcolor=style.bgcolor)


def paint(picture: Picture, piece: Piece) -> None:
    """As a terminal does: a sign of two cells has both, and takes away whatever it covers half of."""
    y, at = piece.y, piece.x
    for text, style, _ in piece.strip:
        for sign in text:
            width = Strip([Segment(sign)]).cell_length
            for cell in range(at, at + width):
                old = picture.get((y, cell))
                if isinstance(old, tuple) and old[2] == 2:
                    for half in (cell - 1, cell + 1):
                        if picture.get((y, half)) is old:
                            picture[y, half] = (" ", None, 1)
            put = (sign, seen_of(sign, style), width)
            for cell in range(at, at + width):
                picture[y, cell] = put
            at += width


def some_piece(chance: random.Random) -> Piece:
    x = chance.randrange(WIDTH - 6)
    parts = [
        Segment(
            "".join(chance.choice(SIGNS) for _ in range(chance.randrange(1, 3))),
            chance.choice([*STYLES, None]),
        )
        for _ in range(chance.randrange(1, 3))
    ]
    return Piece(chance.randrange(HEIGHT), x, Strip(parts).crop(0, WIDTH - x))


@pytest.mark.parametrize("seed", range(20))
def test_the_terminal_shows_the_same_as_if_all_had_been_sent(seed: int) -> None:
    chance, shown = random.Random(seed), Shown()
    whole: Picture = {}
    part: Picture = {}
    for _ in range(300):
        piece = some_piece(chance)
        paint(whole, piece)
        for news in shown.news([piece]):
            paint(part, news)
    assert part == whole


def row(text: str, style: Style | None = None) -> Strip:
    return Strip([Segment(text, style)])


def sent(shown: Shown, y: int, x: int, strip: Strip) -> list[tuple[int, int, str]]:
    return [(piece.y, piece.x, piece.strip.text) for piece in shown.news([Piece(y, x, strip)])]


def test_the_same_again_is_not_sent() -> None:
    shown = Shown()
    assert sent(shown, 2, 5, row("hello", STYLES[0])) == [(2, 5, "hello")]
    assert sent(shown, 2, 5, row("hello", STYLES[0])) == []
    assert sent(shown, 2, 7, row("ll", STYLES[0])) == []


def test_another_colour_is_sent() -> None:
    shown = Shown()
    sent(shown, 0, 0, row("hello", STYLES[0]))
    assert sent(shown, 0, 0, row("hello", STYLES[1])) == [(0, 0, "hello")]


def test_only_what_differs_is_sent_and_neighbours_go_together() -> None:
    shown = Shown()
    sent(shown, 0, 0, row("0123456789" * 3))
    assert sent(shown, 0, 0, row("x12x456789" + "0123456789" * 2)) == [(0, 0, "x12x")]
    assert sent(shown, 0, 0, row("012x456789" + "012345678x" * 2)) == [
        (0, 0, "0"),
        (0, 19, "x"),
        (0, 29, "x"),
    ]


def test_wide_signs_are_not_cut_apart() -> None:
    shown = Shown()
    sent(shown, 0, 0, row("ab学習"))
    assert sent(shown, 0, 0, row("ab学校")) == [(0, 0, "ab学校")]
    assert sent(shown, 0, 0, row("ab学校")) == []


def test_after_forgetting_all_is_sent_again() -> None:
    shown = Shown()
    sent(shown, 0, 0, row("hello"))
    shown.forget()
    assert sent(shown, 0, 0, row("hello")) == [(0, 0, "hello")]


def test_styles_without_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STYLES", 50)
    shown = Shown()
    for number in range(200):
        sent(shown, 0, 0, row("x", Style(color=f"#0000{number:02x}")))
        assert len(shown._numbers) <= 52
    assert sent(shown, 0, 0, row("x", Style(color="#0000c7"))) == []


def updates_of(app: DltuiApp) -> list[SpansUpdate]:
    """Every update of an app from here on, as it would be sent."""
    found: list[SpansUpdate] = []
    display = app._display

    def record(screen: Any, update: Any) -> None:
        narrow(screen)
        if (news := only_news(update, app.shown)) is not None:
            found.append(news)
        display(screen, update)

    app._display = record  # type: ignore[method-assign]
    return found


async def test_a_letter_in_the_filter_sends_less_than_a_quarter_of_the_screen(home: Path) -> None:
    for number in range(6):
        make_run(home, name=f"run-{number}", seed=number)
    app, console = app_on(home), Console(color_system="truecolor", force_terminal=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await listed(pilot, 6)
        updates = updates_of(app)
        app.screen.refresh()
        await until(pilot, lambda: updates)
        whole = sum(len(update.render_segments(console)) for update in updates)
        await pilot.press("slash")
        await until(pilot, lambda: app.screen.query("#filter:focus"))
        updates.clear()
        await pilot.press("r")
        await until(pilot, lambda: updates)
        assert sum(len(update.render_segments(console)) for update in updates) < whole / 4


async def test_what_is_sent_in_parts_adds_up_to_the_screen(home: Path) -> None:
    for number in range(4):
        make_run(home, name=f"学習-{number}", seed=number, done=3 + number, epochs=12)
    app = app_on(home)
    picture: Picture = {}

    def same() -> bool:
        cells_sent(updates, app.shown, picture)
        updates.clear()
        whole: Picture = {}
        visible_screen_stack.set(app._background_screens)  # which shine through
        for y, strip in enumerate(app.screen._compositor.render_strips()):
            paint(whole, Piece(y, 0, strip))
        return picture == whole

    async with app.run_test(size=(120, 40)) as pilot:
        updates = updates_of(app)
        app.screen.refresh()
        await listed(pilot, 4)
        await until(pilot, same)
        for keys in (
            ["down", "slash", "2", "escape", "question_mark", "escape", "enter"],
            ["tab", "tab", "tab", "tab", "tab", "y", "z", "z", "h", "6", "ctrl+p", "escape", "escape"],
            ["space", "space", "c", "tab", "escape", "d", "escape"],
        ):
            for key in keys:
                await pilot.press(key)
                await until(pilot, same)


async def test_the_screen_can_be_drawn_anew(home: Path) -> None:
    app = app_on(home)
    async with app.run_test(size=(80, 24)) as pilot:
        updates = updates_of(app)
        await until(pilot, lambda: app.screen.query("Welcome"))

        async def redrawn() -> None:
            picture: Picture = {}
            updates.clear()
            await pilot.press("ctrl+l")
            await until(pilot, lambda: len(cells_sent(updates, app.shown, picture)) == 80 * 24)

        await redrawn()
        await redrawn()


def cells_sent(updates: list[SpansUpdate], shown: Shown, picture: Picture) -> Picture:
    """Paints what the updates have to send into the picture."""
    for update in updates:
        for piece in shown.news(update.pieces):
            paint(picture, piece)
    return picture
