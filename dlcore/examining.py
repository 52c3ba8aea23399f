"""The doctor's look at a preset before it trains: its parts built, measured, and judged by the rules."""

from __future__ import annotations

import math
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
from dlcore.preset import Preset, dump
from dlcore.training.task import Task

SAMPLES = 64
LEAST_SAMPLES = 4
LEARNT_BY_HEART = 16
MOST_NUMBERS = 1 << 19  # in a batch that is examined: eight pictures of 256 × 256
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


def examine(preset: Preset, *, gradcheck: bool = False) -> Record:
    """Builds what a preset names, on the CPU, and measures everything there is to measure before training.

    Args:
        gradcheck: also compare every gradient with differences of the loss.

    Raises:
        UserError: the data cannot be had, or the parts do not fit together.
    """
    notes: list[str] = []
    parts = assembly.build(preset, notes.append)
    task, data = parts.task, parts.data
    task.model.train()
    task.start_epoch(0)
    name = parts.choices["task"].partition(" ")[0]
    size = max(1, math.prod(data.spec.input_shape))
    batch = pick(data.train, spread(len(data.train), _count(SAMPLES, size)), "cpu")
    found = quick(parts, batch)
    found["duplicates"] = duplicates(data)
    if data.spec.target in SUPERVISED and name not in FLOORED and len(task.phases) == 1:
        few = pick(data.train, spread(len(data.train), _count(LEARNT_BY_HEART, 8 * size)), "cpu")
        with undisturbed(task.model, torch.device("cpu")):
            found["one_batch"] = one_batch(task, few, lambda copy: _optimizer(preset, copy))
    if gradcheck:
        fresh = assembly.build(preset, notes.append)  # it is left in double precision
        with torch.random.fork_rng(devices=[]):
            found["derivatives"] = derivatives(fresh.task, batch)
    return Record(
        preset=_tables(preset),
        spec=data.spec.to_dict(),
        task=name,
        examination=plain(found),
    )


def _count(wanted: int, size: int) -> int:
    """How many samples of so many numbers each: fewer of large ones, so that a look takes seconds."""
    return min(wanted, max(LEAST_SAMPLES, MOST_NUMBERS // size))


def _optimizer(preset: Preset, task: Task) -> torch.optim.Optimizer:
    (optimizer,) = assembly.build_optimizers(preset, task).values()
    return optimizer


def _tables(preset: Preset) -> dict[str, Any]:
    """Sections as plain tables, as a run's own preset has them."""
    import tomllib

    return tomllib.loads(dump(preset))
