"""When a training is looked into: what is promised, what it may cost, and that it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dlcore.inspection.looking import look_inside
from dlcore.series import read
from dlcore.training.checkpoints import CheckpointFolder
from dlcore.training.looks import affordable_samples
from dlcore.training.progress import restore
from dlcore.training.trainer import Trainer
from tests.core.training.small import assert_same, close_all, events, final_state, make_trainer


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    close_all()


class Seen:
    """Notes why and when it was asked to look."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.looks: list[tuple[int, str]] = []
        self.seconds = seconds

    def __call__(self, trainer: Trainer, why: str) -> str:
        self.looks.append((trainer.progress.step, why))
        trainer.clock = Late(trainer.clock, self.seconds)
        return "x"


class Late:
    """A clock put forward: what was done took so long."""

    def __init__(self, clock: Any, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def __call__(self) -> float:
        return float(self.clock()) + self.seconds


def test_an_interval_is_kept_whatever_it_costs(tmp_path: Path) -> None:
    seen = Seen(seconds=100.0)
    make_trainer(tmp_path, epochs=5, inspect=seen, inspection={"every_epochs": 2, "share": 0.0}).fit()
    assert seen.looks == [(10, "interval"), (20, "interval")]


def test_the_first_and_the_last_step_are_always_seen(tmp_path: Path) -> None:
    seen = Seen(seconds=100.0)
    make_trainer(tmp_path, epochs=3, inspect=seen, inspection={"share": 0.01}).fit()
    assert seen.looks == [(0, "first"), (15, "last")]


def test_the_best_steps_are_seen_where_looking_is_cheap(tmp_path: Path) -> None:
    seen = Seen()
    make_trainer(tmp_path, epochs=3, inspect=seen, inspection={"share": 0.9}).fit()
    assert (5, "best") in seen.looks


@pytest.mark.parametrize("cost", [0.004, 0.03, 0.2])
def test_all_looks_together_keep_to_their_share(tmp_path: Path, cost: float) -> None:
    now = [0.0]

    def take(trainer: Trainer, why: str) -> str:
        now[0] += cost
        return "x"

    trainer = make_trainer(tmp_path, inspect=take, inspection={"share": 0.01})
    trainer.clock, trainer._started = (lambda: now[0]), 0.0
    looks = trainer.looks
    looks.at_start(trainer)
    for _ in range(2000):
        now[0] += 0.05
        looks.at_record(trainer)
    looks.at_epoch_end(trainer, better=True, over=True)
    best = cost  # is made when the training is over
    assert looks.spent + best <= 0.01 * trainer.seconds


@pytest.mark.parametrize(
    ("examined", "passes", "count"),
    [(0.01, 10.0, 64), (1.0, 100_000.0, 64), (1.0, 500.0, 30), (1.0, 10.0, 16)],
)
def test_short_trainings_of_large_networks_are_looked_at_by_fewer_samples(
    examined: float, passes: float, count: int
) -> None:
    assert affordable_samples(64, examined, passes, 0.01) == count


def test_early_stopping_ends_with_a_last_look(tmp_path: Path) -> None:
    seen = Seen(seconds=100.0)
    make_trainer(
        tmp_path, epochs=50, patience=1, min_delta=9.0, inspect=seen, inspection={"share": 0.01}
    ).fit()
    assert seen.looks[-1][1] == "last"
    assert seen.looks[-1][0] < 50 * 5


def test_switched_off_nothing_looks_and_nothing_is_compared(tmp_path: Path) -> None:
    seen = Seen()
    trainer = make_trainer(tmp_path, inspect=seen, inspection={"share": 0.0})
    trainer.fit()
    assert seen.looks == []
    assert trainer.diagnostics.updates is None


def look(trainer: Trainer, why: str) -> str:
    batch = next(iter(trainer.val.epoch(0)))
    return str(len(look_inside(trainer.task, batch, trainer.precision).facts["layers"]))


ALWAYS = {"every_epochs": 1, "share": 0.99}
EVERYTHING: dict[str, Any] = {"ema": 0.9, "clip_norm": 1.0, "record_seconds": 1e-9}


def test_a_training_that_is_looked_into_ends_with_the_same_bits(tmp_path: Path) -> None:
    looked = make_trainer(tmp_path, inspect=look, inspection=ALWAYS, **EVERYTHING)
    looked.fit()
    plain = make_trainer(tmp_path, name="plain", **EVERYTHING)
    plain.fit()
    assert_same(final_state(looked), final_state(plain))
    losses = [read(each.recorder.run.metrics_path, "train/loss").value.tolist() for each in (looked, plain)]
    assert losses[0] == losses[1]


def test_the_update_ratio_is_what_the_step_did(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, inspect=look, inspection=ALWAYS, record_seconds=1e-9)
    weight = next(trainer.task.model.parameters())
    seen: list[tuple[float, float]] = []
    step = trainer.stepper.step

    def stepped(*args: Any) -> None:
        before = weight.detach().clone()
        step(*args)
        seen.append((float((weight.detach() - before).norm() / before.norm()), 0.0))

    trainer.stepper.step = stepped  # type: ignore[method-assign]
    trainer.fit()
    assert trainer.diagnostics.updates is not None
    assert trainer.diagnostics.updates.ratios["0.weight"] == pytest.approx(seen[-1][0], rel=1e-5)
    curve = read(trainer.recorder.run.metrics_path, "train/update_ratio")
    assert len(curve.step) == len(seen)
    assert torch.isfinite(torch.tensor(curve.value)).all()


def test_a_look_that_fails_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(trainer: Trainer, why: str) -> str:
        raise ValueError("no such layer")

    trainer = make_trainer(tmp_path, inspect=broken, inspection={"every_epochs": 1})
    assert trainer.fit().reason == "epochs"
    assert len(events(trainer, "warning")) == 1
    capsys.readouterr()


@pytest.mark.parametrize("stop_after", [3, 5, 7])
def test_a_resumed_training_that_is_looked_into_ends_as_one_that_never_stopped_nor_was(
    tmp_path: Path, stop_after: int
) -> None:
    looking = {"inspect": look, "inspection": ALWAYS, **EVERYTHING}
    assert make_trainer(tmp_path, stop_after=stop_after, **looking).fit().reason == "stopped"
    resumed = make_trainer(tmp_path, **looking)
    checkpoint = CheckpointFolder(tmp_path / "run" / "checkpoints").newest()
    assert checkpoint is not None
    restore(resumed, checkpoint)
    resumed.fit()
    plain = make_trainer(tmp_path, name="plain", **EVERYTHING)
    plain.fit()
    assert_same(final_state(resumed), final_state(plain))
