"""Are the gradients those of the function? Compared with the function's own differences, in double precision."""

from __future__ import annotations

from typing import Any

import torch

from dlcore.data.spec import Batch
from dlcore.training.task import Task

SAMPLES = 3
STEP = 1e-6


def derivatives(task: Task, batch: Batch) -> dict[str, Any]:
    """For every parameter, the slope of the loss in a random direction, by backward pass and by central difference.

    Leaves the network in double precision.
    The error of the difference is about STEP² in double precision; a kink (ReLU at 0) that lies within STEP is met
    with a probability of about 1e-6 a unit.

    Returns:
        ``worst``: relative difference, and the ``parameter`` it is of; ``checked``.
    """
    task.model.double().eval()
    inputs = batch.inputs[:SAMPLES]
    doubled = Batch(
        inputs.double() if inputs.is_floating_point() else inputs,
        batch.targets[:SAMPLES].double() if batch.targets.is_floating_point() else batch.targets[:SAMPLES],
        batch.index[:SAMPLES],
    )
    phase = task.phases[0].name
    generator = torch.Generator().manual_seed(0)

    def loss() -> torch.Tensor:
        torch.manual_seed(0)
        return task.loss(doubled, phase)[0]

    named = {name: p for name, p in task.model.named_parameters() if p.requires_grad}
    whole = loss()
    gradients = torch.autograd.grad(whole, list(named.values()), allow_unused=True)
    worst, where, checked = 0.0, "", 0
    with torch.no_grad():
        for (name, parameter), gradient in zip(named.items(), gradients, strict=True):
            if gradient is None:
                continue
            direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(
                parameter.device
            )
            direction /= direction.norm()
            before = parameter.clone()
            ends = []
            for sign in (1, -1):
                parameter.copy_(before + sign * STEP * direction)
                ends.append(float(loss()))
            parameter.copy_(before)
            measured, told = (ends[0] - ends[1]) / (2 * STEP), float((gradient * direction).sum())
            scale = max(abs(measured), abs(told), 1e-6)
            error = abs(measured - told) / scale if max(abs(measured), abs(told)) > 1e-7 else 0.0
            checked += 1
            if error > worst:
                worst, where = error, name
    return {"worst": worst, "parameter": where, "checked": checked}
