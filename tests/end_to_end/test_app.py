"""The app on a real terminal: coming, leaving in every way, and a training that does not care."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from dlcore import control, launch
from dlcore.preset import load
from dlcore.run_dir import RunDir
from dlcore.series import read
from tests.end_to_end.processes import (
    ENVIRONMENT,
    assert_same_weights,
    await_event,
    await_that,
    dltui,
    toy,
)
from tests.end_to_end.terminals import SILENCE, Terminal
from tests.tui.recorded import HOSTILE, make_run
from tui.commands.run_files import create

NEVER = 100_000  # epochs
MakeTerminal = Callable[..., Terminal]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[MakeTerminal]:
    made: list[Terminal] = []

    def make(size: tuple[int, int] = (100, 30), **environment: str) -> Terminal:
        made.append(Terminal(size, tmp_path, **environment))
        return made[-1]

    yield make
    for each in made:
        each.close()


def opened(screen: Terminal, *arguments: str, text: str = "runs/") -> Terminal:
    screen.start(*arguments)
    screen.expect(text)
    return screen


# Leaving.

CRASH = """
import sys
from pathlib import Path
from tui.app import DltuiApp

class Crashing(DltuiApp):
    def action_leave(self):
        raise RuntimeError("a bug")

sys.exit(Crashing(Path("runs"), real_terminal=True).run() or 0)
"""


@pytest.mark.parametrize(
    ("leave", "code"), [("q", 0), ("\x11", 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_leaving_restores_the_terminal(
    terminal: MakeTerminal, leave: str | signal.Signals, code: int
) -> None:
    screen = opened(terminal())
    assert not screen.is_restored()
    if isinstance(leave, str):
        screen.type(leave)
    else:
        assert screen.program is not None
        screen.program.send_signal(leave)
    assert screen.wait() == code
    assert screen.is_restored()


def test_a_crash_restores_the_terminal_and_tells(terminal: MakeTerminal) -> None:
    screen = terminal()
    screen.start_command([sys.executable, "-c", CRASH])
    screen.expect("runs")
    mark = screen.type("q")
    screen.wait()
    assert screen.is_restored()
    assert "a bug" in screen.text_after(mark)


def test_ctrl_c_does_not_leave(terminal: MakeTerminal) -> None:
    screen = opened(terminal())
    mark = screen.type("\x03")
    screen.expect("q to leave", mark)
    screen.type("q")
    assert screen.wait() == 0


def is_stopped(screen: Terminal) -> bool:
    """Reads on, so that it can write its last words."""
    screen.read(0.01)
    assert screen.program is not None
    return psutil.Process(screen.program.pid).status() == psutil.STATUS_STOPPED


def test_ctrl_z_gives_the_terminal_back_and_fg_paints_it_again(terminal: MakeTerminal) -> None:
    screen = opened(terminal())
    assert screen.program is not None
    screen.type("\x1a")
    await_that(lambda: is_stopped(screen), "the stop")
    assert screen.is_restored()
    mark = len(screen.sent)
    screen.program.send_signal(signal.SIGCONT)
    screen.expect("runs/", mark)
    screen.type("q")
    assert screen.wait() == 0 and screen.is_restored()


def test_who_is_stopped_from_outside_goes_on_as_before(terminal: MakeTerminal) -> None:
    screen = opened(terminal())
    assert screen.program is not None
    threads = psutil.Process(screen.program.pid).num_threads()
    times = 6
    for _ in range(times):
        screen.program.send_signal(signal.SIGSTOP)
        await_that(lambda: is_stopped(screen), "the stop")
        mark = len(screen.sent)
        screen.program.send_signal(signal.SIGCONT)
        screen.expect("runs/", mark)  # whatever was written meanwhile is painted over
    # Not one more each time; some of the start's own may have come late.
    assert psutil.Process(screen.program.pid).num_threads() < threads + times
    screen.type("q")
    assert screen.wait() == 0 and screen.is_restored()


def test_a_terminal_that_is_closed_ends_the_app(terminal: MakeTerminal) -> None:
    screen = opened(terminal())
    screen.hang_up()
    assert screen.program is not None
    assert screen.program.wait(20) in (129, -signal.SIGHUP)


def test_a_terminal_that_takes_nothing_more_does_not_keep_the_app(
    terminal: MakeTerminal, tmp_path: Path
) -> None:
    for number in range(40):
        make_run(tmp_path / "runs", f"run-{number}", epochs=2)
    screen = opened(terminal((200, 60)))
    for _ in range(100):  # nobody reads what these keys repaint
        os.write(screen.master, b"\x1b[6~\x1b[5~")
    assert screen.program is not None
    screen.program.send_signal(signal.SIGTERM)
    assert screen.program.wait(20) == 143


def test_reset_mends_what_a_killed_app_left(terminal: MakeTerminal) -> None:
    screen = opened(terminal())
    assert screen.program is not None
    screen.program.kill()
    screen.wait()
    assert not screen.is_restored()
    screen.start("reset", module="tui.cli")
    assert screen.wait() == 0
    assert screen.is_restored()


# Where it cannot be shown, or hardly.


@pytest.mark.parametrize("arguments", [[], ["attach"], ["attach", "nothing-here"]])
def test_without_a_terminal_it_says_what_to_do(tmp_path: Path, arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui.start", *arguments],
        env={**ENVIRONMENT, "DLTUI_RUNS": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "use dltui run" in done.stderr and done.stderr.count("\n") == 1


def test_a_dumb_terminal_is_told_and_left_alone(terminal: MakeTerminal) -> None:
    screen = terminal(TERM="dumb")
    screen.start()
    assert screen.wait() == 2
    assert b"\x1b" not in screen.sent and b"dltui run" in screen.sent


def test_attaching_to_no_run_names_the_nearest(terminal: MakeTerminal, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "digits-1")
    screen = terminal()
    screen.start("attach", "digit-1")
    assert screen.wait() == 2
    assert b"nearest: digits-1" in screen.sent and b"\x1b[?1049h" not in screen.sent


@pytest.mark.parametrize(
    ("size", "environment"),
    [
        ((1, 1), {}),
        ((3, 2), {}),
        ((80, 24), {"NO_COLOR": "1"}),
        ((80, 24), {"TERM": "xterm", "COLORTERM": ""}),
        ((80, 24), {"LC_ALL": "C"}),
    ],
)
def test_poor_terminals_are_served(
    terminal: MakeTerminal, tmp_path: Path, size: tuple[int, int], environment: dict[str, str]
) -> None:
    make_run(tmp_path / "runs", "a-run", status="stopped")
    screen = terminal(size, **environment)
    screen.start()
    screen.settle()
    for key in ("?", "\x1b", "q"):
        screen.type(key)
        screen.settle()
    assert screen.wait() == 0
    assert screen.is_restored() and b"Traceback" not in screen.sent
    if size == (80, 24):
        assert "stopped" in screen.text_after(0)
    if "LC_ALL" in environment:
        assert screen.sent.isascii()


def test_hostile_texts_stay_texts(terminal: MakeTerminal, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "name\x1b]0;owned\x07\x9b31m", hostile=True, status="failed")
    screen = opened(terminal((160, 40)))
    screen.expect("owned")
    screen.type("\r")
    screen.settle()
    payloads = (
        HOSTILE.encode("utf-8", "replace")[:12],
        b"\x1b]0;",
        b"\x1b[31mred",
        b"\x9b31m",
        "\u202e".encode(),
    )
    assert not any(payload in screen.sent for payload in payloads)


def test_nothing_is_sent_while_nothing_changes(terminal: MakeTerminal, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "a-run")
    screen = opened(terminal())
    screen.expect("▇")  # of the sparkline, which comes last
    screen.settle(8 * SILENCE)
    assert screen.read(4 * SILENCE) == b""


# A training and those who watch it.


@pytest.fixture
def training(runs: Path, tmp_path: Path) -> Iterator[RunDir]:
    """A detached training that goes on until it is told otherwise."""
    run = create(runs, "toy", load(toy(tmp_path, epochs=NEVER), builders=False))
    launch.start_detached(run)
    yield run
    launch.stop(run, 30.0, number=signal.SIGKILL)


def test_a_session(terminal: MakeTerminal, training: RunDir) -> None:
    """Attach, lose the terminal, attach again, change the learning rate, stop and save, go on."""
    first = opened(terminal(), "attach", text="running")
    first.hang_up()
    assert first.program is not None
    first.program.wait(20)
    assert training.is_locked()

    second = opened(terminal(), "attach", "toy", text="running")
    mark = second.type("l")
    second.expect("goes on from what you type", mark)
    second.type("1e-4\r")  # in the place of what stands there, which is selected
    assert await_event(training, "command", command="lr", ok=True)["value"] == pytest.approx(1e-4)

    mark = second.type("q")
    second.expect("goes on without dltui", mark)
    second.type("\r")
    assert second.wait() == 0
    assert second.is_restored() and training.is_locked()

    third = opened(terminal(), text="toy")
    mark = third.type("X")
    third.expect("Stop training?", mark)
    third.type("y")
    await_event(training, "stopped")
    await_that(lambda: not training.is_locked(), "the end of the worker")
    third.expect("stopped", mark)
    third.type("r")
    await_event(training, "resumed")
    assert training.is_locked()
    control.send(training, "stop")


def test_viewers_that_are_killed_leave_the_training_alone(terminal: MakeTerminal, training: RunDir) -> None:
    for _ in range(3):
        screen = opened(terminal(), "attach", "toy", text="running")
        assert screen.program is not None
        screen.program.kill()
        screen.wait()
        screen.close()
    before = training.summary().step
    await_that(lambda: training.summary().step > before, "another step")
    assert training.summary().status == "running"


@pytest.mark.slow  # a minute and a half
@pytest.mark.timeout(900)
def test_a_hundred_killed_viewers_do_not_change_a_training_s_numbers(
    terminal: MakeTerminal, runs: Path, tmp_path: Path
) -> None:
    """They die at random moments; then the same steps are trained again with nobody watching."""
    preset = toy(tmp_path, epochs=NEVER, more="[checkpoint]\nevery_epochs = 50\n")
    watched = create(runs, "watched", load(preset, builders=False))
    launch.start_detached(watched)
    moments = random.Random(0)
    try:
        for _ in range(100):
            screen = terminal()
            screen.start("attach", "watched")
            assert screen.program is not None
            end = time.monotonic() + moments.uniform(0.0, 1.2)
            while time.monotonic() < end:
                screen.read(0.05)
            screen.program.kill()
            screen.wait()
            screen.close()
        control.send(watched, "stop")
        steps = await_event(watched, "stopped")["step"]
    finally:
        launch.stop(watched, 30.0, number=signal.SIGKILL)
    assert not watched.control_path.read_text().count("\n") > 1  # dying viewers ask for nothing
    alone = dltui("run", preset, "--runs", runs, "--name", "alone", "--set", f"training.max_steps={steps}")
    assert alone.returncode == 0, alone.stderr
    unwatched = RunDir(runs / "alone")
    assert_same_weights(watched, unwatched)
    ours, theirs = (read(run.metrics_path, "train/loss") for run in (watched, unwatched))
    assert ours.step.tolist() == theirs.step.tolist() and len(ours.step) == steps
    assert ours.value.tolist() == theirs.value.tolist()
