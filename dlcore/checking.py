"""Everything short of training: the preset's parts built, one batch traced, memory estimated, one loss taken."""

from __future__ import annotations

import copy
from typing import Any

import torch

from dlcore import assembly
from dlcore.assembly import Parts
from dlcore.data.batches import Batches
from dlcore.data.memory import free_memory
from dlcore.data.placing import sizes_of
from dlcore.data.spec import Batch, Data
from dlcore.inspection.records import Trace
from dlcore.inspection.shapes import Options, trace_pass
from dlcore.inspection.through_loss import through_loss
from dlcore.preset import Preset, Training
from dlcore.step_cost import Plan, beside_batch, memory_of_step
from dlcore.training.precision import choose_device, choose_precision
from dlcore.training.task import Task


def check(preset: Preset) -> dict[str, Any]:
    """What a run of this preset would be.

    Returns:
        Plain data: ``data`` (kinds, shapes and sample counts), ``layers`` and totals of the trace, ``failure``
        (null when a batch goes through), ``weights`` (what was loaded, what not and why; null for a random start),
        ``memory`` in bytes of one training step and what is ``free`` of the device's (null when only a run can
        tell), ``loss`` of the first batch before training, ``device``, ``precision``, ``steps_per_epoch`` and
        ``notes``.

    Raises:
        UserError: the data cannot be had, or the parts do not fit together.
    """
    training = preset.training
    device, _ = choose_device(training.device)
    precision, _ = choose_precision(training.precision, device)
    notes: list[str] = []
    parts = assembly.build(preset, notes.append)
    batches = _batches(parts.data, training)
    batch = next(iter(batches.epoch(0)))
    batches.close()
    table = _traced(parts, len(batch.targets))
    told = table.to_dict()
    return {
        "preset": preset.source,
        "model": preset.model.name,
        "task": parts.choices["task"],
        "data": {"name": preset.data.name, **_data_facts(parts.data)},
        "layers": [assembly.plain(row) for row in told["rows"]],
        "weights": None if parts.weights is None else parts.weights.to_dict(),
        "failure": assembly.plain(told["failure"]),
        "parameters": table.parameters,
        "trainable_parameters": table.trainable_parameters,
        "flops": table.flops,
        "memory": _memory(preset, parts, batch, device, precision) if table.failure is None else None,
        "loss": _first_loss(parts.task, batch) if table.failure is None else None,
        "device": str(device),
        "precision": precision,
        "batch_size": len(batch.targets),
        "steps_per_epoch": -(-len(batches) // training.accumulate),
        "epochs": training.epochs,
        "notes": [*notes, *parts.data.notes, *batches.notes],
    }


def _batches(data: Data, training: Training) -> Batches:
    """The training part in the batches that a run would see, on the CPU."""
    return Batches(
        data.train,
        training.batch,
        seed=training.seed,
        device="cpu",
        shuffle=training.shuffle,
        drop_last=training.drop_last,
        train=True,
    )


def _traced(parts: Parts, batch_size: int) -> Trace:
    """The model's forward pass and, where a batch goes through it, the task's loss."""
    spec, options = parts.data.spec, Options()
    result = trace_pass(parts.model, spec, batch_size=batch_size, options=options)
    if result.trace.failure is None:
        task_name = parts.choices["task"].partition(" ")[0]
        result = through_loss(result, task_name, lambda _: _copied(parts.task), spec, batch_size, options)
    return result.trace


def _copied(task: Task) -> Task:
    """The same around the same network: a task keeps what it has moved to where a batch is, which has no numbers."""
    return copy.deepcopy(task, {id(module): module for module in task.model.modules()})


def _data_facts(data: Data) -> dict[str, Any]:
    """Kinds and shapes of a sample, and how many samples each part has."""
    spec = data.spec
    return {
        "input": spec.input,
        "input_shape": list(spec.input_shape),
        "target": spec.target,
        "num_outputs": spec.num_outputs,
        "class_names": list(spec.class_names),
        "train": len(data.train),
        "val": len(data.val),
        "test": len(data.test) if data.test is not None else 0,
    }


@torch.no_grad()
def _first_loss(task: Task, batch: Batch) -> float:
    """The loss of a batch before any training, in the task's first phase."""
    return float(task.loss(batch, task.phases[0].name)[0])


def _memory(
    preset: Preset, parts: Parts, batch: Batch, device: torch.device, precision: str
) -> dict[str, Any] | None:
    """Bytes of a step at its peak, by part, and what the device has ``free``; None where only a run can tell."""
    free = free_memory(device)
    kept = beside_batch(sizes_of(parts.data.train), preset.training, device, free)
    split = memory_of_step(Plan.of(preset, precision), parts.task, batch, beside=kept)
    return None if split is None else split.to_dict() | {"free": free}
