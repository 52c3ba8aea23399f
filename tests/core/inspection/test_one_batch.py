"""Learning one batch by heart: what it says, and that it takes no longer than it may."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.inspection.examination import one_batch as module
from dlcore.inspection.examination.one_batch import FEWEST_STEPS, Time, one_batch
from dlcore.tasks.classification import Classification
from dlcore.training.task import Task

SPEC = DataSpec(input="vector", input_shape=(6,), target="class", num_outputs=3)


class Blind(nn.Module):
    """Answers with what it was given to learn, whatever goes in."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = nn.Linear(6, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.answer(inputs * 0)


def batch() -> Batch:
    inputs = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    return Batch(inputs, torch.arange(6) % 3, torch.arange(6))


def sgd(rate: float) -> module.Make:
    return lambda task: torch.optim.SGD(task.model.parameters(), lr=rate)


class Clock(Time):
    """So much of the time goes each time that it is asked."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share, self.asked = share, 0

    @property
    def spent(self) -> float:  # type: ignore[override]
        self.asked += 1
        return self.share * self.asked


def task_of(model: nn.Module) -> Task:
    torch.manual_seed(0)
    return Classification(model, SPEC)


def test_a_network_that_learns_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    assert one_batch(task_of(model), batch(), sgd(0.5))["learnt"]
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_one_whose_rate_is_too_low_is_rescued() -> None:
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))
    found = one_batch(task_of(model), batch(), sgd(1e-6))
    assert (found["learnt"], found["rescued_by"]) == (False, 0.01)


def test_one_that_cannot_learn_is_tried_with_three_optimizers() -> None:
    told: list[str] = []
    found = one_batch(task_of(Blind()), batch(), sgd(0.5), told.append)
    assert (found["learnt"], found["cut"], found["steps"]) == (False, False, 199)
    assert len([line for line in told if "step 195 " in line]) == 3


@pytest.mark.parametrize(("share", "steps"), [(1.5 / FEWEST_STEPS, 3), (0.01, 100)])
def test_all_tries_together_end_in_time(share: float, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Time", lambda: Clock(share))
    found = one_batch(task_of(Blind()), batch(), sgd(0.5))
    assert (found["cut"], found["steps"]) == (True, steps)
