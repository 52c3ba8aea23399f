"""Does a sample's answer depend on the samples beside it, or on chance? In evaluation mode it must not."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dlcore.data.spec import Batch
from dlcore.inspection.listening import is_layer
from dlcore.training.evaluation import evaluation_mode
from dlcore.training.task import Task, mapped

SAMPLES = 5
"""Few, and a number that is seldom the size of another axis."""

Outputs = list[tuple[str, str, Tensor]]  # path, type and output of each layer call, in order


def independence(task: Task, batch: Batch) -> dict[str, Any]:
    """Three passes in evaluation mode: twice the same batch, and once with another first sample.

    Returns:
        ``mixing`` and ``random``: ``change`` of the answers relative to their deviation, and the first ``layer``
        with its ``type`` where it began; in ``mixing`` only the other samples' answers count.
    """
    batch = Batch(*(tensor[:SAMPLES] for tensor in batch))
    if len(batch.index) < 3:
        return {}
    # Another first sample that is in the data as well: a mirrored or scaled one might not be valid.
    inputs = batch.inputs.clone()
    inputs[0] = inputs[-1]
    other = batch._replace(inputs=inputs)
    with evaluation_mode(task.model):
        (once, layers), (again, _), (swapped, changed) = (
            _run(task, b, seed) for b, seed in ((batch, 0), (batch, 0), (other, 0))
        )
        chance, drawn = _run(task, batch, 1)
    noise = _difference(once, again, 0)  # of the arithmetic: some kernels add in any order
    mixing, random = _difference(once, swapped, 1), _difference(once, chance, 0)
    found = {"noise": noise, "mixing": {"change": mixing}, "random": {"change": random}}
    if mixing > 1e-4:
        found["mixing"] |= _first(layers, changed, 1)  # type: ignore[operator]
    if random > 1e-4:
        found["random"] |= _first(layers, drawn, 0)  # type: ignore[operator]
    return found


def _run(task: Task, batch: Batch, seed: int) -> tuple[list[Tensor], Outputs]:
    """The task's outputs, and every layer's."""
    layers: Outputs = []

    def keep(path: str, kind: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) and output else output
            if isinstance(first, Tensor) and first.is_floating_point():
                layers.append((path, kind, first.detach().float()))

        return hook

    handles = [
        module.register_forward_hook(keep(name or type(module).__name__, type(module).__name__))
        for name, module in task.model.named_modules()
        if is_layer(module)
    ]
    devices = [batch.inputs.device] if batch.inputs.is_cuda else []
    found: list[Tensor] = []
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            _, outputs = task.loss(batch, task.phases[0].name)
        mapped(outputs, lambda tensor: found.append(tensor.detach().float()) or tensor)  # type: ignore[func-returns-value]
    finally:
        for handle in handles:
            handle.remove()
    count = len(batch.index)
    return [tensor for tensor in found if tensor.dim() and tensor.shape[0] == count], layers


def _difference(ones: list[Tensor], others: list[Tensor], skip: int) -> float:
    """Largest change of an answer of the samples from ``skip`` on, relative to the deviation of all answers."""
    changes = [_change(one, other, 0, skip) for one, other in zip(ones, others, strict=False)]
    return max(changes, default=0.0)


def _change(one: Tensor, other: Tensor, axis: int, skip: int) -> float:
    if one.shape != other.shape:
        return 0.0
    size = one.shape[axis] - skip
    moved = (one.narrow(axis, skip, size) - other.narrow(axis, skip, size)).abs().max()
    scale = max(float(one.std(correction=0)), 1e-3 * float(one.abs().max()), 1e-12)
    value = float(moved) / scale
    return value if value == value else 0.0


def _first(ones: Outputs, others: Outputs, skip: int) -> dict[str, str]:
    """The first layer whose output changed for samples that were left alone."""
    for (path, kind, one), (_, _, other) in zip(ones, others, strict=False):
        axes = [axis for axis in range(one.dim()) if one.shape[axis] == SAMPLES]
        if axes and min(_change(one, other, axis, skip) for axis in axes) > 1e-4:
            return {"layer": path, "type": kind}
    return {"layer": "", "type": ""}
