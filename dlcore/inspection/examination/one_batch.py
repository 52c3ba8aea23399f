"""Can the network learn one batch by heart? If not, no amount of data and time will help."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from dlcore.data.spec import Batch
from dlcore.training.task import Task

STEPS = 200
SECONDS = 15.0
GOAL = 0.3
"""Share of the first loss that has to be reached; label smoothing and noise leave a floor above 0."""

OWN_RATES = (1e-2, 1e-3)
"""Of Adam, tried where the preset's own optimizer does not get there."""

Make = Callable[[Task], torch.optim.Optimizer]


def one_batch(task: Task, batch: Batch, own: Make) -> dict[str, Any]:
    """Trains the network on a few samples for at most `STEPS` steps, and puts its weights back.

    Args:
        own: makes the preset's optimizer.

    Returns:
        ``start`` and ``end`` of the loss, ``steps``, ``learnt``; where only another optimizer did it, its
        ``rescued_by``.
    """
    first = _try(task, batch, own)
    if first["learnt"]:
        return first
    for rate in OWN_RATES:
        again = _try(task, batch, lambda task, rate=rate: torch.optim.Adam(task.model.parameters(), lr=rate))  # type: ignore[misc]
        if again["learnt"]:
            return first | {"rescued_by": rate, "rescued_end": again["end"]}
    return first


def _try(task: Task, batch: Batch, make: Make) -> dict[str, Any]:
    before = {name: value.detach().clone() for name, value in task.model.state_dict().items()}
    optimizer = make(task)
    start = end = float("nan")
    began, steps = time.perf_counter(), 0
    for step in range(STEPS):
        torch.manual_seed(0)  # what is drawn in the loss, such as hidden tokens, is the same each time
        loss, _ = task.loss(batch, task.phases[0].name)
        value = float(loss.detach())
        start = value if step == 0 else start
        end, steps = value, step
        if not loss.requires_grad or value != value or value <= GOAL * start * 0.5:
            break
        if time.perf_counter() - began > SECONDS:
            break
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    task.model.load_state_dict(before)
    optimizer.zero_grad(set_to_none=True)
    finite = end == end and abs(end) != float("inf")
    learnt = finite and (end <= GOAL * start or start < 1e-3)
    return {
        "start": start,
        "end": end if finite else None,
        "steps": steps,
        "learnt": learnt,
        "samples": len(batch.index),
    }
