"""What a training step holds in memory at its peak, by what it is for: expected before it is made, and measured."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from dlcore.data.spec import Batch
from dlcore.inspection.nested import tensors_in
from dlcore.inspection.storages import Parts, StorageWatch
from dlcore.preset import Training
from dlcore.training.ema import EMA
from dlcore.training.precision import Precision
from dlcore.training.rematerialise import rematerialise_blocks
from dlcore.training.step import Stepper
from dlcore.training.task import Task

Optimizers = dict[str, torch.optim.Optimizer]

SUMMED = 2
"""Batches of a step that are run through: from the second on gradients are added up, and nothing grows any more."""


@dataclass(frozen=True)
class MemorySplit:
    """Bytes at the peak of a step.

    Attributes:
        weights: parameters and buffers, and their running average if there is one.
        gradients: of the weights.
        optimizer: what it keeps for each weight.
        activations: what the forward pass keeps for the backward pass.
        data: the batch, what is ready of the next ones, and what of the data is kept on the device.
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


def measured(
    stepper: Stepper, data: Sequence[Tensor], make_step: Callable[[], Any], ahead: int = 0
) -> MemorySplit:
    """The split of a step that is made.

    On CUDA the allocator's own peak decides: what kernels work in, and what sizes are rounded up by, is in ``others``.

    Args:
        data: inputs and targets of the batches, and what else of the data is on the device.
        ahead: bytes of batches that other processes hold ready.
    """
    device = next(stepper.task.model.parameters()).device
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    with StorageWatch(lambda: known_parts(stepper, data), device.type) as watch:
        make_step()
    split = MemorySplit(**{**watch.parts, "data": watch.parts["data"] + ahead})
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
    *,
    beside: int = 0,
    within: AbstractContextManager[Any] | None = None,
) -> MemorySplit:
    """The split of a step that is not made: it runs on tensors that have sizes and no memory.

    Args:
        task: on the CPU, or on the meta device; it is left as it is.
        batch: one of the training's, or of its shape; it may be on the meta device.
        beside: bytes of data that lie beside the batch, see `data.placing.beside`.
        within: entered while the step runs; what it raises ends the step.

    Raises:
        Exception: whatever a network raises whose steps depend on numbers.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    own = [*task.model.parameters(), *task.model.buffers(), *_elsewhere_on_meta(task)]
    task = copy.deepcopy(task, {id(tensor): _fake(tensor, mode) for tensor in own})
    count = min(training.accumulate, SUMMED)
    batches = [Batch(*(_fake(tensor.detach().to("meta"), mode) for tensor in batch)) for _ in range(count)]
    more = (training.accumulate - count) * sum(tensor.nbytes for tensor in batch[:2])
    if training.gradient_checkpointing:
        rematerialise_blocks(task.model)
    with mode, _quiet(), torch.random.fork_rng(devices=[]), within or nullcontext():
        stepper = _stepper(task, make_optimizers, training, precision)
        stepper.step(batches, 1.0)  # makes the optimizer's state
        data = [tensor for each in batches for tensor in each[:2]]
        with StorageWatch(lambda: known_parts(stepper, data), "cpu") as watch:
            stepper.step(batches, 1.0)
    return MemorySplit(**{**watch.parts, "data": watch.parts["data"] + more + beside})


def made(
    task: Task,
    make_optimizers: Callable[[Task], Optimizers],
    training: Training,
    precision: Precision,
    batch: Batch,
    *,
    beside: int = 0,
) -> MemorySplit:
    """As `expected`, from two steps that a copy really makes: for networks whose steps depend on numbers.

    Args:
        task: on the CPU.
    """
    with torch.random.fork_rng(devices=[]):
        task = copy.deepcopy(task)
        if training.gradient_checkpointing:
            rematerialise_blocks(task.model)
        stepper = _stepper(task, make_optimizers, training, precision)
        batches = [batch] * training.accumulate
        stepper.step(batches, 1.0)
        return measured(stepper, batch[:2], lambda: stepper.step(batches, 1.0), beside)


def _stepper(
    task: Task, make_optimizers: Callable[[Task], Optimizers], training: Training, precision: Precision
) -> Stepper:
    """What makes the steps of a copy that nobody watches."""
    task.model.train()
    average = EMA(task.model, training.ema) if training.ema else None
    stepper = Stepper(task, make_optimizers(task), training, precision, average)
    stepper.attach(Untimed(), Unheard())  # type: ignore[arg-type]
    return stepper


def _fake(tensor: Tensor, mode: FakeTensorMode) -> Tensor:
    """A tensor's stand-in on the CPU, with its sizes and without memory."""
    if not tensor.is_meta:
        return mode.from_tensor(tensor)
    with mode:
        fake = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="cpu")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(fake, requires_grad=tensor.requires_grad)
    return fake


def _elsewhere_on_meta(task: Task) -> Iterator[Tensor]:
    """Tensors that are neither weights nor buffers, such as a table of positions, where they have no memory."""
    for holder in (task, *task.model.modules()):
        yield from (tensor for tensor in tensors_in(list(vars(holder).values())) if tensor.is_meta)
