"""Forecasts in the units of the series, judged beside those that need no learning."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.errors import UserError
from dlcore.registry import TASKS
from dlcore.tasks.forecast_plot import plot
from dlcore.tasks.forecasting import Forecasting

MEAN, STD = 50.0, 10.0


def make_task(
    model: nn.Module, horizon: int = 1, season: int = 0, log: bool = False, **options: Any
) -> Forecasting:
    mean, std = (math.log(50), 0.5) if log else (MEAN, STD)
    facts = {
        "kind": "series", "window": 4, "horizon": horizon, "season": season, "log": log,
        "mean": [mean], "std": [std],
    }  # fmt: skip
    spec = DataSpec("sequence", (4, 1), "number", horizon, preprocessing=facts)
    task = TASKS.build("forecasting", model, spec, **options)
    assert isinstance(task, Forecasting)
    return task


def make_batch(rows: list[list[float]], targets: list[list[float]], log: bool = False) -> Batch:
    values = torch.tensor(rows)
    inputs = (values.log() - math.log(50)) / 0.5 if log else (values - MEAN) / STD
    return Batch(inputs[:, :, None], torch.tensor(targets), torch.arange(len(rows)))


class Answers(nn.Module):
    """Always the same numbers, and remembers what it was shown."""

    def __init__(self, *numbers: float) -> None:
        super().__init__()
        self.numbers = torch.tensor(numbers)
        self.seen = torch.zeros(0)

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen = inputs
        return self.numbers.expand(len(inputs), -1)


def figures(task: Forecasting, *batches: Batch) -> dict[str, float]:
    metrics = task.metrics()
    for batch in batches:
        metrics.update(*task.loss(batch, "main"), batch)
    return metrics.compute()


@pytest.mark.parametrize("log", [False, True])
def test_no_change_is_the_forecast_that_it_stays_as_it_is(log: bool) -> None:
    task = make_task(Answers(0.0), log=log)
    _, outputs = task.loss(make_batch([[40, 50, 60, 70]], [[80]], log), "main")
    torch.testing.assert_close(outputs["forecast"], torch.tensor([[70.0]]))
    torch.testing.assert_close(outputs["last"], torch.tensor([[70.0]]))


def test_relative_windows_look_alike_at_every_level() -> None:
    model = Answers(0.0)
    make_task(model).loss(make_batch([[40, 50, 60, 70], [140, 150, 160, 170]], [[0], [0]]), "main")
    torch.testing.assert_close(model.seen[0], model.seen[1])
    assert model.seen[0, -1] == 0


def test_absolute_windows_do_not() -> None:
    model = Answers(2.0)
    task = make_task(model, relative=False)
    batch = make_batch([[40, 50, 60, 70]], [[80]])
    _, outputs = task.loss(batch, "main")
    assert torch.equal(model.seen, batch.inputs)
    torch.testing.assert_close(outputs["forecast"], torch.tensor([[MEAN + 2 * STD]]))


def test_errors_are_in_units_of_the_series_and_exact_for_unequal_batches() -> None:
    task = make_task(Answers(0.0), season=4)
    batches = [
        make_batch([[1, 0, 0, 10], [4, 0, 0, 20]], [[13], [24]]),  # errors of last: 3, 4; of season: 12, 20
        make_batch([[30, 0, 0, 30]], [[30]]),  # 0 and 0
    ]
    results = figures(task, *batches)
    assert results["rmse"] == results["rmse_last"] == pytest.approx(math.sqrt((9 + 16) / 3), rel=1e-5)
    assert results["mae"] == pytest.approx(7 / 3, rel=1e-5)
    assert results["rmse_season"] == pytest.approx(math.sqrt((144 + 400) / 3), rel=1e-5)
    assert results["loss"] == pytest.approx((0.3**2 + 0.4**2) / 3, rel=1e-5)
    assert results["skill"] == pytest.approx(0, abs=1e-5), "it does as well as the better of the two"


def test_the_season_repeats_over_a_long_horizon() -> None:
    task = make_task(Answers(*[0.0] * 5), horizon=5, season=2)
    _, outputs = task.loss(make_batch([[1, 2, 3, 4]], [[0] * 5]), "main")
    torch.testing.assert_close(outputs["season"], torch.tensor([[3.0, 4, 3, 4, 3]]))


def test_a_perfect_forecast_has_skill_1() -> None:
    task = make_task(Answers(1.0))
    assert figures(task, make_batch([[40, 50, 60, 70]], [[80]]))["skill"] == pytest.approx(1, abs=1e-5)


def test_a_single_step_is_a_number_and_more_are_a_plot() -> None:
    for horizon in (1, 3):
        task = make_task(Answers(*[0.0] * horizon), horizon=horizon)
        batch = make_batch([[40, 50, 60, 70]], [[80.0] * horizon])
        _, outputs = task.loss(batch, "main")
        (sample,) = task.samples(batch, outputs)
        if horizon == 1:
            assert sample["target"] == [80] and sample["prediction"] == [pytest.approx(70)]
        else:
            assert sample["text"].count("o") >= 3


def test_a_plot_puts_high_values_high() -> None:
    rows = plot([0, 5], [10, 0], [10, 5]).split("\n")
    assert rows[0].endswith("┤  *") and rows[8].endswith("┤·  o")
    assert rows[4].endswith("┤ · x")
    assert rows[0].startswith("10") and rows[8].startswith(" 0")


def test_a_flat_series_has_a_plot() -> None:
    assert plot([1.0], [1.0], [1.0]).count("*") == 2  # the cell and its explanation


def test_data_that_is_no_series_is_a_sentence() -> None:
    with pytest.raises(UserError, match="needs a time series"):
        TASKS.build("forecasting", nn.Linear(3, 1), DataSpec("vector", (3,), "number", 1))
