"""A number that is no number is found within a record interval, named, and never saved."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dlcore.data.spec import TensorPart
from dlcore.series import read
from dlcore.training import optimizers
from dlcore.training.divergence import LEAST_SCALE
from dlcore.training.progress import restore
from dlcore.training.trainer import Trainer
from tests.core.training.small import (
    assert_same,
    events,
    final_state,
    make_part,
    make_trainer,
    newest,
    the_event,
)

STEPS = 5  # an epoch


class Spoiler(nn.Module):
    """Hands on what it gets, until it is told to spoil it."""

    def __init__(self) -> None:
        super().__init__()
        self.spoils: Callable[[], bool] = lambda: False

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.spoil(inputs) if self.training and self.spoils() else inputs

    def spoil(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs / torch.zeros_like(inputs) * 0


class _SpoilGradient(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.clone()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return gradient * math.inf


class GradientSpoiler(Spoiler):
    """Spoils on the way back only."""

    def spoil(self, inputs: torch.Tensor) -> torch.Tensor:
        return _SpoilGradient.apply(inputs)


def spoilt_trainer(runs: Path, steps: set[int], spoiler: Spoiler | None = None, **options: Any) -> Trainer:
    """A training whose layer "2" spoils the given steps (1 is the first)."""
    spoiler = spoiler or Spoiler()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), spoiler, nn.Linear(16, 3))
    trainer = make_trainer(runs, model=model, **options)
    spoiler.spoils = lambda: trainer.progress.step + 1 in steps
    return trainer


def by_steps(trainer: Trainer, seconds: int) -> None:
    """A clock that goes by steps: one a second."""
    trainer.clock = trainer.recorder.clock = lambda: float(trainer.progress.step)
    trainer.recorder.seconds = trainer.recorder.next_due = seconds


def indices_of(trainer: Trainer, step: int, accumulate: int = 1) -> list[int]:
    """Samples that an optimizer step of the run saw."""
    per_epoch = -(-STEPS // accumulate)
    epoch, position = divmod(step - 1, per_epoch)
    batches = list(trainer.train.epoch(epoch))[position * accumulate :][:accumulate]
    return [index for batch in batches for index in batch.index.tolist()]


@pytest.mark.parametrize("step", [1, 7, 10, 13])
def test_step_layer_and_samples_are_named(tmp_path: Path, step: int) -> None:
    trainer = spoilt_trainer(tmp_path, {step})
    trainer.recorder.seconds = trainer.recorder.next_due = math.inf  # only the end of an epoch looks
    spoiler: Any = trainer.task.model[2]  # type: ignore[index]
    spoiler.spoils = lambda: trainer.progress.step + 1 >= step  # and it does so again when looked at closer
    outcome = trainer.fit()
    found = the_event(trainer, "nonfinite")
    assert (found["step"], found["epoch"], found["what"]) == (step, (step - 1) // STEPS + 1, "loss")
    assert found["indices"] == indices_of(trainer, step)
    if step > STEPS:  # there are finite weights to look with
        assert found["layer"] == "2"
        assert "first seen in 2" in outcome.message
    assert (outcome.reason, outcome.exit_code) == ("failed", 1)
    assert f"step {step}" in outcome.message
    assert "\n" not in outcome.message


@pytest.mark.parametrize("seconds", [1, 2, 3])
def test_it_is_found_within_one_record_interval(tmp_path: Path, seconds: int) -> None:
    trainer = spoilt_trainer(tmp_path, {7}, epochs=20)
    by_steps(trainer, seconds)
    trainer.fit()
    assert the_event(trainer, "nonfinite")["step"] == 7
    assert trainer.progress.step - 7 <= seconds


def test_a_gradient_alone_is_found_too(tmp_path: Path) -> None:
    trainer = spoilt_trainer(tmp_path, {7}, GradientSpoiler())
    by_steps(trainer, 1)
    assert trainer.fit().reason == "failed"
    found = the_event(trainer, "nonfinite")
    assert (found["step"], found["what"]) == (7, "gradient")


def test_the_last_finite_checkpoint_is_kept(tmp_path: Path) -> None:
    trainer = spoilt_trainer(tmp_path, {2 * STEPS})  # seen only by what decides whether the epoch is saved
    trainer.recorder.seconds = trainer.recorder.next_due = math.inf
    trainer.fit()
    kept = newest(trainer)
    assert kept.manifest["epoch"] == 1
    assert all(value.isfinite().all() for value in kept.weights().values())
    assert [event["epoch"] for event in events(trainer, "epoch")] == [1]


def test_what_was_kept_can_be_gone_on_from(tmp_path: Path) -> None:
    spoilt_trainer(tmp_path, {8}).fit()
    healthy = spoilt_trainer(tmp_path, set())
    restore(healthy, newest(healthy))
    assert healthy.fit().reason == "epochs"
    whole = spoilt_trainer(tmp_path, set(), name="whole")
    whole.fit()
    assert_same(final_state(healthy), final_state(whole))


@pytest.mark.parametrize("step", [1, 2, 3])
def test_all_samples_of_an_accumulated_step_are_named(tmp_path: Path, step: int) -> None:
    trainer = spoilt_trainer(tmp_path, {step}, accumulate=2)  # 5 batches: steps of 2, 2 and 1
    trainer.recorder.seconds = trainer.recorder.next_due = math.inf
    trainer.fit()
    found = the_event(trainer, "nonfinite")
    assert found["step"] == step
    assert found["indices"] == indices_of(trainer, step, accumulate=2)
    assert len(found["indices"]) == (8 if step == 3 else 16)


def test_bad_input_is_told_from_a_bad_layer(tmp_path: Path) -> None:
    part = make_part()
    part.inputs[17, 3] = math.nan
    trainer = make_trainer(tmp_path, model=nn.Linear(6, 3), train=TensorPart(part.inputs, part.targets))
    trainer.fit()
    found = the_event(trainer, "nonfinite")
    assert found["layer"] == "the input data"
    assert 17 in found["indices"]


def test_a_failing_closer_look_does_not_hide_the_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = spoilt_trainer(tmp_path, {3})
    spoiler: Any = trainer.task.model[2]  # type: ignore[index]

    def spoils() -> bool:
        if trainer.progress.step == 3:  # the step is made: this is the closer look
            raise KeyError("the model's own trouble")
        return trainer.progress.step + 1 == 3

    spoiler.spoils = spoils
    by_steps(trainer, 0)
    assert trainer.fit().exit_code == 1
    assert the_event(trainer, "nonfinite")["step"] == 3
    assert "the model's own trouble" in capsys.readouterr().err


# Going on instead


@pytest.mark.parametrize("spoiler", [Spoiler, GradientSpoiler])
def test_skipping_leaves_such_steps_out(tmp_path: Path, spoiler: type[Spoiler]) -> None:
    trainer = spoilt_trainer(tmp_path, {4, 9}, spoiler(), non_finite="skip", ema=0.9)
    assert trainer.fit().reason == "epochs"
    assert all(value.isfinite().all() for value in final_state(trainer).values())
    assert trainer.stepper.skipped == trainer.progress.skipped == 2
    assert "2 steps skipped" in events(trainer, "warning")[-1]["message"]
    assert events(trainer, "nonfinite") == []


def test_a_skipped_step_changes_no_weight(tmp_path: Path) -> None:
    trainer = spoilt_trainer(tmp_path, {2}, non_finite="skip", max_steps=2, optimizer=optimizers.sgd)
    trainer.fit()
    single = spoilt_trainer(tmp_path, set(), name="single", max_steps=1, optimizer=optimizers.sgd)
    single.fit()
    assert_same(final_state(trainer), final_state(single))


def test_the_epochs_loss_is_the_mean_of_the_steps_that_were_made(tmp_path: Path) -> None:
    trainer = spoilt_trainer(tmp_path, {2}, non_finite="skip", epochs=1)
    trainer.fit()
    losses = read(trainer.recorder.run.metrics_path, "train/loss").value
    assert math.isnan(losses[1])  # the curve shows what was measured
    mean = the_event(trainer, "epoch")["metrics"]["train/loss"]
    assert mean == pytest.approx(losses[[0, 2, 3, 4]].mean())


# fp16


def test_an_overflow_in_fp16_is_not_the_end(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, precision="fp16", epochs=8)
    scaler = trainer.precision.scaler
    assert scaler is not None
    scaler.scale(torch.tensor(1.0))  # makes the scale that is set next
    scaler._scale.fill_(2.0**30)  # type: ignore[union-attr]
    assert trainer.fit().reason == "epochs"
    assert scaler.get_scale() < 2.0**30
    assert events(trainer, "nonfinite") == []
    assert final_state(trainer)["model.0.weight"].isfinite().all()


def test_skipping_lowers_the_scale_of_fp16(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, precision="fp16", non_finite="skip", epochs=8)
    scaler = trainer.precision.scaler
    assert scaler is not None
    scaler.scale(torch.tensor(1.0))
    scaler._scale.fill_(2.0**30)  # type: ignore[union-attr]
    trainer.fit()
    assert scaler.get_scale() < 2.0**30
    assert 0 < trainer.stepper.skipped < trainer.progress.step


def test_a_gradient_that_no_scale_helps_is_the_end(tmp_path: Path) -> None:
    every = set(range(1, 200))
    trainer = spoilt_trainer(tmp_path, every, GradientSpoiler(), precision="fp16", epochs=40)
    assert trainer.fit().reason == "failed"
    assert the_event(trainer, "nonfinite")["what"] == "gradient"
    assert trainer.precision.scaler.get_scale() <= LEAST_SCALE  # type: ignore[union-attr]
