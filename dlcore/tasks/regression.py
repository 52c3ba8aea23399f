"""Regression: numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.fields import Positive
from dlcore.registry import TASKS
from dlcore.tasks.fitting import require_shape
from dlcore.tasks.regression_report import RegressionReport
from dlcore.training.report import Report
from dlcore.training.task import Metrics, Task

LOSSES: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}


@TASKS.register("regression", targets=("number",))
class Regression(Task):
    """Numbers, learnt on a standardised scale and reported in the units of the data.

    Args:
        loss: squared error, absolute error, or Huber's mixture of both.
        delta: where Huber's loss turns from squared to absolute, in standard deviations of the target.
    """

    monitor = "val/rmse"
    monitor_mode = "min"

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        loss: Literal["mse", "mae", "huber"] = "mse",
        delta: Positive = 1.0,
    ) -> None:
        super().__init__(model, spec)
        self._loss = LOSSES[loss]
        self._options = {"delta": delta} if loss == "huber" else {}
        self.scale = torch.tensor(spec.target_scale or [1.0] * spec.num_outputs)
        self.offset = torch.tensor(spec.target_offset or [0.0] * spec.num_outputs)

    def loss(self, batch: Batch, phase: str) -> tuple[Tensor, Tensor]:
        """Mean loss, (), on the standardised scale, and predictions, (batch, outputs), in the data's units."""
        if self.scale.device != batch.targets.device:
            self.scale, self.offset = (
                self.scale.to(batch.targets.device),
                self.offset.to(batch.targets.device),
            )
        standardised = self.model(batch.inputs)
        require_shape(standardised, batch.targets.shape, self.model, "a number for each target of a sample")
        goal = (batch.targets - self.offset) / self.scale
        loss = self._loss(standardised, goal.to(standardised.dtype), **self._options)
        return loss, standardised.detach() * self.scale + self.offset

    def metrics(self) -> Metrics:
        """Loss, MAE, RMSE and R²."""
        return RegressionMetrics()

    def answers(self, inputs: Tensor) -> list[dict[str, Any]]:
        """The number in the data's units; by name where there are several."""
        offset, scale = self.offset.to(inputs.device), self.scale.to(inputs.device)
        rows = (self.model(inputs).float() * scale + offset).tolist()
        if len(self.names) == 1:
            return [{"prediction": row[0]} for row in rows]
        return [{"prediction": dict(zip(self.names, row, strict=True))} for row in rows]

    def answer_units(self) -> dict[str, Any]:
        """The training part's spread and mean."""
        return {"scale": self.scale.tolist(), "offset": self.offset.tolist(), "log": False}

    def verdicts(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """How far off, by the output that is furthest in its own standard deviations."""
        return {"error": ((outputs - batch.targets).abs() / self.scale.to(outputs.device)).amax(1)}

    def report(self) -> Report:
        """Errors of each output, their spread, and the largest."""
        return RegressionReport(self.names)

    @property
    def names(self) -> list[str]:
        """Of the outputs; numbered where the data gives no names."""
        return list(self.spec.target_names) or [f"output {at + 1}" for at in range(self.spec.num_outputs)]

    def samples(self, batch: Batch, outputs: Tensor) -> list[dict[str, Any]]:
        """True and predicted numbers of every sample."""
        return [
            {"index": int(index), "target": target, "prediction": prediction}
            for index, target, prediction in zip(
                batch.index, batch.targets.tolist(), outputs.tolist(), strict=True
            )
        ]


class RegressionMetrics(Metrics):
    """Sums of errors over (batch, outputs) predictions; several outputs are averaged."""

    def __init__(self) -> None:
        self._count = 0
        self._sums: Tensor | None = None  # (5, outputs): |e|, e², y, y², and the loss spread over the outputs
        self._origin: Tensor | None = None

    def update(self, loss: Tensor, outputs: Tensor, batch: Batch) -> None:
        """Add a batch. Targets are shifted by the first batch's mean: y² would cancel badly far from 0."""
        targets = batch.targets.double()
        if self._origin is None:
            self._origin = targets.mean(0)
        errors, shifted = outputs.double() - targets, targets - self._origin
        losses = loss.detach().double().expand(errors.shape[1]) * len(errors)
        sums = torch.stack(
            [errors.abs().sum(0), errors.square().sum(0), shifted.sum(0), shifted.square().sum(0), losses]
        )
        self._sums = sums if self._sums is None else self._sums + sums
        self._count += len(errors)

    def compute(self) -> dict[str, float]:
        """R² is 1 - residual / total sum of squares, averaged over the outputs, as scikit-learn has it."""
        if self._sums is None:
            return {}
        absolute, squared, total, total_squared, losses = self._sums.cpu()
        spread = total_squared - total.square() / self._count
        r2 = torch.where(spread > 0, 1 - squared / spread.clamp(min=1e-300), torch.zeros(()).double())
        return {
            "loss": float(losses.mean()) / self._count,
            "mae": float(absolute.mean()) / self._count,
            "rmse": float((squared.mean() / self._count).sqrt()),
            "r2": float(r2.mean()),
        }
