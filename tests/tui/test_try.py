"""What a preset suggests to try, trained beside the run with one key, and both compared."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from dlcore import launch
from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from tests.tui.piloting import app_on, listed, until
from tests.tui.recorded import make_run
from tui.app import DltuiApp
from tui.messages import OpenRun
from tui.screens.compare import CompareScreen
from tui.screens.dialogs import Choose
from tui.screens.run import RunScreen

TRIES = """
[[about.try]]
say = "Half as fast: the curve is longer."
set = ["optimizer.lr=0.0005"]

[[about.try]]
say = "No convolutions."
set = ["model.name=mlp", "training.epochs=3"]
"""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[RunDir]:
    """The runs that were started, instead of workers."""
    found: list[RunDir] = []
    monkeypatch.setattr(launch, "start_detached", lambda run, **options: found.append(run))
    return found


def suggesting(home: Path, tries: str = TRIES) -> RunDir:
    run = make_run(home, "20251120-231502-digits-cnn")
    text = run.preset_path.read_text()
    about, rest = text.split("[data]", 1)
    run.preset_path.write_text(
        "\n".join(line for line in about.splitlines() if "try" not in line) + tries + "[data]" + rest
    )
    return run


async def offered(pilot: Pilot[Any]) -> Choose:
    await until(pilot, lambda: isinstance(pilot.app.screen, Choose) and pilot.app.screen.query("#choices"))
    screen = pilot.app.screen
    assert isinstance(screen, Choose)
    return screen


async def compared(app: DltuiApp, pilot: Pilot[Any]) -> CompareScreen:
    await until(pilot, lambda: isinstance(app.screen, CompareScreen))
    assert isinstance(app.screen, CompareScreen)
    return app.screen


@pytest.mark.parametrize("where", ["runs", "run"])
async def test_a_change_trains_beside_the_run(home: Path, started: list[RunDir], where: str) -> None:
    run = suggesting(home)
    app = app_on(home)
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 1)
        if where == "run":
            app.post_message(OpenRun(run.path))
            await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.view)
        await pilot.press("t")
        await offered(pilot)
        await pilot.press("down", "enter")
        screen = await compared(app, pilot)
        assert [each.path for each in screen.runs] == [run.path, started[0].path]
    new = tomllib.loads(started[0].preset_path.read_text())
    assert new["model"] == {"name": "mlp"}  # what only another network takes is left behind
    assert new["training"]["epochs"] == 3 and new["optimizer"]["lr"] == 0.001
    assert started[0].name.endswith("digits-cnn")


async def test_it_says_what_keeps_the_change_from_training(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(run: RunDir, **options: object) -> None:
        raise UserError("optimizer.lr: [red]no")

    monkeypatch.setattr(launch, "start_detached", refuses)
    suggesting(home)
    app = app_on(home)
    async with app.run_test() as pilot:
        await listed(pilot, 1)
        await pilot.press("t")
        await offered(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: any("[red]no" in note.message for note in app._notifications))
        assert [run.name for run in home.iterdir()] == ["20251120-231502-digits-cnn"]


@pytest.mark.parametrize("tries", ["", "x = [broken"])
async def test_a_preset_without_tries_says_so(home: Path, started: list[RunDir], tries: str) -> None:
    suggesting(home, tries + "\n")
    app = app_on(home)
    async with app.run_test() as pilot:
        await listed(pilot, 1)
        await pilot.press("t")
        await until(pilot, lambda: any("nothing to try" in note.message for note in app._notifications))
    assert not started


async def test_hostile_suggestions_are_shown_as_they_are(home: Path, started: list[RunDir]) -> None:
    said = r"\u001b]0;owned\u0007\u202e[bold]x[/bold]"  # as TOML writes them
    suggesting(home, f'[[about.try]]\nsay = "{said}"\nset = ["optimizer.lr=0.1"]\n')
    app = app_on(home)
    async with app.run_test() as pilot:
        await listed(pilot, 1)
        await pilot.press("t")
        shown = str((await offered(pilot)).query("#choices").first().render())
        assert "[bold]x[/bold]" in shown and "\x1b" not in shown
        await pilot.press("escape")
    assert not started
