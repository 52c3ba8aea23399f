"""What a training step costs, told without making it: the memory that it holds, and its arithmetic.

One estimate for every place that shows or uses one: a check, an inspection, a draft, a batch size that is to be
found, threads and the benchmark.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dlcore import assembly
from dlcore.data import placing
from dlcore.data.download import no_downloads
from dlcore.data.placing import Sizes
from dlcore.data.spec import Batch, DataContext, DataSpec
from dlcore.inspection.nested import map_tensors, tensors_in
from dlcore.inspection.shapes import Arguments, trace
from dlcore.inspection.through_loss import batch_of
from dlcore.preset import Preset, Training
from dlcore.registry import TASKS
from dlcore.run_dir import data_folder
from dlcore.training.memory import MemorySplit, Optimizers, expected, made
from dlcore.training.precision import Precision
from dlcore.training.task import Metrics, Task

FORWARD_AND_BACKWARD = 3
"""Passes that a step is worth: the backward pass computes two products for each one of the forward pass."""

UNSEEN = 1.12
"""Memory that a step allocates, of what is expected of it: at most so much over the shipped presets.

What a kernel works in within itself is not expected. Allocated over expected was 0.92 to 1.12 on the CPU.
"""


@dataclass(frozen=True)
class Plan:
    """How a network is to be trained, as far as the memory of its steps depends on it.

    Attributes:
        make_optimizers: builds a task's optimizers, by phase.
        precision: name of the number format.
    """

    make_optimizers: Callable[[Task], Optimizers]
    training: Training
    precision: str

    @classmethod
    def of(cls, preset: Preset, precision: str) -> Plan:
        """A preset's, whose builders have all their options."""
        return cls(lambda task: assembly.build_optimizers(preset, task), preset.training, precision)


def memory_of_step(
    plan: Plan,
    task: Task,
    batch: Batch,
    *,
    beside: int = 0,
    really: bool = True,
    within: AbstractContextManager[Any] | None = None,
) -> MemorySplit | None:
    """What a step holds at its peak; None where only a training can tell.

    Args:
        task: on the CPU or the meta device; it is left as it is.
        batch: of the training's shape; on the meta device it needs no memory.
        beside: bytes of data that lie beside the batch, see `beside_batch`.
        really: make steps on a copy where a step depends on numbers, and where there are any.
        within: see `training.memory.expected`.
    """
    about = (task, plan.make_optimizers, plan.training, Precision(plan.precision, torch.device("cpu")))
    try:
        return expected(*about, batch, beside=beside, within=within)
    except Exception:  # a network of the user's own may do anything, and reinforcement learning plays
        if not really or any(tensor.is_meta for tensor in (*task.model.parameters(), *batch)):
            return None
    try:
        return made(*about, batch, beside=beside)
    except Exception:  # it is told by what runs the network for its own sake
        return None


def beside_batch(sizes: Sizes, training: Training, device: torch.device, free: int | None) -> int:
    """Bytes of data that lie in the device's memory beside the batches of a step."""
    return placing.beside(
        sizes,
        training.batch,
        device,
        free,
        on_device=training.data_on_device,
        loaders=training.loaders,
    )


def memory_of_preset(
    preset: Preset,
    precision: str,
    model: nn.Module,
    spec: DataSpec,
    batch: int,
    *,
    beside: int = 0,
    within: AbstractContextManager[Any] | None = None,
) -> MemorySplit | None:
    """What a step of a preset holds, whose network was built but not given the weights that it starts from.

    Args:
        model: on the meta device or the CPU; what does not learn is frozen in it.
        batch: how many samples.
        beside, within: as in `memory_of_step`.

    Returns:
        None where only a run can tell: those weights are not here, say, and decide what is frozen.
    """
    context = DataContext(data_folder(), preset.training.seed, lambda _: None, preset.base)
    try:
        with no_downloads():
            assembly.start_from(preset, model, context)
        name, _ = assembly.choose_task(preset, spec)
        task: Task = TASKS.entry(name, preset.base).build(model, spec, **preset.task.options)
    except Exception:  # what is wrong with it is told when it is checked
        return None
    plan = Plan.of(preset, precision)
    return memory_of_step(plan, task, batch_of(spec, batch), beside=beside, within=within)


def memory_alone(model: nn.Module, arguments: Arguments) -> MemorySplit | None:
    """What a step with AdamW in full precision would hold for a network that comes without data and task.

    Its loss stands in for all: the mean of the numbers that it gives.

    Args:
        arguments: of the forward pass; they may be on the meta device.
    """
    task = Alone(model, arguments)
    if task.inputs is None:
        return None
    none = task.inputs.new_empty(0)
    plan = Plan(
        lambda task: {"main": torch.optim.AdamW(task.model.parameters(), fused=True)}, Training(), "fp32"
    )
    return memory_of_step(plan, task, Batch(task.inputs, none, none))


class Alone(Task):
    """A network without data: whatever it gives is to become small.

    Attributes:
        inputs: the first tensor that it takes, which comes as a batch's inputs; None where it takes none.
    """

    def __init__(self, model: nn.Module, arguments: Arguments) -> None:
        super().__init__(model, DataSpec("vector", (1,), "none", 1))
        self._arguments = (arguments.args, dict(arguments.kwargs))
        self.inputs: Tensor | None = next(iter(tensors_in(self._arguments)), None)

    def loss(self, batch: Batch, phase: str) -> tuple[Tensor, Any]:  # noqa: D102
        first = self.inputs
        args, kwargs = map_tensors(self._arguments, lambda each: batch.inputs if each is first else each)
        outputs = self.model(*args, **kwargs)
        learnt = [each for each in tensors_in(outputs) if each.requires_grad]
        return torch.stack([each.float().mean() for each in learnt]).sum(), outputs

    def metrics(self) -> Metrics:  # noqa: D102
        raise NotImplementedError("a network without data is not evaluated")

    def samples(self, batch: Batch, outputs: Any) -> list[dict[str, Any]]:  # noqa: D102
        return []


def work_of_step(task: Task, spec: DataSpec, samples: int, accumulate: int) -> int | None:
    """Floating-point operations of an optimizer step by the traced forward pass, a multiply-add counted as 2.

    Args:
        samples: of a batch.
        accumulate: batches of a step.

    Returns:
        None where the network cannot be traced.
    """
    try:
        traced = trace(task.model, spec, batch_size=samples)
    except Exception:  # what cannot be traced may train all the same
        return None
    passes = accumulate * sum(phase.repeats for phase in task.phases)
    return FORWARD_AND_BACKWARD * traced.flops * passes if traced.failure is None else None
