"""Driving the real app in tests: a frozen clock, and waiting for conditions instead of time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from tests.tui.recorded import START
from tui.app import DltuiApp
from tui.screens.runs import RunsScreen
from tui.widgets.run_list import RunList

NOW = START + 3_600.0
PATIENCE = 20.0


def app_on(runs: Path, **options: Any) -> DltuiApp:
    """The app on a runs folder, an hour after the recorded runs began."""
    return DltuiApp(runs, now=lambda: NOW, **options)


async def until(pilot: Pilot[Any], condition: Callable[[], object]) -> None:
    """Lets the app work until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await pilot.pause(0.01)
    await pilot.pause()


def home_screen(pilot: Pilot[Any]) -> RunsScreen:
    """The list of runs, whatever lies over it."""
    screen = pilot.app.screen_stack[0]
    assert isinstance(screen, RunsScreen)
    return screen


def run_list(pilot: Pilot[Any]) -> RunList:
    """Its rows."""
    return home_screen(pilot).run_list


async def listed(pilot: Pilot[Any], number: int) -> RunList:
    """The rows, once there are so many."""
    await until(pilot, lambda: home_screen(pilot).is_mounted and run_list(pilot).row_count == number)
    return run_list(pilot)
