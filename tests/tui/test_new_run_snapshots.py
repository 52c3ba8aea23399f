"""Pictures of the New-run screen and what lies over it, through the real app on recorded answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.piloting import app_on, until
from tests.tui.recorded_engine import RecordedEngine
from tests.tui.test_new_run import OWN, PRESET
from tui import themes
from tui.app import DltuiApp
from tui.preferences import Preferences
from tui.screens.dialogs import Prompt
from tui.screens.new_run import NewRunScreen
from tui.screens.picker import Picker

Setup = Callable[[Pilot[Any]], Awaitable[None]]


def on_new_run(
    *keys: str, preset: str | None = None, engine: RecordedEngine | None = None, then: Setup | None = None
) -> Setup:
    """Opens the screen, waits until it shows what there is, presses keys."""

    async def set_up(pilot: Pilot[Any]) -> None:
        asked = engine or RecordedEngine()
        screen = NewRunScreen(preset, asked)
        await pilot.app.push_screen(screen)
        await until(pilot, lambda: screen.draft is not None)
        if "catalogue" not in {*asked.silent, *asked.errors}:
            await until(pilot, lambda: screen.checks.shapes)
        for key in keys:
            await pilot.press(key)
        if then is not None:
            await then(pilot)
        await pilot.pause()

    return set_up


def in_theme(runs: Path, name: str) -> DltuiApp:
    preferences = Preferences(None)
    preferences.set("theme", name)
    return app_on(runs, preferences=preferences)


@pytest.mark.parametrize("theme", [themes.DARK.name, themes.LIGHT.name])
def test_a_blank_run(theme: str, home: Path, snap_compare: Any) -> None:
    assert snap_compare(in_theme(home, theme), terminal_size=(120, 40), run_before=on_new_run())


@pytest.mark.parametrize("panel", ["1", "2", "3"])
def test_one_panel_at_a_time(panel: str, home: Path, snap_compare: Any) -> None:
    (home.parent / "mine.toml").write_text(PRESET)
    set_up = on_new_run(panel, "down", preset="mine.toml")
    assert snap_compare(app_on(home), terminal_size=(80, 24), run_before=set_up)


def test_a_wide_terminal(home: Path, snap_compare: Any) -> None:
    set_up = on_new_run("3", "down", "down")
    assert snap_compare(app_on(home), terminal_size=(230, 40), run_before=set_up)


def test_a_very_small_terminal(home: Path, snap_compare: Any) -> None:
    assert snap_compare(app_on(home), terminal_size=(40, 12), run_before=on_new_run("3"))


def test_what_is_wrong_under_its_field(home: Path, snap_compare: Any) -> None:
    keys = ("2", *["down"] * 5, *"8", "comma", *"x", "down")
    assert snap_compare(
        in_theme(home, themes.LIGHT.name), terminal_size=(120, 40), run_before=on_new_run(*keys)
    )


def test_a_mismatch_in_the_users_own_model(home: Path, snap_compare: Any) -> None:
    (home.parent / "net.py").write_text(OWN)
    text = PRESET.replace('"cnn"', '"net.py:Net"').replace("channels = [16, 32]\n", "")
    (home.parent / "mine.toml").write_text(text)
    set_up = on_new_run(preset="mine.toml")
    assert snap_compare(app_on(home), terminal_size=(120, 40), run_before=set_up)


def test_data_without_its_file(home: Path, snap_compare: Any) -> None:
    (home.parent / "mine.toml").write_text('[data]\nname = "csv"\n[model]\nname = "mlp"\n')
    set_up = on_new_run("2", "down", preset="mine.toml")
    assert snap_compare(app_on(home), terminal_size=(120, 40), run_before=set_up)


def test_data_sets_that_do_not_fit_say_why(home: Path, snap_compare: Any) -> None:
    async def opened(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.screen, Picker))

    set_up = on_new_run("2", "enter", "down", then=opened)
    assert snap_compare(app_on(home), terminal_size=(120, 40), run_before=set_up)


@pytest.mark.parametrize("keys", [(), ("f",)])
def test_the_preset_as_text(keys: tuple[str, ...], home: Path, snap_compare: Any) -> None:
    (home.parent / "mine.toml").write_text(PRESET)
    set_up = on_new_run("2", "ctrl+end", "up", "up", "right", "ctrl+t", *keys, preset="mine.toml")
    assert snap_compare(app_on(home), terminal_size=(80, 24), run_before=set_up)


def test_saving_asks_for_a_file(home: Path, snap_compare: Any) -> None:
    async def complained(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.screen, Prompt))
        pilot.app.screen.query_one(Input).value = "nowhere/x.toml"
        await pilot.press("enter")

    set_up = on_new_run("ctrl+s", then=complained)
    assert snap_compare(app_on(home), terminal_size=(80, 24), run_before=set_up)


def test_the_engine_is_starting(home: Path, snap_compare: Any) -> None:
    set_up = on_new_run(engine=RecordedEngine(silent=["catalogue"]))
    assert snap_compare(app_on(home), terminal_size=(120, 40), run_before=set_up)


def test_the_engine_cannot_be_started(home: Path, snap_compare: Any) -> None:
    lines = ["The engine cannot be started.", "ModuleNotFoundError: No module named 'torch'"]
    set_up = on_new_run(engine=RecordedEngine({"catalogue": lines}))
    assert snap_compare(app_on(home), terminal_size=(80, 24), run_before=set_up)
