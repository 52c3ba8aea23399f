"""One signal saves and ends, a second ends at once; Slurm's warning puts the job back in the queue."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dlcore.training import signals
from dlcore.training.progress import restore
from dlcore.training.signals import EXIT_CODES, Flags, Interrupted, requeue_in_slurm
from dlcore.training.trainer import Trainer
from tests.core.training.small import assert_same, events, final_state, make_trainer, newest


@pytest.fixture(autouse=True)
def _handlers_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    numbers = [*EXIT_CODES, signal.SIGHUP]
    before = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGHUP, lambda number, frame: pytest.fail("not ignored"))
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def flags() -> Flags:
    """In the middle of a training."""
    flags = Flags()
    flags.install()
    flags.training = True
    return flags


class Exits(Exception):  # noqa: N818 - it reads as what it is
    """The process would have ended at once."""


@pytest.fixture(autouse=True)
def _ends_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(code: int) -> None:
        raise Exits(code)

    monkeypatch.setattr(signals.os, "_exit", end)


def raise_here(number: int) -> None:
    os.kill(os.getpid(), number)


def ends_at_once(number: int) -> int:
    """The exit code with which a signal ends the process."""
    with pytest.raises(Exits) as caught:
        raise_here(number)
    return int(caught.value.args[0])


def signalled_at(trainer: Trainer, flags: Flags, step: int, number: int) -> Trainer:
    """The training gets a signal while it makes a step."""
    trainer.flags = flags

    def hook(module: Any, inputs: Any) -> None:
        if module.training and trainer.progress.step + 1 == step:
            raise_here(number)

    trainer.task.model.register_forward_pre_hook(hook)
    return trainer


@pytest.mark.parametrize("step", [3, 5, 7])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_ends_and_what_was_saved_goes_on_bitwise(
    tmp_path: Path, flags: Flags, number: signal.Signals, code: int, step: int
) -> None:
    first = signalled_at(make_trainer(tmp_path, record_seconds=1000.0), flags, step, number)
    outcome = first.fit()
    assert (outcome.reason, outcome.exit_code, outcome.message) == ("stopped", code, number.name)
    assert step <= newest(first).manifest["step"] <= step + 1  # the step under way, or the next one
    again = make_trainer(tmp_path)
    restore(again, newest(again))
    again.fit()
    whole = make_trainer(tmp_path, name="whole")
    whole.fit()
    assert_same(final_state(again), final_state(whole))


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("second", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_ends_at_once(flags: Flags, first: int, second: int, code: int) -> None:
    raise_here(first)
    assert flags.raised
    assert ends_at_once(second) == code


def test_a_closed_terminal_ends_nothing(flags: Flags) -> None:
    raise_here(signal.SIGHUP)
    assert (flags.raised, flags.received) == (False, None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_before_the_first_step_a_signal_ends_the_preparation(number: signal.Signals) -> None:
    flags = Flags()
    flags.install()
    with pytest.raises(Interrupted) as caught:
        raise_here(number)
    assert caught.value.received == number
    assert ends_at_once(number) == EXIT_CODES[number]


def test_a_user_signal_saves_and_training_goes_on(tmp_path: Path, flags: Flags) -> None:
    trainer = signalled_at(make_trainer(tmp_path, record_seconds=1000.0), flags, 7, signal.SIGUSR1)
    assert trainer.fit().reason == "epochs"
    steps = [event["step"] for event in events(trainer, "checkpoint")]
    assert len(steps) == 4
    assert steps[1] in (7, 8)
    assert flags.raised is False
    whole = make_trainer(tmp_path, name="whole")
    whole.fit()
    assert_same(final_state(trainer), final_state(whole))


# Slurm


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for Slurm's program, which writes down what it was asked."""
    asked = tmp_path / "asked"
    program = tmp_path / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    return asked


def test_slurms_warning_saves_and_ends(tmp_path: Path, flags: Flags, scontrol: Path) -> None:
    trainer = signalled_at(make_trainer(tmp_path / "runs"), flags, 7, signal.SIGUSR1)
    outcome = trainer.fit()
    assert (outcome.reason, outcome.exit_code, outcome.message) == ("stopped", 143, "SIGUSR1")
    assert newest(trainer).manifest["step"] in (7, 8)


def test_the_sigterm_that_follows_slurms_warning_cuts_nothing_off(flags: Flags, scontrol: Path) -> None:
    raise_here(signal.SIGUSR1)
    raise_here(signal.SIGTERM)
    assert flags.received == signal.SIGUSR1
    assert ends_at_once(signal.SIGTERM) == 143


def test_the_job_is_put_back(scontrol: Path) -> None:
    assert requeue_in_slurm() == "Slurm job 4711 is back in the queue."
    assert scontrol.read_text() == "requeue 4711\n"


def test_a_refusing_slurm_is_a_sentence(scontrol: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (scontrol.parent / "bin" / "scontrol").write_text("#!/bin/sh\nexit 1\n")
    assert "4711 could not be requeued" in requeue_in_slurm()
    monkeypatch.setenv("PATH", "/nowhere")
    assert "4711 could not be requeued" in requeue_in_slurm()


@pytest.mark.parametrize("job", ["", "7; rm -rf /", "-1", "x"])
def test_without_a_job_nothing_is_asked(scontrol: Path, monkeypatch: pytest.MonkeyPatch, job: str) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", job)
    assert requeue_in_slurm() == ""
    assert not scontrol.exists()


def test_saved_weights_are_those_of_the_step_the_event_names(tmp_path: Path, flags: Flags) -> None:
    trainer = signalled_at(make_trainer(tmp_path), flags, 7, signal.SIGTERM)
    trainer.fit()
    live = trainer.task.model.state_dict()
    assert all(torch.equal(value, live[name]) for name, value in newest(trainer).weights().items())
    assert (
        newest(trainer).manifest["step"] == trainer.progress.step == events(trainer, "checkpoint")[-1]["step"]
    )
