"""The loss as a module whose gradients are averaged over processes, by PyTorch's own engines.

DDP and FSDP2 hang on a module's forward pass. A task may call any part of its network, so it is the whole loss that
is wrapped, once a phase: what is averaged is then right for every task.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from dlcore.data.spec import Batch
from dlcore.errors import UserError
from dlcore.training.parallel.group import Group
from dlcore.training.task import Phase, Task

_OPTIONS = inspect.signature(DistributedDataParallel).parameters
_NO_BUFFERS: dict[str, Any] = {
    next(name for name in ("forward_sync_buffers", "broadcast_buffers") if name in _OPTIONS): False
}
"""Buffers are not sent at every step; the option's name changed with torch 2.13."""


class LossOf(nn.Module):
    """A task's loss in one phase; its parameters are those that the phase changes."""

    def __init__(self, task: Task, phase: Phase) -> None:
        super().__init__()
        self.parts = nn.ModuleList(phase.modules)
        self._call = (task.loss, phase.name)  # a tuple hides the task's own modules from the engines

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Any]:
        """Loss, (), and outputs of a batch."""
        loss, name = self._call
        return loss(Batch(*tensors), name)


class AveragedLoss:
    """The loss of every phase, with gradients averaged over processes.

    Args:
        kind: ``ddp`` keeps all weights in every process, ``fsdp`` a part in each.
    """

    def __init__(self, task: Task, group: Group, kind: str, device: torch.device) -> None:
        self.task, self.group, self.kind, self.device = task, group, kind, device
        self._learning: tuple[bool, ...] = ()
        self._engines: dict[str, Any] = {}
        if kind == "fsdp":
            self._engines[task.phases[0].name] = _sharded(task, device)
            # Whoever asks for the loss, to evaluate for instance, needs the weights whole.
            task.loss = self.__call__  # type: ignore[method-assign]

    def start_epoch(self) -> None:
        """Engines are made anew when a task freed or froze weights."""
        learning = tuple(parameter.requires_grad for parameter in self.task.model.parameters())
        if self.kind == "ddp" and learning != self._learning:
            self._learning = learning
            self._engines = {phase.name: self._engine(phase) for phase in self.task.phases}

    def __call__(self, batch: Batch, phase: str) -> tuple[Tensor, Any]:
        """As `Task.loss`."""
        loss, outputs = self._engines[phase](*batch)
        return loss, outputs

    @contextmanager
    def gradients(self, phase: str, *, last: bool) -> Iterator[None]:
        """Inside, forward and backward are made; gradients are averaged with the last piece of a batch."""
        engine = self._engines[phase]
        with self.group.step():
            if isinstance(engine, FSDPModule):
                engine.set_requires_gradient_sync(last)
                yield
            elif last:
                yield
            else:
                with engine.no_sync():
                    yield

    def _engine(self, phase: Phase) -> DistributedDataParallel:
        ids = [self.device.index] if self.device.type == "cuda" else None
        # Batch norm's averages are equal everywhere already; a loss may leave some weights out, a user's own at least.
        return DistributedDataParallel(
            LossOf(self.task, phase), device_ids=ids, find_unused_parameters=True, **_NO_BUFFERS
        )


def _sharded(task: Task, device: torch.device) -> nn.Module:
    """Give every process a part of each weight (FSDP2), block by block where the model has blocks.

    Raises:
        UserError: the task has several networks that learn by turns.
    """
    if len(task.phases) != 1:
        raise UserError(
            "training.parallel = 'fsdp' shards one network; this task trains several by turns, take 'ddp'."
        )
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    blocks = getattr(task.model, "blocks", None)
    for block in blocks if isinstance(blocks, nn.Sequential | nn.ModuleList) else ():
        if any(True for _ in block.parameters()):
            fully_shard(block, mesh=mesh)
    loss = LossOf(task, task.phases[0])
    fully_shard(loss, mesh=mesh)  # in place
    return loss
