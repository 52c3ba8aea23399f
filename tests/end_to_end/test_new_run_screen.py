"""From the New-run screen to trained weights, with a real engine and a real worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from dlcore.run_dir import RunDir, list_runs
from tui.app import DltuiApp
from tui.engine_client import EngineClient
from tui.messages import OpenRun
from tui.screens.new_run import NewRunScreen

PATIENCE = 120.0


class App(DltuiApp):
    """The app; notes which run is opened."""

    opened: Path | None = None

    def on_open_run(self, message: OpenRun) -> None:
        message.prevent_default()
        self.opened = message.path


async def until(pilot: Pilot[Any], condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await pilot.pause(0.05)


async def test_digits_are_trained_from_the_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    engine = EngineClient()
    app = App(tmp_path / "runs")
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            screen = NewRunScreen(None, engine)
            await app.push_screen(screen)
            await until(pilot, lambda: screen.checks.shapes.get("data", {}).get("state") == "read")
            assert screen.checks.shapes["totals"]["parameters"] == 53_002
            screen.action_go(1)
            assert screen.form.go_to(("model", "channels"))
            await pilot.press("8")
            await until(pilot, lambda: screen.checks.shapes["totals"]["parameters"] < 20_000)
            assert screen.form.go_to(("training", "epochs"))
            await pilot.press("1", "ctrl+r")
            await until(pilot, lambda: app.opened)
            assert app.opened is not None
            run = RunDir(app.opened)
            await until(pilot, lambda: run.summary().status not in ("starting", "running"))
    finally:
        engine.close()
    (summary,) = list_runs(tmp_path / "runs")
    assert (summary.status, summary.epoch, summary.model, summary.data) == ("finished", 1, "cnn", "digits")
    assert "channels = [8]" in run.preset_path.read_text()
