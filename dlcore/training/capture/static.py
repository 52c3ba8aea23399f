"""What changes from step to step while a recorded step reads and writes the same places: rates, batches, losses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dlcore.data.spec import Batch

RING = 1 << 14
"""Losses kept on the device between two records: the steps of half a second at 30 microseconds each."""


def exact(device: torch.device) -> torch.dtype:
    """Numbers that Python hands over: kernels of a GPU read float32, those of the CPU take a Python float's double."""
    return torch.float64 if device.type == "cpu" else torch.float32


class Rates:
    """The learning rates of all groups as tensors, so that a recorded step reads those of now.

    Args:
        groups: of all optimizers, with their ``initial_lr``.
    """

    def __init__(self, groups: list[dict[str, Any]], device: torch.device) -> None:
        self._initial = torch.tensor([group["initial_lr"] for group in groups], dtype=exact(device)).to(
            device
        )
        self._now = self._initial.clone()
        self._factor = 1.0
        for number, group in enumerate(groups):
            group["lr"] = self._now[number]
            if "capturable" in group:  # counts its steps on the device
                group["capturable"] = device.type == "cuda"

    def set(self, factor: float) -> None:
        """One kernel, and none where nothing changed."""
        if factor != self._factor:
            self._factor = factor
            torch.mul(self._initial, factor, out=self._now)


class Place:
    """Where a recorded step finds its batch.

    Args:
        like: a batch of the shape that is recorded.

    Attributes:
        samples: in it.
    """

    def __init__(self, like: Batch) -> None:
        self.batch = Batch(*(torch.empty_like(tensor) for tensor in like))
        self.samples = len(like.targets)
        self._kind = _kind(like)

    def takes(self, batch: Batch) -> bool:
        """Whether it has the shape that was recorded."""
        return _kind(batch) == self._kind

    def fill(self, batch: Batch) -> None:
        """A copy on the device; the next step may be filled in while this one runs."""
        for place, tensor in zip(self.batch, batch, strict=True):
            place.copy_(tensor, non_blocking=True)


def _kind(batch: Batch) -> tuple[Any, ...]:
    return tuple((tensor.shape, tensor.dtype) for tensor in batch)


class Ring:
    """Losses of recorded steps, which the device itself puts one behind the other."""

    def __init__(self, like: Tensor, size: int = RING) -> None:
        self._values = torch.zeros(size, dtype=like.dtype, device=like.device)
        self._next = torch.zeros(1, dtype=torch.int64, device=like.device)
        self.count = 0

    @property
    def full(self) -> bool:
        """Whether the next step has no place."""
        return self.count == len(self._values)

    def put(self, value: Tensor) -> None:
        """Part of the recorded step; ``count`` is for the host to keep."""
        self._values.index_copy_(0, self._next, value.reshape(1))
        self._next.add_(1)

    def take(self) -> Tensor:
        """What was put since the last call, (steps,), without waiting for it."""
        taken = self._values[: self.count].clone()
        self._next.zero_()
        self.count = 0
        return taken
