"""What a run shows of itself: its answers on a few samples, and looks inside the network, a file each."""

from __future__ import annotations

import json
from typing import Any

import torch

from dlcore.assembly import plain
from dlcore.atomic import write_atomic
from dlcore.data.spec import Batch
from dlcore.inspection.tensors import inspect_layers
from dlcore.run_dir import RunDir
from dlcore.tasks.pictures import with_pixels
from dlcore.training.evaluation import evaluation_mode
from dlcore.training.task import as_float
from dlcore.training.trainer import Trainer

MOST_PICTURES = 8
"""Samples shown with the picture of their input."""


def write_samples(run: RunDir, trainer: Trainer, batch: Batch) -> str:
    """The model's answers to a batch, as the task shows them to a person.

    Returns:
        The file's path within the run directory.
    """
    task = trainer.task
    devices = [batch.inputs.device] if batch.inputs.is_cuda else []
    # What is drawn to be shown must not change what the training draws next.
    with evaluation_mode(task.model), torch.random.fork_rng(devices=devices), torch.no_grad():
        with trainer.precision.autocast():
            _, outputs = task.loss(batch, task.phases[0].name)
        rows = task.samples(batch, as_float(outputs))
    rows = with_pixels(rows, task.spec, batch.inputs, MOST_PICTURES)
    step = trainer.progress.step
    path = _write(run, "samples", step, {"step": step, "samples": plain(rows)})
    trainer.recorder.event("samples", step=step, path=path)
    return path


def write_inspection(run: RunDir, trainer: Trainer) -> str:
    """Statistics of every layer on the first validation batch.

    Returns:
        The file's path within the run directory.
    """
    batch = next(iter(trainer.val.epoch(0)))
    step = trainer.progress.step
    path = _write(run, "inspections", step, {"step": step, "layers": inspect_layers(trainer.task, batch)})
    trainer.recorder.event("inspection", step=step, path=path)
    return path


def _write(run: RunDir, folder: str, step: int, content: dict[str, Any]) -> str:
    (run.path / folder).mkdir(mode=0o700, exist_ok=True)
    path = f"{folder}/step-{step:08d}.json"
    write_atomic(run.path / path, json.dumps(content).encode(), durable=False)
    return path
