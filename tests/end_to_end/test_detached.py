"""A detached training outlives whoever started it, and a killed one goes on as if nothing had been."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dlcore import launch
from dlcore.run_dir import RunDir
from dlcore.run_dir.lock import read_holder
from tests.end_to_end.processes import (
    ENVIRONMENT,
    ROOT,
    Server,
    assert_same_weights,
    await_event,
    await_that,
    dltui,
    events,
    toy,
)

NEVER = 100_000  # epochs


@pytest.fixture
def ends(runs: Path) -> Iterator[None]:
    """No training outlives its test."""
    yield
    for path in runs.glob("*"):
        launch.stop(RunDir(path), 30.0, number=signal.SIGKILL)


def pid_of(run: RunDir) -> int:
    holder = await_that(lambda: read_holder(run.lock_path), "a worker")
    assert run.is_locked()
    return int(holder.pid)


def test_detached_killed_and_resumed_it_ends_with_the_weights_of_an_uninterrupted_run(
    runs: Path, tmp_path: Path, ends: None
) -> None:
    preset = toy(tmp_path, epochs=40)
    started = dltui("run", preset, "--runs", runs, "--name", "killed", "--detach")
    assert (started.returncode, started.stdout, started.stderr) == (0, "killed\n", "")
    killed = RunDir(runs / "killed")
    await_event(killed, "epoch", epoch=3)
    os.kill(pid_of(killed), signal.SIGKILL)
    await_that(lambda: not killed.is_locked(), "the end of the worker")
    assert killed.summary().status == "died"
    assert "the worker was ended by SIGKILL" in await_that(killed.log_path.read_text, "the log")

    whole = dltui("run", preset, "--runs", runs, "--name", "whole", "--quiet")
    resumed = dltui("resume", killed.path, "--detach")
    assert (whole.returncode, resumed.returncode) == (0, 0)
    await_event(killed, "finished")
    await_that(lambda: not killed.is_locked(), "the end of the worker")
    assert events(killed, "resumed")[0]["same_environment"] is True
    assert_same_weights(killed, RunDir(runs / "whole"))
    assert killed.summary().best == RunDir(runs / "whole").summary().best
    tests = [events(RunDir(runs / name), "test")[0]["metrics"] for name in ("killed", "whole")]
    assert tests[0] == tests[1]


def test_a_detached_training_outlives_its_terminal(runs: Path, tmp_path: Path, ends: None) -> None:
    preset = toy(tmp_path, epochs=NEVER)
    pid, terminal = pty.fork()
    if pid == 0:  # a shell in a terminal window
        os.chdir(ROOT)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
        command = (
            f"{sys.executable} -m tui.cli run {preset} --runs {runs} --name far --detach; exec sleep 600"
        )
        os.execve("/bin/sh", ["sh", "-c", command], ENVIRONMENT)
    shown = b""
    while b"far" not in shown:
        shown += os.read(terminal, 1000)
    run = RunDir(runs / "far")
    worker = pid_of(run)
    assert os.getsid(worker) != os.getsid(pid)
    os.close(terminal)  # the window is closed: the kernel sends SIGHUP to all that belongs to it
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGHUP
    seen = len(events(run, "epoch"))
    await_that(lambda: len(events(run, "epoch")) > seen + 3, "further epochs")
    assert pid_of(run) == worker
    os.kill(worker, signal.SIGHUP)  # nor does it mind being told itself
    seen = len(events(run, "epoch"))
    await_that(lambda: len(events(run, "epoch")) > seen + 3, "further epochs")
    assert launch.stop(run)
    assert run.summary().status == "stopped"


def test_a_training_in_the_foreground_goes_on_when_its_terminal_closes(
    server: Server, runs: Path, tmp_path: Path, ends: None
) -> None:
    ours, its = pty.openpty()
    preset = toy(tmp_path, epochs=40)
    process = server.start(
        "run", preset, "--runs", runs, "--name", "near", terminal=os.ttyname(its), TERM="xterm"
    )
    os.close(its)
    run = RunDir(runs / "near")
    await_that(run.events_path.exists, "the run")
    await_event(run, "epoch", epoch=1)
    os.close(ours)
    assert process.wait() == 0
    assert run.summary().status == "finished"
    assert events(run, "epoch")[-1]["epoch"] == 40


def test_a_training_in_the_foreground_goes_on_without_its_painter(
    server: Server, runs: Path, tmp_path: Path
) -> None:
    process = server.start("run", toy(tmp_path, epochs=30), "--runs", runs, "--name", "x")
    run = RunDir(runs / "x")
    await_event(run, "epoch", epoch=1)
    (painter,) = [
        p for p in psutil.Process(process.pid).children() if "tui.progress" in " ".join(p.cmdline())
    ]
    painter.kill()
    assert process.wait() == 0
    assert events(run, "epoch")[-1]["epoch"] == 30


def test_a_detached_run_spells_every_default_out(runs: Path, tmp_path: Path, ends: None) -> None:
    """As one in the foreground: what runs must not depend on the defaults of a later version."""
    preset = toy(tmp_path, epochs=1)
    texts = []
    for how in ((), ("--detach",)):
        done = dltui("run", preset, "--runs", runs, "--name", f"run{len(texts)}", *how)
        assert done.returncode == 0, done.stderr
        run = RunDir(runs / f"run{len(texts)}")
        await_event(run, "finished")
        texts.append(run.preset_path.read_text())
    assert texts[0] == texts[1]
    assert "batch_norm = " in texts[0] or "dropout = " in texts[0]


def test_what_keeps_a_detached_run_from_starting_reaches_who_started_it(runs: Path, tmp_path: Path) -> None:
    preset = toy(tmp_path, more='monitor = "train/loss"\n')
    refused = dltui("run", preset, "--runs", runs, "--detach")
    assert refused.returncode == 2
    assert "training.monitor" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert list(runs.iterdir()) == []


def test_a_detached_worker_holds_nothing_of_its_starters(runs: Path, tmp_path: Path, ends: None) -> None:
    """A pipe that a script reads to its end must not stay open for as long as the training lasts."""
    preset = toy(tmp_path, epochs=NEVER)
    command = [sys.executable, "-m", "tui.cli", "run", preset, "--runs", runs, "--name", "x", "--detach"]
    done = subprocess.run(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100
    )
    assert done.stdout == b"x\n"
    worker = Path(f"/proc/{pid_of(RunDir(runs / 'x'))}")
    if worker.exists():
        assert (worker / "cwd").resolve() == Path.cwd()
        assert (worker / "fd" / "0").resolve() == Path(os.devnull)
