"""Pictures of the inspector and of the doctor, at a small and a usual size."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from dlcore.run_dir import RunDir
from tests.tui.inspection_cases import ailing_run, inspected_run
from tests.tui.piloting import app_on, until
from tests.tui.run_cases import open_run, settled
from tests.tui.test_inspector import open_inspector
from tui.widgets.live_cells import LiveCells

SIZES = {"80x24": (80, 24), "120x40": (120, 40)}
Before = Callable[[Pilot[Any]], Awaitable[None]]


pytestmark = pytest.mark.usefixtures("universal_time")


def inspecting(run: RunDir, *keys: str) -> Before:
    async def before(pilot: Pilot[Any]) -> None:
        screen = await open_inspector(pilot, run)
        for key in keys:
            await pilot.press(key)
            await until(pilot, lambda: screen.settled)
        await until(pilot, lambda: not any(cells.waits for cells in screen.query(LiveCells)))
        await pilot.pause()

    return before


VIEWS = {
    "statistics": ("s",), "feature-maps": ("a",), "values": ("w", "t"), "filters": ("f",), "attention": ("m",),
    "embedding": ("e",), "two-steps": ("c", "left_square_bracket"),
}  # fmt: skip


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("view", VIEWS)
def test_views(home: Path, snap_compare: Any, view: str, size: tuple[int, int]) -> None:
    run = inspected_run(home)
    assert snap_compare(app_on(home), terminal_size=size, run_before=inspecting(run, *VIEWS[view]))


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_layers_and_flow(home: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    run = inspected_run(home)
    assert snap_compare(app_on(home), terminal_size=size, run_before=inspecting(run))


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_the_doctor(home: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    run = ailing_run(home)

    async def before(pilot: Pilot[Any]) -> None:
        screen = await open_run(pilot, run)
        await pilot.press("9")
        await settled(pilot, screen)

    assert snap_compare(app_on(home), terminal_size=size, run_before=before)
