"""How many threads compute, where the preset leaves it open: one, where a step has too little work to share.

Threads meet after every parallel operation, and a step of a small network is nothing but small operations. The rule
asks for the work of a step and not for its time, so that a preset computes with the same number, and to the last digit
the same, each time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch

from dlcore.assembly import Parts
from dlcore.preset import Training
from dlcore.step_cost import FORWARD_AND_BACKWARD, work_of_step
from dlcore.training.progress import rng_state, set_rng_state

LITTLE = 64e6
"""Floating-point operations of a step, below which one thread is faster than two.

Measured on two idle cores over the shipped presets, one thread against two: 1.07 to 1.6 times as fast in each of
the ten whose steps have up to 24 million; as fast in the recurrent ones of 76 to 107 million; 0.6 to 0.9 times as
fast from 131 million on, but for recurrent ones.
"""

_CHOSEN = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def use_threads_worth_it(
    parts: Parts, training: Training, device: torch.device, environment: Mapping[str, str] = os.environ
) -> str:
    """Let one thread compute where more would only wait for each other.

    Nothing is changed where the preset or the environment says a number.

    Returns:
        Why, in a few words; "" where nothing was changed.
    """
    said = training.threads or any(name in environment for name in _CHOSEN)
    if said or device.type != "cpu" or torch.get_num_threads() == 1:
        return ""
    work = little_work(parts, training)
    if work is None or work >= LITTLE:
        return ""
    torch.set_num_threads(1)
    return f"a step is {work / 1e6:.2g} million operations, too few to share"


def little_work(parts: Parts, training: Training) -> float | None:
    """Floating-point operations of an optimizer step, a multiply-add counted as 2, where they may be few.

    Only small networks are traced: a weight takes part in a multiplication with every sample at least once.

    Returns:
        None where it is more than `LITTLE`, or not known.
    """
    spec, samples, task = parts.data.spec, training.batch, parts.task
    weights = sum(weight.numel() for weight in task.model.parameters() if weight.dim() > 1)
    passes = training.accumulate * sum(phase.repeats for phase in task.phases)
    if spec.target == "reward" or FORWARD_AND_BACKWARD * 2 * weights * samples * passes >= LITTLE:
        return None
    before = rng_state()
    try:
        return work_of_step(task, spec, samples, training.accumulate)
    finally:
        set_rng_state(before)
