"""What the loop asks of a learning problem.

A task owns the network and says what is optimised. The loop knows nothing else: no callbacks, no hooks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec


class Phase(NamedTuple):
    """One loss and the modules that its optimizer changes; most tasks have one, a GAN has two."""

    name: str
    modules: tuple[nn.Module, ...]


class Metrics(ABC):
    """Sums over an evaluation, kept on the device; exact for batches of unequal size."""

    @abstractmethod
    def update(self, loss: Tensor, outputs: Tensor, batch: Batch) -> None:
        """Add one batch.

        Args:
            loss: (), the mean over the batch.
            outputs: (batch, num_outputs) as the model gave them.
            batch: what went in.
        """

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """The figures so far, by name without a prefix (``loss``, ``accuracy``)."""

    def details(self) -> dict[str, Any]:
        """Further results as plain data, such as the confusion matrix."""
        return {}


class Task(ABC):
    """One learning problem: its loss, metrics and samples.

    Attributes:
        model: the network; everything with weights is reachable from it.
        spec: the data's shape and meaning.
        phases: what is optimised, in order.
        monitor: the metric that decides which weights are best.
        monitor_mode: whether more or less of it is better.
    """

    monitor: str = "val/loss"
    monitor_mode: Literal["min", "max"] = "min"

    def __init__(self, model: nn.Module, spec: DataSpec) -> None:
        self.model = model
        self.spec = spec
        self.phases: tuple[Phase, ...] = (Phase("main", (model,)),)

    @abstractmethod
    def loss(self, batch: Batch, phase: str) -> tuple[Tensor, Tensor]:
        """Mean loss of a batch, (), and the outputs it was made from."""

    @abstractmethod
    def metrics(self) -> Metrics:
        """Fresh, empty sums."""

    @abstractmethod
    def samples(self, batch: Batch, outputs: Tensor) -> list[dict[str, Any]]:
        """What a person would look at, one plain dict a sample of the batch."""
