"""Signals and commands to a real training: exit codes, what is saved, and what a resume makes of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from dlcore.control import COMMANDS, send
from dlcore.run_dir import RunDir
from tests.end_to_end.processes import (
    Process,
    Server,
    assert_same_weights,
    await_event,
    await_that,
    checkpoints,
    events,
    toy,
)

EPOCHS = 30
NEVER = 100_000


def training(
    server: Server, runs: Path, *more: str, epochs: int = NEVER, **environment: str
) -> tuple[Process, RunDir]:
    """A training in its second epoch."""
    preset = toy(runs.parent, epochs=epochs)
    process = server.start("run", preset, "--runs", runs, "--name", "x", "--quiet", *more, **environment)
    run = RunDir(runs / "x")
    await_event(run, "epoch", epoch=1)
    return process, run


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_a_resume_ends_bitwise_the_same(
    server: Server, runs: Path, number: signal.Signals, code: int
) -> None:
    process, run = training(server, runs, epochs=EPOCHS)
    process.signal(number)
    assert process.wait() == code
    stopped = events(run, "stopped")[0]
    assert (stopped["by"], stopped["exit"]) == (number.name, code)
    assert run.summary().status == "stopped"
    newest = checkpoints(run).newest()
    assert newest is not None
    assert newest.manifest["step"] == stopped["step"]
    assert server.dltui("resume", run.path, "--quiet")[0] == 0
    whole = server.dltui("run", toy(runs.parent, epochs=EPOCHS), "--runs", runs, "--name", "whole", "--quiet")
    assert whole[0] == 0
    assert_same_weights(run, RunDir(runs / "whole"))


SLOW_SAVES = """
import time
from dlcore.training import checkpoints
real = checkpoints.save_file
def save_file(*args):
    real(*args)
    time.sleep({seconds})
checkpoints.save_file = save_file
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_ends_at_once_and_the_last_checkpoint_is_whole(
    server: Server, runs: Path, number: signal.Signals, code: int
) -> None:
    process = server.start(
        "run", toy(runs.parent, epochs=NEVER), "--runs", runs, "--name", "x", "--quiet",
        prelude=SLOW_SAVES.format(seconds="60 if __import__('pathlib').Path('go').exists() else 0"),
        folder=runs.parent,
    )  # fmt: skip
    run = RunDir(runs / "x")
    await_event(run, "epoch", epoch=2)
    (runs.parent / "go").touch()
    process.signal(number)
    await_that(lambda: list(run.checkpoints_path.glob(".new-*")), "a save")

    def ended() -> list[int]:
        process.signal(number)  # again where the kernel made one of two
        found = server.ask({"wait": process.pid, "seconds": 0.05})
        return [] if found is None else [found]

    assert await_that(ended, "the end", seconds=30.0) == [code]  # it does not wait for the save
    assert events(run, "stopped") == []
    announced = events(run, "epoch")[-1]["epoch"]
    newest = checkpoints(run).newest(report=pytest.fail)
    assert newest is not None
    assert newest.manifest["epoch"] >= announced
    assert run.summary().status == "died"


