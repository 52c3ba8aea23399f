"""The doctor's look at a preset before it trains: its parts built, measured, and judged by the rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from dlcore import assembly
from dlcore.assembly import Parts
from dlcore.data.picking import pick, spread
from dlcore.data.spec import Batch
from dlcore.doctor.record import Record
from dlcore.inspection.examination.derivatives import derivatives
from dlcore.inspection.examination.duplicates import duplicates
from dlcore.inspection.examination.first_batch import first_batch, inputs_of
from dlcore.inspection.examination.independence import independence
from dlcore.inspection.examination.one_batch import one_batch
from dlcore.inspection.looking import undisturbed
from dlcore.inspection.shapes import trace_pass
from dlcore.preset import Preset, dump
from dlcore.training.task import Task

SAMPLES = 64
LEAST_SAMPLES = 4
LEARNT_BY_HEART = 16
MOST_NUMBERS = 1 << 19  # in a batch that is examined: eight pictures of 256 × 256
MOST_FLOPS = 5e9
"""Of one forward pass: with the backward pass three times as many, half a second at 30 GFLOP/s."""
SUPERVISED = ("class", "binary", "number", "mask", "tokens")
FLOORED = ("vae", "diffusion")
"""Tasks whose loss cannot fall towards 0 however well a batch is learnt by heart: what is drawn at random stays."""


def quick(parts: Parts, batch: Batch) -> dict[str, Any]:
    """What a few passes of one batch tell; leaves network and random generators as they are.

    Args:
        batch: on the network's device.
    """
    task = parts.task
    if parts.data.spec.target == "reward":
        return {}  # an environment answers: there is no batch to look at
    with undisturbed(task.model, batch.inputs.device):
        found = first_batch(task, batch)
        found["inputs"] = inputs_of(batch, parts.data.spec, parts.model)
        found["independence"] = independence(task, batch)
    figures: dict[str, Any] = plain(found)
    return figures


def plain(value: Any) -> Any:
    """Numbers that are none become null, which JSON has."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def examine(
    preset: Preset, *, gradcheck: bool = False, report: Callable[[str], None] = lambda line: None
) -> Record:
    """Builds what a preset names, on the CPU, and measures everything there is to measure before training.

    Args:
        gradcheck: also compare every gradient with differences of the loss.
        report: is told what goes on, a line at a time.

    Raises:
        UserError: the data cannot be had, or the parts do not fit together.
    """
    parts = assembly.build(preset, report)
    task, data = parts.task, parts.data
    task.model.train()
    task.start_epoch(0)
    name = parts.choices["task"].partition(" ")[0]
    report("tracing the network")
    numbers, flops = math.prod(data.spec.input_shape), _flops(parts)
    batch = pick(data.train, spread(len(data.train), _count(SAMPLES, numbers, flops)), "cpu")
    report(f"a forward and a backward pass of {len(batch.index)} samples")
    found = quick(parts, batch)
    report("looking for the same samples in several parts of the data")
    found["duplicates"] = duplicates(data)
    if data.spec.target in SUPERVISED and name not in FLOORED and len(task.phases) == 1:
        few = pick(
            data.train, spread(len(data.train), _count(LEARNT_BY_HEART, 8 * numbers, 8 * flops)), "cpu"
        )
        with undisturbed(task.model, torch.device("cpu")):
            found["one_batch"] = one_batch(task, few, lambda copy: _optimizer(preset, copy), report)
    if gradcheck:
        report("comparing gradients with differences of the loss")
        fresh = assembly.build(preset, report)  # it is left in double precision
        with torch.random.fork_rng(devices=[]):
            found["derivatives"] = derivatives(fresh.task, batch)
    return Record(
        preset=_tables(preset),
        spec=data.spec.to_dict(),
        task=name,
        examination=plain(found),
    )


def _count(wanted: int, numbers: int, flops: float) -> int:
    """How many samples of so many numbers and so much work each: fewer of large ones, so that a look takes seconds."""
    affordable = min(MOST_NUMBERS // max(1, numbers), int(MOST_FLOPS / max(1.0, flops)))
    return min(wanted, max(LEAST_SAMPLES, affordable))


def _flops(parts: Parts) -> float:
    """Of one sample's forward pass; 0 where an environment answers, or as far as it gets."""
    if parts.data.spec.target == "reward":
        return 0.0
    with undisturbed(parts.task.model, torch.device("cpu")):
        return trace_pass(parts.model, parts.data.spec, batch_size=LEAST_SAMPLES).trace.flops / LEAST_SAMPLES


def _optimizer(preset: Preset, task: Task) -> torch.optim.Optimizer:
    (optimizer,) = assembly.build_optimizers(preset, task).values()
    return optimizer


def _tables(preset: Preset) -> dict[str, Any]:
    """Sections as plain tables, as a run's own preset has them."""
    import tomllib

    return tomllib.loads(dump(preset))
