"""Forecasting: the next values of a series, judged beside forecasts that need no learning."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.errors import UserError
from dlcore.registry import TASKS
from dlcore.tasks.fitting import require_shape
from dlcore.tasks.forecast_plot import plot
from dlcore.tasks.forecast_report import ForecastReport
from dlcore.tasks.regression import LOSSES
from dlcore.tasks.sums import Means
from dlcore.training.around import Around
from dlcore.training.report import Report
from dlcore.training.task import Metrics, Task


@TASKS.register("forecasting")
class Forecasting(Task):
    """The next values of a time series, reported in its own units.

    ``rmse_last`` is the error of "it stays as it is", ``rmse_season`` that of "as a season ago"; ``skill`` is
    the share of the better one's error that the model takes away: 0 has learnt nothing, 1 is perfect.

    Args:
        loss: squared error, absolute error, or Huber's mixture of both, of the standardised values.
        relative: show the window and ask for the forecast as changes against the last value: a level never seen
            before then makes no difference.
    """

    monitor = "val/rmse"
    monitor_mode = "min"

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        loss: Literal["mse", "mae", "huber"] = "mse",
        relative: bool = True,
    ) -> None:
        super().__init__(model, spec)
        facts = spec.preprocessing
        if facts.get("kind") != "series":
            raise UserError("forecasting needs a time series, but the data is none; try data.name = series")
        self._loss, self.relative = LOSSES[loss], relative
        self.mean, self.std, self.log = facts["mean"][0], facts["std"][0], facts["log"]
        self.season, self.horizon = facts["season"], facts["horizon"]

    def loss(self, batch: Batch, phase: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss of the standardised values, (), and forecasts (batch, horizon) in the series' units."""
        inputs = batch.inputs  # (batch, window, features), the series itself the first feature
        last = inputs[:, -1:, 0]  # (batch, 1)
        standardised = self._forecast(inputs)
        require_shape(standardised, batch.targets.shape, self.model, "a number for each step ahead")
        loss = self._loss(standardised, self._standardised(batch.targets).to(standardised.dtype))
        outputs = {"forecast": self._in_units(standardised.detach()), "last": self._in_units(last)}
        if self.season:
            start = inputs.shape[1] - self.season
            rows = [start + step % self.season for step in range(self.horizon)]
            outputs["season"] = self._in_units(inputs[:, rows, 0])
        return loss, outputs

    def _forecast(self, inputs: Tensor) -> Tensor:
        """Standardised forecasts, (batch, horizon)."""
        answer: Tensor = relative_forecast(self.model, inputs) if self.relative else self.model(inputs)
        return answer

    def _standardised(self, values: Tensor) -> Tensor:
        return ((values.log() if self.log else values) - self.mean) / self.std

    def _in_units(self, standardised: Tensor) -> Tensor:
        values = standardised.float() * self.std + self.mean
        return values.exp() if self.log else values

    def metrics(self) -> Metrics:
        """Loss, MAE, RMSE, those of the forecasts that need no learning, and the skill against them."""
        return ForecastErrors()

    def verdicts(self, outputs: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """How far off over all steps ahead."""
        return {"error": (outputs["forecast"] - batch.targets).abs().mean(1)}

    def report(self) -> Report:
        """Errors of each step ahead, their spread, and the largest."""
        return ForecastReport(self.names)

    @property
    def names(self) -> list[str]:
        """Of the steps ahead."""
        return list(self.spec.target_names) or [f"+{step}" for step in range(1, self.horizon + 1)]

    def answers(self, inputs: Tensor) -> list[dict[str, Any]]:
        """The values that follow each window, in the series' units; by step where there are several."""
        rows = self._in_units(self._forecast(inputs)).tolist()
        if self.horizon == 1:
            return [{"prediction": row[0]} for row in rows]
        return [{"prediction": dict(zip(self.names, row, strict=True))} for row in rows]

    def exported(self, inputs: Tensor) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """The network with the window made relative before it and the level added after it."""
        return RelativeForecaster(self.model) if self.relative else self.model, (inputs,)

    def answer_units(self) -> dict[str, Any]:
        """Every step ahead has the series' own scale."""
        return {"scale": [self.std] * self.horizon, "offset": [self.mean] * self.horizon, "log": self.log}

    def samples(self, batch: Batch, outputs: dict[str, Tensor]) -> list[dict[str, Any]]:
        """True and forecast values; over several steps as a small plot behind the past."""
        past = self._in_units(batch.inputs[:, :, 0])
        rows = zip(batch.index, past, batch.targets, outputs["forecast"], strict=True)
        if self.horizon == 1:
            return [
                {"index": int(index), "target": truth.tolist(), "prediction": forecast.tolist()}
                for index, _, truth, forecast in rows
            ]
        return [
            {"index": int(index), "text": plot(before.tolist(), truth.tolist(), forecast.tolist())}
            for index, before, truth, forecast in rows
        ]


def relative_forecast(model: nn.Module, inputs: Tensor) -> Tensor:
    """Forecasts of a model that is shown changes against the last value, and answers with such: (batch, horizon)."""
    last = inputs[:, -1:, 0]  # (batch, 1)
    change = (inputs[:, :, :1] - last[:, :, None], inputs[:, :, 1:])
    forecast: Tensor = model(torch.cat(change, dim=2)) + last
    return forecast


class RelativeForecaster(Around):
    """Standardised windows (batch, window, features) to standardised forecasts (batch, horizon)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """The same as in the training."""
        return relative_forecast(self.core, inputs)


class ForecastErrors(Means):
    """Errors in the series' units, averaged over the horizon."""

    def figures(self, outputs: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Absolute and squared errors of every sample, (batch,) each."""
        errors = {name: outputs[name].double() - batch.targets for name in outputs}
        squared = {f"rmse_{name}": error.square().mean(1) for name, error in errors.items()}
        return {"mae": errors["forecast"].abs().mean(1), **squared}

    def compute(self) -> dict[str, float]:
        """Root mean squares, and the skill."""
        means = super().compute()
        if not means:
            return {}
        roots = {name: value**0.5 for name, value in means.items() if name.startswith("rmse")}
        model = roots.pop("rmse_forecast")
        best = min(roots.values())
        skill = 1 - model / best if best > 0 else 0.0
        return {"loss": means["loss"], "mae": means["mae"], "rmse": model, **roots, "skill": skill}
