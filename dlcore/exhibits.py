"""What a run shows of itself: its answers on a few samples, and looks inside the network, a file each."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import numpy as np
import torch

from dlcore.assembly import plain
from dlcore.atomic import write_atomic
from dlcore.data.spec import Batch
from dlcore.inspection.looking import look_inside
from dlcore.run_dir import RunDir
from dlcore.tasks.pictures import with_pixels
from dlcore.tasks.texts import with_texts
from dlcore.training.evaluation import evaluation_mode
from dlcore.training.precision import Precision
from dlcore.training.task import Task, as_float
from dlcore.training.trainer import Trainer

MOST_PICTURES = 8
"""Samples shown with the picture of their input."""


def shown(
    task: Task, precision: Precision, batch: Batch, pictures: int = MOST_PICTURES
) -> list[dict[str, Any]]:
    """The model's answers to a batch, as the task shows them to a person.

    Args:
        pictures: how many samples are shown with the picture of their input.
    """
    devices = [batch.inputs.device] if batch.inputs.is_cuda else []
    # What is drawn to be shown must not change what the training draws next.
    with evaluation_mode(task.model), torch.random.fork_rng(devices=devices), torch.no_grad():
        with precision.autocast():
            _, outputs = task.loss(batch, task.phases[0].name)
        rows = task.samples(batch, as_float(outputs))
    return with_texts(with_pixels(rows, task.spec, batch.inputs, pictures), task.spec, batch.inputs)


def write_samples(run: RunDir, trainer: Trainer, batch: Batch) -> str:
    """The model's answers to a batch, as the task shows them to a person.

    Returns:
        The file's path within the run directory.
    """
    rows = shown(trainer.task, trainer.precision, batch)
    step = trainer.progress.step
    path = _write(run, "samples", step, {"step": step, "samples": plain(rows)})
    trainer.recorder.event("samples", step=step, path=path)
    return path


def write_inspection(
    run: RunDir, trainer: Trainer, batch: Batch, why: str, earlier: tuple[int, int] | None = None
) -> str:
    """A look inside the network: a JSON file for a person, and beside it the arrays that it names.

    Args:
        batch: training samples on the network's device.
        why: ``first``, ``best``, ``last``, ``interval``, ``between`` or ``asked``.
        earlier: step and epoch that the network's weights are from; None for where the training is.

    Returns:
        The JSON file's path within the run directory.
    """
    watched = trainer.diagnostics.updates if earlier is None else None
    updates = watched.ratios if watched is not None else {}
    finite = {name: ratio for name, ratio in updates.items() if math.isfinite(ratio)}
    look = look_inside(trainer.task, batch, trainer.precision, finite)
    step, epoch = earlier or (trainer.progress.step, trainer.progress.epoch)
    head = {"step": step, "epoch": epoch, "why": why}
    arrays = io.BytesIO()
    np.savez(arrays, **look.arrays)  # type: ignore[arg-type]
    run.inspections_path.mkdir(mode=0o700, exist_ok=True)
    # The arrays first: who reads the JSON finds them.
    write_atomic(run.inspections_path / f"step-{step:08d}.npz", arrays.getvalue(), durable=False)
    path = _write(run, "inspections", step, head | look.facts)
    trainer.recorder.event("inspection", step=step, path=path, why=why)
    return path


def _write(run: RunDir, folder: str, step: int, content: dict[str, Any]) -> str:
    (run.path / folder).mkdir(mode=0o700, exist_ok=True)
    path = f"{folder}/step-{step:08d}.json"
    write_atomic(run.path / path, json.dumps(content).encode(), durable=False)
    return path
