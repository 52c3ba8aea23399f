"""Every screen in the light theme at a small and a usual size, and in the dark one where no other picture has it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.inspection_cases import ailing_run, inspected_run
from tests.tui.piloting import app_on, listed, until
from tests.tui.recorded import START, make_run
from tests.tui.run_cases import full_run, open_run, settled
from tests.tui.test_compare_screen import runs_of, shown
from tests.tui.test_evaluation_screen import JudgingEngine, evaluating
from tests.tui.test_inspector_snapshots import inspecting
from tests.tui.test_new_run_snapshots import on_new_run
from tui import themes
from tui.preferences import Preferences
from tui.screens.compare import CompareScreen
from tui.widgets.live_cells import LiveCells

pytestmark = pytest.mark.usefixtures("universal_time")

Setup = Callable[[Pilot[Any]], Awaitable[None]]


def runs(home: Path) -> Setup:
    for number, status in enumerate(("finished", "stopped", "failed", "died")):
        make_run(home, f"digits-cnn-{number}", started=START - 420.0 * number, seed=number, status=status)

    async def set_up(pilot: Pilot[Any]) -> None:
        rows = await listed(pilot, 4)
        await until(pilot, lambda: len(rows.trends) == 4)
        await drawn(pilot)

    return set_up


def run(home: Path) -> Setup:
    stopped = full_run(home, status="stopped")

    async def set_up(pilot: Pilot[Any]) -> None:
        await settled(pilot, await open_run(pilot, stopped))

    return set_up


def doctor(home: Path) -> Setup:
    ailing = ailing_run(home)

    async def set_up(pilot: Pilot[Any]) -> None:
        screen = await open_run(pilot, ailing)
        await pilot.press("9")
        await settled(pilot, screen)

    return set_up


def compare(home: Path) -> Setup:
    paths = runs_of(home, 3)

    async def set_up(pilot: Pilot[Any]) -> None:
        await pilot.app.push_screen(CompareScreen(paths))
        await shown(pilot, 3)
        await drawn(pilot)

    return set_up


async def drawn(pilot: Pilot[Any]) -> None:
    """Waits for the curves."""
    await until(pilot, lambda: not any(cells.waits for cells in pilot.app.screen.query(LiveCells)))


SCREENS: dict[str, Callable[[Path], Setup]] = {
    "runs": runs,
    "new-run": lambda home: on_new_run(),
    "run": run,
    "doctor": doctor,
    "compare": compare,
    "inspector": lambda home: inspecting(inspected_run(home)),
    "evaluation": lambda home: evaluating(home, JudgingEngine()),
}
CASES = [(name, themes.LIGHT.name) for name in SCREENS]
CASES += [(name, themes.DARK.name) for name in ("runs", "compare")]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize(("name", "theme"), CASES, ids=[f"{name}-{theme}" for name, theme in CASES])
def test_pictures(home: Path, snap_compare: Any, name: str, theme: str, size: tuple[int, int]) -> None:
    preferences = Preferences(None)
    preferences.set("theme", theme)
    app = app_on(home, preferences=preferences)
    assert snap_compare(app, terminal_size=size, run_before=SCREENS[name](home))
