"""Metrics that are means over samples."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from dlcore.data.spec import Batch
from dlcore.training.task import Metrics


class Means(Metrics):
    """Sums of per-sample figures, kept on the device.

    Subclasses say in `figures` what a batch gives, by name: (batch,) tensors.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def figures(self, outputs: Any, batch: Batch) -> dict[str, Tensor]:
        """Figures of every sample, (batch,) each; nothing by default: the loss alone."""
        return {}

    def update(self, loss: Tensor, outputs: Any, batch: Batch) -> None:
        """Add a batch."""
        size = len(batch.targets)
        sums = {"loss": loss.detach().double() * size}
        sums |= {name: values.double().sum() for name, values in self.figures(outputs, batch).items()}
        for name, value in sums.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._count += size

    def compute(self) -> dict[str, float]:
        """Means by name."""
        return {name: float(total) / self._count for name, total in self._sums.items()}