LONG_DOWNLOAD = """
import time
from dlcore import assembly
def build(preset, report, **options):
    report("downloading")
    time.sleep(600)
assembly.build = build
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_is_enough_while_data_is_being_loaded(
    server: Server, runs: Path, number: signal.Signals, code: int
) -> None:
    process = server.start(
        "run", toy(runs.parent), "--runs", runs, "--name", "x", "--quiet", prelude=LONG_DOWNLOAD
    )
    run = RunDir(runs / "x")
    await_event(run, "progress", message="downloading")
    process.signal(number)
    assert process.wait(10.0) == code
    assert run.summary().status == "stopped"
    assert "Traceback" not in process.output[1] + run.log_path.read_text()
    assert server.dltui("resume", run.path, "--quiet")[0] == 0


def test_a_hang_up_ends_nothing(server: Server, runs: Path) -> None:
    process, _ = training(server, runs, epochs=EPOCHS)
    process.signal(signal.SIGHUP)
    assert process.wait() == 0


def test_a_user_signal_saves_and_training_goes_on(server: Server, runs: Path) -> None:
    process, run = training(server, runs)
    steps = events(run, "started")[0]["steps_per_epoch"]

    def saved_between_epochs() -> bool:
        process.signal(signal.SIGUSR1)
        return any(event["step"] % steps for event in events(run, "checkpoint"))

    await_that(saved_between_epochs, "a checkpoint in the middle of an epoch")
    process.signal(signal.SIGTERM)
    assert process.wait() == 143
    assert events(run, "stopped")[0]["by"] == "SIGTERM"


def test_in_slurm_it_saves_ends_and_asks_for_a_new_place(server: Server, runs: Path, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    program = tmp_path / "scontrol"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {asked}\nkill -TERM $PPID\nsleep 0.2\n'
    )  # Slurm ends the job itself
    program.chmod(0o755)
    place = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "4711"}
    process, run = training(server, runs, **place)
    process.signal(signal.SIGUSR1)
    assert process.wait() == 143
    assert asked.read_text() == "requeue 4711\n"
    stopped = events(run, "stopped")[0]
    assert stopped["by"] == "Slurm job 4711 is back in the queue."
    assert checkpoints(run).newest(report=pytest.fail).manifest["step"] == stopped["step"]  # type: ignore[union-attr]
    assert run.summary().status == "stopped"


# dltui tell


def test_every_command_of_tell_is_answered(server: Server, runs: Path) -> None:
    process, run = training(server, runs)
    values = {"lr": "lr=0.5", "epochs": f"epochs={NEVER + 1}"}
    told = [values.get(name, name) for name in COMMANDS if name != "stop"]
    assert told[:2] == ["pause", "continue"]
    for text in [*told, "stop"]:
        code, out, errors = server.dltui("tell", run.path, text)
        assert (code, errors) == (0, ""), text
        assert out.startswith("x: ")
    assert process.wait() == 130
    answers = events(run, "command")
    assert [answer["command"] for answer in answers] == [
        *(name for name in COMMANDS if name != "stop"),
        "stop",
    ]
    assert all(answer["ok"] and answer["id"] for answer in answers)
    assert f"epochs = {NEVER + 1}" in run.preset_path.read_text()
    assert events(run, "epoch")[-1]["lr"] != 0.001


def test_a_paused_training_waits_and_says_so(server: Server, runs: Path) -> None:
    process, run = training(server, runs)
    assert server.dltui("tell", run.path, "pause")[0] == 0
    assert run.summary().status == "paused"
    steps = (run.metrics_path / "train.loss").stat().st_size
    assert server.dltui("tell", run.path, "evaluate")[0] == 0  # it still listens
    assert (run.metrics_path / "train.loss").stat().st_size == steps
    process.signal(signal.SIGTERM)  # and still ends
    assert process.wait() == 143


def test_nobody_there_to_hear_is_said(server: Server, runs: Path) -> None:
    process, run = training(server, runs)
    process.signal()
    process.wait()
    code, out, errors = server.dltui("tell", run.path, "save")
    assert (code, out) == (2, "")
    assert "not running (died)" in errors


def test_what_was_asked_of_a_dead_worker_is_not_asked_of_the_next(server: Server, runs: Path) -> None:
    process, run = training(server, runs, epochs=EPOCHS)
    process.signal()
    process.wait()
    send(run.path, "stop")
    assert server.dltui("resume", run.path, "--quiet")[0] == 0
    assert events(run, "command") == []


def test_what_was_told_survives_a_kill(server: Server, runs: Path) -> None:
    process, run = training(server, runs)
    assert server.dltui("tell", run.path, "lr=0.5")[0] == 0
    assert server.dltui("tell", run.path, "epochs=77")[0] == 0
    told = events(run, "epoch")[-1]["epoch"]
    await_event(run, "epoch", epoch=told + 2)
    process.signal()
    process.wait()
    if events(run, "epoch")[-1]["epoch"] < 77:
        again = server.start("resume", run.path, "--quiet")
        assert again.wait() == 0
    last = events(run, "epoch")[-1]
    assert last["epoch"] == 77
    assert events(run, "started")[-1]["epochs"] == 77
