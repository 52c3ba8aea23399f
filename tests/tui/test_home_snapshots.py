"""Pictures of the home screen and what lies over it, through the real app on recorded runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.piloting import app_on, home_screen, listed, run_list, until
from tests.tui.recorded import START, make_run
from tui import themes
from tui.app import DltuiApp
from tui.preferences import Preferences
from tui.widgets.preset_list import Offer, PresetList
from tui.widgets.preview import RunPreview

MINUTE = 60.0
RUNS: dict[str, dict[str, Any]] = {
    "fashion-cnn-7": {"status": "running", "done": 7, "preset": "fashion-cnn", "data": "fashion_mnist"},
    "fashion-vit-2": {"status": "finished", "preset": "fashion-vit", "model": "vit"},
    "fashion-cnn-6": {"status": "failed", "done": 3, "preset": "fashion-cnn"},
    "fashion-mlp-1": {"status": "stopped", "done": 9, "preset": "fashion-mlp", "model": "mlp"},
    "fashion-cnn-5": {"status": "died", "done": 4, "preset": "fashion-cnn"},
    "20251120-221502-digits-cnn": {"status": "finished", "epochs": 150},
}
ODD: dict[str, dict[str, Any]] = {
    "a-name-that-somebody-typed-in-one-long-evening-and-never-used-again": {"epochs": 1500},
    "数字识别-卷积网络-第七次": {"status": "stopped", "preset": "数字"},
    "café-é́́-👩‍🚀": {"done": 0, "status": "died"},
    "red\x1b[31m\u202e[bold]x": {"hostile": True, "status": "failed"},
}
OFFERS = [
    Offer("neuron", "One neuron learns a line: loss, gradient and learning rate by hand", 1),
    Offer("digits-mlp", "Handwritten digits with two hidden layers", 2),
    Offer("digits-cnn", "Handwritten digits with a small convolutional network", 3),
    Offer("cifar-speed", "94 % on CIFAR-10 in seconds on one GPU", 0),
]
Setup = Callable[[Pilot[Any]], Awaitable[None]]


@pytest.fixture
def fashion(home: Path) -> Iterator[Path]:
    runs = [
        make_run(home, name, started=START - 7 * MINUTE * number, seed=number, **how)
        for number, (name, how) in enumerate(RUNS.items())
    ]
    with runs[0].lock():
        yield home


def in_theme(runs: Path, name: str) -> DltuiApp:
    preferences = Preferences(None)
    preferences.set("theme", name)
    return app_on(runs, preferences=preferences)


def settled(number: int, *keys: str) -> Setup:
    """Waits for the rows, their trends and the preview where there is one, then presses keys."""

    async def set_up(pilot: Pilot[Any]) -> None:
        rows = await listed(pilot, number)
        await until(pilot, lambda: len(rows.trends) == number)
        for key in keys:
            await pilot.press(key)
        await until(pilot, lambda: _previewed(pilot))

    return set_up


def _previewed(pilot: Pilot[Any]) -> bool:
    preview = home_screen(pilot).query_one(RunPreview)
    current = run_list(pilot).current
    return not preview.display or current is None or preview.shown == current.path


def test_runs_beside_a_preview(fashion: Path, snap_compare: Any) -> None:
    app = in_theme(fashion, themes.DARK.name)
    assert snap_compare(app, terminal_size=(120, 40), run_before=settled(6))


def test_runs_above_a_preview_in_light(fashion: Path, snap_compare: Any) -> None:
    app = in_theme(fashion, themes.LIGHT.name)
    assert snap_compare(app, terminal_size=(80, 40), run_before=settled(6, "down"))


def test_some_selected_of_those_that_match(fashion: Path, snap_compare: Any) -> None:
    keys = ("slash", *"cnn", "space", *"acc", "greater_than_sign", *"0.5", "enter", "space", "space")
    app = in_theme(fashion, themes.LIGHT.name)
    assert snap_compare(app, terminal_size=(80, 24), run_before=settled(6, *keys))


def test_odd_names_stay_in_their_columns(home: Path, snap_compare: Any) -> None:
    for number, (name, how) in enumerate(ODD.items()):
        make_run(home, name, started=START - 7 * MINUTE * number, **how)
    assert snap_compare(app_on(home), terminal_size=(80, 24), run_before=settled(4))


def test_a_very_small_terminal(fashion: Path, snap_compare: Any) -> None:
    assert snap_compare(app_on(fashion), terminal_size=(40, 12), run_before=settled(6, "down"))


def test_the_first_start(home: Path, snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.widgets.welcome.offers", lambda: OFFERS)

    async def set_up(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: pilot.app.screen.query(PresetList))
        await until(pilot, lambda: pilot.app.screen.query_one(PresetList).row_count == len(OFFERS))

    assert snap_compare(app_on(home), terminal_size=(80, 24), run_before=set_up)


def test_help(fashion: Path, snap_compare: Any) -> None:
    app = in_theme(fashion, themes.CONTRAST.name)
    assert snap_compare(app, terminal_size=(80, 24), run_before=settled(6, "question_mark"))


def test_deleting_asks(fashion: Path, snap_compare: Any) -> None:
    assert snap_compare(app_on(fashion), terminal_size=(80, 24), run_before=settled(6, "a", "d"))


def test_the_palette(fashion: Path, snap_compare: Any) -> None:
    keys = ("ctrl+p", *"theme", "space", *"light")
    assert snap_compare(app_on(fashion), terminal_size=(80, 24), run_before=settled(6, *keys))
