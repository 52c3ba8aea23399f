"""Schedules are functions of the step; those that torch knows, too, agree with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from dlcore.registry import SCHEDULERS
from dlcore.training.schedules import Constant, Cosine, Linear, MultiStep, OneCycle, Plateau, Schedule, Step

STEPS, PER_EPOCH = 60, 6


def course(schedule: Schedule, steps: int = STEPS) -> list[float]:
    return [schedule.factor(step, steps, PER_EPOCH) for step in range(steps)]


def torchs(make: Callable[[torch.optim.Optimizer], Any]) -> list[float]:
    """The learning rates that torch's own scheduler gives, for a rate of 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


TWINS: dict[str, tuple[Schedule, Callable[[torch.optim.Optimizer], Any]]] = {
    "step": (
        Step(every=2, gamma=0.5),
        lambda optimizer: lr_scheduler.StepLR(optimizer, 2 * PER_EPOCH, 0.5),
    ),
    "multistep": (
        MultiStep(milestones=(1, 4, 7), gamma=0.3),
        lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [PER_EPOCH, 4 * PER_EPOCH, 7 * PER_EPOCH], 0.3),
    ),
    "cosine": (
        Cosine(final=0.1),
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, STEPS, eta_min=0.1),
    ),
    "linear": (
        Linear(final=0.2),
        lambda optimizer: lr_scheduler.LinearLR(optimizer, 1.0, 0.2, total_iters=STEPS),
    ),
    "onecycle": (
        OneCycle(rise=0.25, initial=0.04, final=4e-6),
        lambda optimizer: lr_scheduler.OneCycleLR(
            optimizer, 1.0, total_steps=STEPS + 1, pct_start=0.25, div_factor=25, final_div_factor=1e4,
            cycle_momentum=False,
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TWINS)
def test_it_agrees_with_torch(name: str) -> None:
    ours, theirs = TWINS[name]
    tolerance = 0.06 if name == "onecycle" else 1e-9  # torch lets its cycle end one step later
    assert course(ours) == pytest.approx(torchs(theirs), abs=tolerance)


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_every_schedule_stays_between_nought_and_one(name: str) -> None:
    schedule = SCHEDULERS.entry(name).build()
    for steps in (1, 2, 3, STEPS):
        factors = course(schedule, steps)
        assert all(0 < factor <= 1 or factor == pytest.approx(0, abs=1e-9) for factor in factors)
        assert max(factors) > 0


@pytest.mark.parametrize("name", [name for name in SCHEDULERS.names() if name != "plateau"])
def test_every_other_schedule_keeps_no_state(name: str) -> None:
    schedule = SCHEDULERS.entry(name).build()
    before = course(schedule)
    schedule.observe(1.0, True)
    assert schedule.state_dict() == {}
    assert course(schedule) == before


@pytest.mark.parametrize("kind", [Constant, Linear, Cosine])
def test_a_warm_up_rises_in_equal_steps(kind: Any) -> None:
    factors = course(kind(warmup_steps=4))
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[5] <= 1.0


def test_one_cycle_ends_where_it_should() -> None:
    factors = course(OneCycle(rise=0.3, initial=0.04, final=4e-6))
    assert factors[0] == pytest.approx(0.04)
    assert max(factors) == pytest.approx(1.0, abs=0.01)
    assert factors[-1] == pytest.approx(4e-6)
    assert factors.index(max(factors)) == pytest.approx(0.3 * STEPS, abs=1)


def test_beyond_the_end_the_last_factor_stays() -> None:
    for schedule in (Linear(final=0.2), Cosine(final=0.2), OneCycle(final=0.2)):
        assert schedule.factor(STEPS + 10, STEPS, PER_EPOCH) == pytest.approx(0.2)


# Reduce on plateau


@pytest.mark.parametrize("falling", [True, False])
def test_plateau_agrees_with_torch(falling: bool) -> None:
    values = [5.0, 4.0, 4.0, 4.5, 4.0, 3.0, 3.0, math.nan, 3.5, 3.0, 3.0, 2.0, 2.5, 2.5, 2.5, 2.5]
    values = values if falling else [-value for value in values]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = lr_scheduler.ReduceLROnPlateau(
        optimizer, "min" if falling else "max", factor=0.5, patience=2, threshold=0.0, eps=0.0
    )
    ours = Plateau(patience=2, gamma=0.5)
    for value in values:
        theirs.step(value)
        ours.observe(value, falling)
        assert ours.factor(0, STEPS, PER_EPOCH) == optimizer.param_groups[0]["lr"]
    assert ours.current < 0.5


def test_plateau_never_falls_below_its_least() -> None:
    schedule = Plateau(patience=0, gamma=0.1, min_factor=0.03)
    for _ in range(9):
        schedule.observe(1.0, True)
    assert schedule.factor(0, 1, 1) == 0.03


def test_a_little_better_is_not_better() -> None:
    schedule = Plateau(patience=0, gamma=0.5, min_delta=0.1)
    schedule.observe(1.0, True)
    schedule.observe(0.95, True)
    assert schedule.current == 0.5


def test_plateau_goes_on_from_its_state() -> None:
    values = [3.0, 3.0, 3.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    whole = Plateau(patience=1, gamma=0.5)
    for cut in range(len(values)):
        whole = Plateau(patience=1, gamma=0.5)
        first, second = Plateau(patience=1, gamma=0.5), Plateau(patience=1, gamma=0.5)
        for value in values[:cut]:
            first.observe(value, True)
        second.load_state_dict(first.state_dict())
        for value in values[cut:]:
            second.observe(value, True)
        for value in values:
            whole.observe(value, True)
        assert vars(second) == vars(whole)
