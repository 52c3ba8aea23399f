"""The recorder writes what the steps left, drops nothing it can keep, and never stops the training."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlcore.events import EventReader, EventWriter
from dlcore.run_dir import RunDir
from dlcore.series import names, read
from dlcore.training import recorder as recorder_module
from dlcore.training.recorder import FLUSH_SECONDS, STATE_SECONDS, Recorder
from tests.core.support import largest_file
from tests.core.training.small import events, make_trainer


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(tmp_path: Path, clock: Clock) -> Iterator[Recorder]:
    run = RunDir.create(tmp_path, "run", "p")
    recorder = Recorder(run, EventWriter(run.events_path), seconds=0.5, clock=clock)
    yield recorder
    recorder.close()


def state_of(recorder: Recorder) -> dict[str, Any]:
    return json.loads(recorder.run.state_path.read_text())


# Curves


def test_what_was_kept_belongs_to_the_last_steps(recorder: Recorder) -> None:
    for value in (1.0, 2.0, 3.0):
        recorder.add("train/loss", torch.tensor(value))
    fetched = recorder.fetch(10)
    recorder.flush()
    assert fetched["train/loss"].tolist() == [1.0, 2.0, 3.0]
    series = read(recorder.run.metrics_path, "train/loss")
    assert series.step.tolist() == [8, 9, 10]
    assert series.value.tolist() == [1.0, 2.0, 3.0]


def test_nothing_is_fetched_twice(recorder: Recorder) -> None:
    recorder.add("train/loss", torch.tensor(1.0))
    recorder.fetch(1)
    assert recorder.fetch(1) == {}


def test_curves_of_several_phases_stay_apart(recorder: Recorder) -> None:
    for step in range(4):
        recorder.add("train/loss_generator", torch.tensor(float(step)))
        recorder.add("train/loss_discriminator", torch.tensor(-float(step)))
    recorder.fetch(4)
    recorder.flush()
    folder = recorder.run.metrics_path
    assert read(folder, "train/loss_generator").value.tolist() == [0, 1, 2, 3]
    assert read(folder, "train/loss_discriminator").value.tolist() == [0, -1, -2, -3]


def test_times_go_on_without_overlap(recorder: Recorder) -> None:
    for step in range(1, 7):
        recorder.add("train/loss", torch.tensor(0.0))
        if step % 3 == 0:
            recorder.fetch(step)
    recorder.flush()
    assert (np.diff(read(recorder.run.metrics_path, "train/loss").time) >= 0).all()


def test_numbers_that_are_none_are_kept(recorder: Recorder) -> None:
    recorder.scalars(1, {"val/loss": math.nan, "val/error": math.inf})
    recorder.flush()
    assert math.isnan(read(recorder.run.metrics_path, "val/loss").value[0])
    assert read(recorder.run.metrics_path, "val/error").value.tolist() == [math.inf]


def test_losses_stay_where_they_are_until_the_interval_is_over(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, record_seconds=1000.0, epochs=2)
    fetches: list[int] = []
    fetch = trainer.recorder.fetch
    trainer.recorder.fetch = lambda step: fetches.append(step) or fetch(step)  # type: ignore[method-assign]
    trainer.fit()
    assert fetches == [5, 10]  # the ends of the epochs
    assert read(trainer.recorder.run.metrics_path, "train/loss").step.tolist() == list(range(1, 11))


def test_the_next_record_is_one_interval_away(recorder: Recorder, clock: Clock) -> None:
    clock.now = 200.0
    recorder.rest()
    assert recorder.next_due == 200.5


def test_evaluations_of_short_epochs_go_out_together(recorder: Recorder, clock: Clock) -> None:
    def kept() -> int:
        return len(read(recorder.run.metrics_path, "val/loss").value)

    found = []
    for step, now in enumerate((0.0, 0.9 * FLUSH_SECONDS, FLUSH_SECONDS), start=1):
        clock.now = 200.0 + now
        recorder.scalars(step, {"val/loss": 1.0})
        recorder.flush_sometimes()
        found.append(kept())
    assert found == [1, 1, 3]


def test_nothing_of_what_a_checkpoint_follows_is_lost(tmp_path: Path) -> None:
    """Whatever waits is out before the checkpoint is, or a resume after a crash would leave a gap."""
    trainer = make_trainer(tmp_path, record_seconds=1000.0, epochs=40)
    gaps: list[int] = []
    submit = trainer.saver.submit

    def submitted(*args: Any) -> None:
        steps = read(trainer.recorder.run.metrics_path, "train/loss").step
        gaps.append(trainer.progress.step - (int(steps[-1]) if len(steps) else 0))
        submit(*args)

    trainer.saver.submit = submitted  # type: ignore[method-assign]
    trainer.fit()
    assert len(gaps) == 40
    assert not any(gaps)


def test_the_curves_of_a_training(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, record_seconds=1e-9)
    trainer.fit()
    found = names(trainer.recorder.run.metrics_path)
    expected = {"loss", "accuracy", "lr", "grad_norm", "samples_per_second"}
    assert expected <= {name.removeprefix("train/") for name in found if name.startswith("train/")}
    assert {
        "val/loss",
        "val/accuracy",
        "time/data",
        "time/forward",
        "time/backward",
        "time/optimizer",
    } <= set(found)
    lengths = {name: len(read(trainer.recorder.run.metrics_path, name)) for name in found}
    assert (lengths["train/loss"], lengths["train/lr"], lengths["val/loss"]) == (15, 15, 3)


# The state for listings


def test_the_state_is_written_once_a_second_at_most(recorder: Recorder, clock: Clock) -> None:
    recorder.state(step=1)
    recorder.state(step=2)
    assert state_of(recorder)["step"] == 1
    clock.now += STATE_SECONDS
    recorder.state(step=3)
    assert state_of(recorder)["step"] == 3


def test_what_matters_is_written_at_once_with_all_that_waited(recorder: Recorder) -> None:
    recorder.state(step=1)
    recorder.state(step=2, epoch=1)
    recorder.state(force=True, status="finished")
    state = state_of(recorder)
    assert (state["step"], state["epoch"], state["status"]) == (2, 1, "finished")


# A disk that fails


def test_a_full_disk_costs_no_point_that_fits_later(
    recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    with largest_file(100):
        for step in range(1, 21):
            recorder.scalars(step, {"val/loss": float(step)})
            recorder.flush()
    recorder.scalars(21, {"val/loss": 21.0})
    recorder.flush()
    series = read(recorder.run.metrics_path, "val/loss")
    assert series.step.tolist() == list(range(1, 22))
    assert series.value.tolist() == [float(step) for step in range(1, 22)]
    said = capsys.readouterr().out
    assert said.count("cannot be written") == 1
    assert "training goes on" in said


def test_events_go_on_when_there_is_room_again(
    recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.event("epoch", epoch=1)
    with largest_file(recorder.run.events_path.stat().st_size + 10):
        recorder.event("epoch", epoch=2)
        recorder.sync()
    recorder.event("epoch", epoch=3)
    found = [event["epoch"] for event in EventReader(recorder.run.events_path).read()]
    assert found == [1, 3]
    assert "cannot be written" in capsys.readouterr().out


@pytest.mark.parametrize("owner", ["run", "events"])
def test_no_failure_of_the_disk_gets_out(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], owner: str
) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        raise OSError(5, "Input/output error")

    if owner == "run":
        monkeypatch.setattr(recorder_module.RunDir, "write_state", fail)
        recorder.state(force=True, step=1)
    else:
        monkeypatch.setattr(recorder.events, "sync", fail)
        recorder.sync()
    assert "Input/output error" in capsys.readouterr().out


def test_training_goes_on_where_nothing_can_be_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    trainer = make_trainer(tmp_path, warn=said.append)
    with largest_file(0):
        assert trainer.fit().reason == "epochs"
    assert trainer.progress.step == 15
    assert len(said) == 3  # a checkpoint each
    assert capsys.readouterr().out.count("training goes on, curves may have gaps") == 1


# What is announced


def test_an_epoch_is_announced_when_it_can_no_longer_be_lost(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    write = trainer.saver.folder.write
    announced_before: list[list[int]] = []

    def watched(snapshot: Any) -> Any:
        announced_before.append([event["epoch"] for event in events(trainer, "epoch")])
        return write(snapshot)

    trainer.saver.folder.write = watched  # type: ignore[method-assign]
    trainer.fit()
    assert announced_before == [[], [1], [1, 2]]
    assert [event["epoch"] for event in events(trainer, "epoch")] == [1, 2, 3]


def test_a_save_after_so_many_seconds_comes_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, checkpoint={"every_seconds": 2.0, "every_epochs": 99}, epochs=2)
    trainer.clock = trainer.recorder.clock = lambda: float(trainer.progress.step)
    trainer.recorder.seconds = trainer.recorder.next_due = trainer._saved_at = 0.0
    trainer.fit()
    steps = [event["step"] for event in events(trainer, "checkpoint")]
    assert steps[0] == 2
    assert {2, 4} <= set(steps)
    assert steps[-1] == 10
    assert trainer.saver.folder.newest().manifest["step"] == 10  # type: ignore[union-attr]
