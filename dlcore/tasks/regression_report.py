"""What an evaluation says of predicted numbers: their errors, how these are spread, and the largest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dlcore.data.spec import Batch
from dlcore.training.report import Report, Section, Worst, bars, points, table

LARGEST = 20
BARS = 21
SHOWN_POINTS = 500


class RegressionReport(Report):
    """All targets and predictions are kept: two numbers a sample and output.

    Args:
        names: of the outputs.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._targets: list[Tensor] = []
        self._predictions: list[Tensor] = []
        self._index: list[Tensor] = []

    def update(self, outputs: Tensor, batch: Batch) -> None:
        """Add predictions, (batch, outputs), in the data's units."""
        self._targets.append(batch.targets.detach().double().cpu())
        self._predictions.append(outputs.detach().double().cpu())
        self._index.append(batch.index)

    def sections(self) -> dict[str, Section]:
        """Errors by output, residuals as a histogram and against the prediction, the largest errors."""
        if not self._targets:
            return {}
        targets, predictions, index = (
            torch.cat(each) for each in (self._targets, self._predictions, self._index)
        )
        known = (predictions.isfinite() & targets.isfinite()).all(1)
        lost = int((~known).sum())
        if lost == len(known):
            return {}
        targets, predictions, index = targets[known], predictions[known], index[known]
        errors = predictions - targets  # (samples, outputs)
        found: dict[str, Section] = {"errors": self._errors(targets, errors)}
        if lost:
            found["errors"]["note"] += f"; {lost:,} samples without a finite number are left out"
        for at, name in enumerate(self.names):
            suffix = "" if len(self.names) == 1 else f"_{at}"
            found[f"residuals{suffix}"] = histogram(f"residuals of {name}", errors[:, at])
            found[f"against{suffix}"] = _against(name, predictions[:, at], errors[:, at])
        found["mistakes"] = self._largest(targets, predictions, errors, index)
        return found

    def _errors(self, targets: Tensor, errors: Tensor) -> Section:
        rows = []
        for at, name in enumerate(self.names):
            error, target = errors[:, at], targets[:, at]
            middle, most = np.quantile(
                error.abs().numpy(), [0.5, 0.95]
            ).tolist()  # torch's takes no long ones
            spread = float((target - target.mean()).square().sum())
            r2 = 1 - float(error.square().sum()) / spread if spread > 0 else None
            rows.append((
                name, float(error.mean()), float(error.abs().mean()), float(error.square().mean().sqrt()),
                r2, middle, most,
            ))  # fmt: skip
        columns = ("output", "bias", "mae", "rmse", "r2", "half within", "95 % within")
        return table("errors", columns, rows, note="bias: mean of prediction less truth")

    def _largest(self, targets: Tensor, predictions: Tensor, errors: Tensor, index: Tensor) -> Section:
        scaled = errors.abs() / errors.square().mean(0).sqrt().clamp(min=1e-300)
        score, output = scaled.max(1)  # the output that is worst, by its own usual error
        worst = Worst(LARGEST)
        picked = [each.gather(1, output[:, None])[:, 0] for each in (targets, predictions, errors)]
        worst.add(score, index, output, *picked)
        several = len(self.names) > 1
        rows = [
            (index, *((self.names[output],) if several else ()), *numbers)
            for index, output, *numbers in worst.rows()
        ]
        columns = ("sample", *(("output",) if several else ()), "true", "predicted", "error")
        return table("largest errors", columns, rows, of_samples=True)


def histogram(title: str, values: Tensor) -> Section:
    """How often values fall between even limits, labelled by the middle between two."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return bars(title, [f"{low:.4g}"], [len(values)])
    counts = torch.histc(values, BARS, low, high).tolist()
    width = (high - low) / BARS
    return bars(title, [f"{low + (at + 0.5) * width:.4g}" for at in range(BARS)], counts)


def _against(name: str, predictions: Tensor, errors: Tensor) -> Section:
    shown = torch.linspace(0, len(errors) - 1, min(len(errors), SHOWN_POINTS)).round().long()
    x, y = predictions[shown].tolist(), errors[shown].tolist()
    note = "no shape should be left: a bow or a funnel is something the model has not learnt"
    return points(f"residuals of {name} against its prediction", "predicted", "residual", x, y, note=note)
