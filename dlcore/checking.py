"""Everything short of training: the preset's parts built, one batch traced, memory estimated, one loss taken."""

from __future__ import annotations

from typing import Any

import torch

from dlcore import assembly
from dlcore.assembly import Parts
from dlcore.data.batches import Batches
from dlcore.data.spec import Batch, Data
from dlcore.inspection.memory import estimate_memory
from dlcore.inspection.records import Trace
from dlcore.inspection.shapes import Options, trace_pass
from dlcore.inspection.through_loss import through_loss
from dlcore.preset import Preset, Training
from dlcore.training.memory import expected
from dlcore.training.precision import Precision, choose_device, choose_precision
from dlcore.training.task import Task


def check(preset: Preset) -> dict[str, Any]:
    """What a run of this preset would be.

    Returns:
        Plain data: ``data`` (kinds, shapes and sample counts), ``layers`` and totals of the trace, ``failure``
        (null when a batch goes through), ``weights`` (what was loaded, what not and why; null for a random start),
        ``memory`` in bytes of one training step, ``loss`` of the first batch before training, ``device``,
        ``precision``, ``steps_per_epoch`` and ``notes``.

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
        "memory": _memory(preset, parts, batch, precision, table),
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
        result = through_loss(result, task_name, lambda _: parts.task, spec, batch_size, options)
    return result.trace


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


def _memory(preset: Preset, parts: Parts, batch: Batch, precision: str, table: Trace) -> dict[str, int]:
    """Bytes of a step at its peak, by part; by a rougher rule where a step depends on numbers."""
    training = preset.training
    try:
        return expected(
            parts.task,
            lambda task: assembly.build_optimizers(preset, task),
            training,
            Precision(precision, torch.device("cpu")),
            batch,
        ).to_dict()
    except Exception:  # a network of the user's own may do anything, and reinforcement learning plays
        return estimate_memory(
            table, optimizer=preset.optimizer.name, options=preset.optimizer.options, ema=training.ema > 0
        ).to_dict()
