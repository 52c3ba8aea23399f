"""What is shown anew again and again takes no more memory: curves, gauges and the head of a run."""

from __future__ import annotations

import functools
import gc
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.tui.piloting import app_on
from tests.tui.run_cases import ONE, Machine, full_run, open_run
from tui.messages import RunChanged
from tui.screens.run import RunScreen
from tui.widgets.live_cells import LiveCells

GROWTH = 4 << 20  # bytes that the allocator may keep for itself
LONG = 1_000
OBJECTS = 0.005  # share of objects that may come: what waits to be done at the moment


def refresh(screen: RunScreen, number: int) -> None:
    """Other values everywhere, drawn and sent as if their time had come."""
    view = screen.view
    assert view is not None
    wave = np.sin(np.arange(400) / 9 + number)
    curves = {
        name: curve._replace(value=1.2 + wave[: len(curve.value)], step=curve.step[:400])
        for name, curve in view.curves.items()
        if len(curve.value) <= 400
    }
    state = replace(view.state, step=number, lr=number * 1e-6)
    screen._take_run(RunChanged(screen.run.path, replace(view, curves=curves, state=state)))
    for cells in screen.query(LiveCells):
        cells.draw()
    screen._on_timer_update()


def taken() -> tuple[int, int]:
    """Bytes and objects, without what caches with a bound hold: Rich's has room for 16,384 cut segments."""
    caches = [each for each in gc.get_objects() if type(each) is functools._lru_cache_wrapper]
    for cache in caches:
        if cache.cache_parameters()["maxsize"] is not None:
            cache.cache_clear()
    gc.collect()
    return psutil.Process().memory_info().rss, len(gc.get_objects())


@pytest.mark.parametrize(
    "times", [90, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(3_600)])]
)
async def test_memory_stays_flat_over_refreshes(home: Path, times: int) -> None:
    run = full_run(home, status="running")
    with run.lock():
        async with app_on(home).run_test(size=(120, 40)) as pilot:
            screen = await open_run(pilot, run, Machine(ONE))
            assert screen._follower is not None
            screen._follower.stop()
            before = (0, 0)
            for number in range(times):
                if number == times // 3:  # caches are full
                    before = taken()
                refresh(screen, number)
                if number % 50 == 0:
                    await pilot.pause()
            memory, objects = taken()
    assert objects - before[1] < OBJECTS * before[1]
    if times > LONG:  # a process that ran thousands of tests gives and takes more than this screen
        assert memory - before[0] < GROWTH
