"""Which way a metric is better, and the figures of a single batch."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from dlcore.data.spec import Batch
from dlcore.preset import Training
from dlcore.training.task import Task, as_float

FALLING = ("loss", "error", "mae", "mse", "rmse", "perplexity")


def mode_of(monitor: str, training: Training, task: Task) -> str:
    """``min`` or ``max``; for a metric of the user's choice, less is better when it is a loss or an error."""
    if training.monitor_mode != "auto":
        return training.monitor_mode
    if monitor == task.monitor:
        return task.monitor_mode
    return "min" if monitor.rpartition("/")[2].startswith(FALLING) else "max"


def figures_of(task: Task, loss: Tensor, outputs: Any, batch: Batch) -> dict[str, float]:
    """Metrics of one training batch, by curve."""
    metrics = task.metrics()
    metrics.update(loss.float(), as_float(outputs), batch)
    return {f"train/{name}": value for name, value in metrics.compute().items() if name != "loss"}
