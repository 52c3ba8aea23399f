"""What a training step holds in memory at its peak, by what it is for: expected before it is made, and measured."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from dlcore.data.spec import Batch
from dlcore.inspection.storages import Parts, StorageWatch
from dlcore.preset import Training
from dlcore.training.ema import EMA
from dlcore.training.precision import Precision
from dlcore.training.step import Stepper
from dlcore.training.task import Task

Optimizers = dict[str, torch.optim.Optimizer]


@dataclass(frozen=True)
class MemorySplit:
    """Bytes at the peak of a step.

    Attributes:
        weights: parameters and buffers, and their running average if there is one.
        gradients: of the weights.
        optimizer: what it keeps for each weight.
        activations: what the forward pass keeps for the backward pass.
        data: the batch, and what of the data is kept on the device.
        others: gradients on their way, and what operations work in.
        cached: held by the allocator for the next step; none on the CPU, which gives it back.
    """

    weights: int = 0
    gradients: int = 0
    optimizer: int = 0
    activations: int = 0
    data: int = 0
    others: int = 0
    cached: int = 0

    @property
    def peak(self) -> int:
        """All that is in use at once."""
        return self.total - self.cached

    @property
    def total(self) -> int:
        """All parts together."""
        return sum(asdict(self).values())

    def to_dict(self) -> dict[str, int]:
        """Plain data for JSON, peak and total included."""
        return {**asdict(self), "peak": self.peak, "total": self.total}


class Unheard:
    """Takes losses and does nothing with them."""

    def add(self, name: str, value: Tensor) -> None:
        """Forget it."""

    add_many = add


class Untimed:
    """A stopwatch that never runs."""

    running = False


def known_parts(stepper: Stepper, data: Sequence[Tensor]) -> Parts:
    """The tensors that outlive a step, and the gradients there are now."""
    model, ema = stepper.task.model, stepper.ema
    return {
        "weights": [
            *model.parameters(),
            *model.buffers(),
            *(ema.average.values() if ema is not None else ()),
        ],
        "gradients": [p.grad for p in model.parameters() if p.grad is not None],
        "optimizer": list(_state(stepper.optimizers)),
        "data": data,
    }


def _state(optimizers: Optimizers) -> Iterator[Tensor]:
    for optimizer in optimizers.values():
        for state in optimizer.state.values():
            yield from (value for value in state.values() if isinstance(value, Tensor))


def measured(stepper: Stepper, data: Sequence[Tensor], make_step: Callable[[], Any]) -> MemorySplit:
    """The split of a step that is made.

    On CUDA the allocator's own peak decides: what kernels work in, and what sizes are rounded up by, is in ``others``.

    Args:
        data: the batch and what else of the data is on the device.
    """
    device = next(stepper.task.model.parameters()).device
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    with StorageWatch(lambda: known_parts(stepper, data), device.type) as watch:
        make_step()
    split = MemorySplit(**watch.parts)
    if not cuda:
        return split
    peak, reserved = torch.cuda.max_memory_allocated(device), torch.cuda.memory_reserved(device)
    more = max(0, peak - split.peak)
    return MemorySplit(**{**asdict(split), "others": split.others + more, "cached": max(0, reserved - peak)})


@contextmanager
def _quiet() -> Iterator[None]:
    """A step that fails on tensors without memory is an answer, not for torch to log with a traceback."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def expected(
    task: Task,
    make_optimizers: Callable[[Task], Optimizers],
    training: Training,
    precision: Precision,
    batch: Batch,
) -> MemorySplit:
    """The split of a step that is not made: it runs on tensors that have sizes and no memory.

    Args:
        batch: one of the training's, or of its shape.

    Raises:
        Exception: whatever a network raises whose steps depend on numbers.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    own = [*task.model.parameters(), *task.model.buffers()]
    task = copy.deepcopy(task, {id(tensor): mode.from_tensor(tensor) for tensor in own})
    fake = Batch(*map(mode.from_tensor, batch))
    task.model.train()
    with mode, _quiet(), torch.random.fork_rng(devices=[]):
        stepper = Stepper(
            task,
            make_optimizers(task),
            training,
            precision,
            EMA(task.model, training.ema) if training.ema else None,
        )
        stepper.attach(Untimed(), Unheard())  # type: ignore[arg-type]
        batches = [fake] * training.accumulate
        stepper.step(batches, 1.0)  # makes the optimizer's state
        with StorageWatch(lambda: known_parts(stepper, fake), "cpu") as watch:
            stepper.step(batches, 1.0)
    return MemorySplit(**watch.parts)
