"""Telling troubles apart: out of memory, and where a number stopped being finite."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dlcore.data.spec import Batch
from dlcore.training.task import Task


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on a GPU or in the CPU's allocator."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def first_nonfinite_layer(task: Task, batch: Batch, phase: str) -> str:
    """The first layer, in the order of the forward pass, that makes a non-finite number of this batch.

    A layer whose own weights are non-finite is named with that reason. Runs one forward pass.
    """
    if not _finite(batch.inputs):
        return "the input data"
    found: list[str] = []
    handles = []

    def watch(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not found and not _finite(output):
                own = all(_finite(parameter) for parameter in module.parameters(recurse=False))
                found.append(name if own else f"{name} (its weights are not finite)")

        return hook

    for name, module in task.model.named_modules():
        if not any(module.children()):
            handles.append(module.register_forward_hook(watch(name or type(module).__name__)))
    try:
        with torch.no_grad():
            loss, _ = task.loss(batch, phase)
    finally:
        for handle in handles:
            handle.remove()
    if found:
        return found[0]
    return "" if _finite(loss) else "the loss"


def has_finite_weights(task: Task) -> bool:
    """Whether every parameter of the network is finite."""
    return all(_finite(parameter) for parameter in task.model.parameters())


def _finite(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.is_floating_point() or bool(value.isfinite().all())
    if isinstance(value, tuple | list):
        return all(_finite(item) for item in value)
    return True
