"""Can the network learn one batch by heart? If not, no amount of data and time will help."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from dlcore.data.spec import Batch
from dlcore.training.task import Task

STEPS = 200
WORK_SECONDS, WAIT_SECONDS = 10.0, 25.0
"""Of this thread's processor and of the clock, after whichever all tries together are cut short: other work may be on
the machine."""
FEWEST_STEPS = 20
"""In which hardly any network learns a batch: where there is no time for them, none is spent on trying."""
GOAL = 0.3
"""Share of the first loss that has to be reached; label smoothing and noise leave a floor above 0."""

OWN_RATES = (1e-2, 1e-3)
"""Of Adam, tried where the preset's own optimizer does not get there."""

Make = Callable[[Task], torch.optim.Optimizer]
Report = Callable[[str], None]


class Time:
    """How long the tries have been at it."""

    def __init__(self) -> None:
        self.began, self.worked = time.perf_counter(), time.thread_time()

    @property
    def spent(self) -> float:
        """Share of what there is, of the processor's or the clock's, whichever is further; 1 when it is over."""
        worked, waited = time.thread_time() - self.worked, time.perf_counter() - self.began
        return max(worked / WORK_SECONDS, waited / WAIT_SECONDS)


def one_batch(task: Task, batch: Batch, own: Make, report: Report = lambda line: None) -> dict[str, Any]:
    """Trains the network on a few samples for at most `STEPS` steps, and puts its weights back.

    Args:
        own: makes the preset's optimizer.
        report: is told what goes on, a line at a time.

    Returns:
        ``start`` and ``end`` of the loss, ``steps``, ``learnt``; ``cut`` where there was no time for all the steps,
        which tells nothing; where only another optimizer did it, its ``rescued_by``.
    """
    clock = Time()
    first = _try(task, batch, own, clock, report)
    if first["learnt"] or first["cut"]:
        return first
    for rate in OWN_RATES:
        again = _try(task, batch, partial(_adam, rate=rate), clock, report)
        if again["cut"]:
            return first | {"cut": True}
        if again["learnt"]:
            return first | {"rescued_by": rate, "rescued_end": again["end"]}
    return first


def _adam(task: Task, rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(task.model.parameters(), lr=rate)


def _try(task: Task, batch: Batch, make: Make, clock: Time, report: Report) -> dict[str, Any]:
    before = {name: value.detach().clone() for name, value in task.model.state_dict().items()}
    optimizer = make(task)
    start = end = float("nan")
    steps, cut, warm = 0, False, 0.0
    for step in range(STEPS):
        torch.manual_seed(0)  # what is drawn in the loss, such as hidden tokens, is the same each time
        loss, _ = task.loss(batch, task.phases[0].name)
        value = float(loss.detach())
        start = value if step == 0 else start
        end, steps = value, step
        if not loss.requires_grad or value != value or value <= GOAL * start * 0.5:
            break
        spent = clock.spent
        warm = spent if step == 1 else warm  # the first step takes longer than the others
        cut = spent > 1.0 or (step == 3 and warm + (spent - warm) / 2 * FEWEST_STEPS > 1.0)
        if cut:
            break
        if step % 5 == 0:
            report(
                f"learning {len(batch.index)} samples by heart: step {step} of at most {STEPS}, loss {value:.3g}"
            )
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
