"""Diagnostics take their share of a training's time and no more; losses are never left out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from dlcore.series import read
from dlcore.training.diagnostics import FREE, SHARE, Diagnostics
from dlcore.training.trainer import Trainer
from dlcore.training.vitals import Vitals
from tests.core.training.small import events, make_trainer


class Clock:
    """Stands still unless told, or asked while something is being computed."""

    def __init__(self) -> None:
        self.now = 0.0
        self.each = 0.0

    def __call__(self) -> float:
        self.now += self.each
        return self.now


def made(tmp_path: Path, record_seconds: float = 0.25) -> tuple[Trainer, Diagnostics, Clock]:
    trainer, clock = make_trainer(tmp_path), Clock()
    vitals = Vitals(torch.device("cpu"), record_seconds, clock)
    return trainer, Diagnostics(nn.Linear(2, 2), vitals, record_seconds, clock, inside=True), clock


def examine(diagnostics: Diagnostics, trainer: Trainer, clock: Clock, each: float) -> None:
    """Examines a step, each look at the clock taking so long."""
    clock.each = each
    diagnostics.before_step()
    diagnostics.after_step()
    diagnostics.points(trainer.stepper)
    clock.each = 0.0


def test_they_take_their_share_of_the_time(tmp_path: Path) -> None:
    trainer, diagnostics, clock = made(tmp_path)
    costs: list[float] = []
    pay = diagnostics._pay

    def noted(cost: float) -> None:
        costs.append(cost)
        pay(cost)

    diagnostics._pay = noted  # type: ignore[method-assign]
    while clock.now < 100.0:
        if diagnostics.affordable():
            examine(diagnostics, trainer, clock, 1e-3)
        clock.now += 0.01
    assert 0.8 * SHARE < sum(costs[FREE:]) / 100.0 <= SHARE


def test_the_first_ones_are_free(tmp_path: Path) -> None:
    trainer, diagnostics, clock = made(tmp_path)
    for _ in range(FREE):
        assert diagnostics.affordable()
        examine(diagnostics, trainer, clock, 10.0)
    assert not diagnostics.affordable()


def test_one_slow_one_says_little_of_the_next(tmp_path: Path) -> None:
    trainer, diagnostics, clock = made(tmp_path)
    examine(diagnostics, trainer, clock, 1e-4)
    usual = diagnostics.next_due - clock.now
    examine(diagnostics, trainer, clock, 10.0)
    assert diagnostics.next_due - clock.now == pytest.approx(usual)


def test_an_interval_that_is_asked_for_is_kept(tmp_path: Path) -> None:
    trainer, diagnostics, clock = made(tmp_path, record_seconds=0.01)
    for _ in range(FREE + 3):
        examine(diagnostics, trainer, clock, 10.0)
        assert diagnostics.affordable()


def test_an_epoch_too_short_for_them_has_its_losses_all_the_same(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, record_seconds=1000.0, epochs=FREE + 8)
    pay = trainer.diagnostics._pay
    trainer.diagnostics._pay = lambda _: pay(1000.0)  # type: ignore[method-assign]
    trainer.fit()
    folder = trainer.recorder.run.metrics_path
    ends = [5 * epoch for epoch in range(1, FREE + 9)]
    assert read(folder, "train/accuracy").step.tolist() == [*ends[:FREE], ends[-1]]
    assert read(folder, "train/loss").step.tolist() == list(range(1, ends[-1] + 1))
    losses = read(folder, "train/loss").value.reshape(-1, 5).mean(1).tolist()
    told = [event["metrics"]["train/loss"] for event in events(trainer, "epoch")]
    assert told == pytest.approx(losses)
