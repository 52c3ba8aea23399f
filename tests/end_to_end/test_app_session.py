"""A day with a run, on real terminals: watch, lose the connection, come back, change, stop, resume, kill."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dlcore.run_dir import RunDir
from tests.end_to_end.processes import PATIENCE, await_event, await_that, checkpoints, dltui, events
from tests.end_to_end.terminal import Terminal

DIGITS = """
[data]
name = "digits"
[model]
name = "mlp"
widths = [32]
[training]
epochs = 100000
device = "cpu"
threads = 1
record_seconds = 0.05
[checkpoint]
every_epochs = 5
"""


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    """Those that a test opens; none is left behind."""
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.kill()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDir]:
    """A training of digits that goes on until somebody stops it."""
    preset = tmp_path / "digits.toml"
    preset.write_text(DIGITS)
    started = dltui("run", preset, "--detach", "--name", "day", DLTUI_RUNS=str(tmp_path / "runs"))
    assert started.returncode == 0, started.stderr
    run = RunDir(tmp_path / "runs" / "day")
    yield run
    from dlcore import launch

    assert launch.stop(run)


def epochs(run: RunDir) -> int:
    return len(events(run, "epoch"))


def test_a_day_with_a_run(run: RunDir, terminals: list[Terminal]) -> None:
    def attach() -> Terminal:
        terminals.append(Terminal("attach", DLTUI_RUNS=str(run.path.parent)))
        terminals[-1].until("day")
        return terminals[-1]

    # Watch it, and close the window.
    first = attach()
    first.until("● running")
    first.until(lambda screen: "train" in screen and "val" in screen)
    first.close()
    before = epochs(run)
    await_that(lambda: epochs(run) > before + 2, "training after the window was closed")

    # Come back from another one and change the learning rate.
    second = attach()
    second.until("● running")
    second.press("l")
    second.until("It is 1e-3 now")
    second.press("5e-4")
    second.until("│  5e-4 ")
    second.press("enter")
    second.until("✓ Learning rate 0.0005")
    answer = await_event(run, "command", command="lr", ok=True)
    assert answer["value"] == 5e-4
    second.until("lr 5e-4")

    # Save and stop on the way out.
    second.press("q")
    second.until("Save and stop")
    second.press("down", "enter")
    assert second.wait() == 0
    assert not second.in_app
    assert second.settings == second.before
    stopped = await_event(run, "stopped")
    newest = checkpoints(run).newest()
    assert newest is not None and newest.manifest["step"] == stopped["step"]
    assert run.summary().status == "stopped"

    # Resume with one key, and kill it in the end.
    third = attach()
    third.until("◼ stopped")
    third.press("r")
    resumed = await_event(run, "resumed")
    assert resumed["step"] == stopped["step"]
    third.until("● running")
    third.press("q")
    third.until("Kill it")
    third.press("down", "down", "enter")
    third.until("Kill the training?")
    third.press("y")
    assert third.wait() == 0
    assert run.summary().status == "died"
    assert [event["seq"] for event in events(run)] == list(range(1, len(events(run)) + 1))


def test_three_keys_and_digits_trains(tmp_path: Path, terminals: list[Terminal]) -> None:
    runs = tmp_path / "runs"
    terminals.append(Terminal(DLTUI_RUNS=str(runs)))
    (app,) = terminals
    app.until("n new")
    app.press("n")
    app.until("ctrl+r start")
    app.until("digits")
    app.press("ctrl+r")
    app.until(lambda screen: "train 0" in screen or "train 1" in screen or "train 2" in screen)
    (path,) = runs.iterdir()
    run = RunDir(path)
    app.until(lambda screen: "✓ finished" in screen or "● running" in screen)
    app.close()  # the window is closed; the training goes on to its end
    await_that(lambda: run.summary().status == "finished", "the end of the training")
    terminals.append(Terminal("attach", DLTUI_RUNS=str(runs)))
    terminals[-1].until("✓ finished 10 epochs")
    terminals[-1].until("test/accuracy")
    terminals[-1].press("7")
    terminals[-1].until("right · step")
    terminals[-1].press("q")
    assert terminals[-1].wait() == 0
    assert terminals[-1].settings == terminals[-1].before


def engine_of(terminal: Terminal) -> psutil.Process | None:
    """The engine that the app has started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(terminal.process.pid).children():
            if "dlcore.engine" in child.cmdline():
                return child
    return None


@pytest.mark.parametrize("end", ["q", "kill"])
def test_the_engine_is_warm_before_it_is_needed_and_goes_with_the_app(
    end: str, tmp_path: Path, terminals: list[Terminal]
) -> None:
    terminals.append(Terminal(DLTUI_RUNS=str(tmp_path / "runs"), DLTUI_WARM="1"))
    (app,) = terminals
    app.until("n new")
    engine = await_that(lambda: engine_of(app), "an engine")
    assert engine.nice() > 0 or await_that(lambda: engine.nice() > 0, "an engine that gives way")
    if end == "q":
        app.press("q")
        assert app.wait() == 0
    else:
        app.kill()
    assert psutil.wait_procs([engine], timeout=PATIENCE)[1] == []


def test_who_attaches_starts_no_engine(run: RunDir, terminals: list[Terminal]) -> None:
    terminals.append(Terminal("attach", DLTUI_RUNS=str(run.path.parent), DLTUI_WARM="1"))
    (app,) = terminals
    app.until("● running")
    loaded = Path(f"/proc/{app.process.pid}/maps")
    await_that(lambda: "numpy" in loaded.read_text(), "the imports that come after the first paint")
    app.press("?")
    app.until("Keys")
    assert engine_of(app) is None
