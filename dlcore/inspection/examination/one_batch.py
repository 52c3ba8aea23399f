"""Can the network learn one batch by heart? If not, no amount of data and time will help."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from dlcore.data.spec import Batch
from dlcore.training.task import Task

STEPS = 200
LEAST_SECONDS, MOST_SECONDS = 10.0, 25.0
"""Of this thread's processor and of the clock, after whichever a try is cut short: other work may be on the machine."""
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
        ``start`` and ``end`` of the loss, ``steps``, ``learnt``; ``cut`` where there was no time for all the steps,
        which tells nothing; where only another optimizer did it, its ``rescued_by``.
    """
    first = _try(task, batch, own)
    if first["learnt"] or first["cut"]:
        return first
    for rate in OWN_RATES:
        again = _try(task, batch, lambda task, rate=rate: torch.optim.Adam(task.model.parameters(), lr=rate))  # type: ignore[misc]
        if again["cut"]:
            return first | {"cut": True}
        if again["learnt"]:
            return first | {"rescued_by": rate, "rescued_end": again["end"]}
    return first


def _try(task: Task, batch: Batch, make: Make) -> dict[str, Any]:
    before = {name: value.detach().clone() for name, value in task.model.state_dict().items()}
    optimizer = make(task)
    start = end = float("nan")
    began, worked, steps, cut = time.perf_counter(), time.thread_time(), 0, False
    for step in range(STEPS):
        torch.manual_seed(0)  # what is drawn in the loss, such as hidden tokens, is the same each time
        loss, _ = task.loss(batch, task.phases[0].name)
        value = float(loss.detach())
        start = value if step == 0 else start
        end, steps = value, step
        if not loss.requires_grad or value != value or value <= GOAL * start * 0.5:
            break
        cut = time.thread_time() - worked > LEAST_SECONDS or time.perf_counter() - began > MOST_SECONDS
        if cut:
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
        "cut": cut and not learnt,
        "samples": len(batch.index),
    }
