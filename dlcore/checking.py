"""Everything short of training: the preset's parts built, one batch traced, memory estimated, one loss taken."""

from __future__ import annotations

from typing import Any

import torch

from dlcore import assembly
from dlcore.assembly import Parts
from dlcore.data.batches import Batches
from dlcore.data.spec import Batch
from dlcore.inspection.memory import estimate_memory
from dlcore.inspection.records import Trace
from dlcore.inspection.shapes import Options, trace_pass
from dlcore.inspection.through_loss import through_loss
from dlcore.preset import Preset
from dlcore.training.memory import expected
from dlcore.training.precision import Precision, choose_device, choose_precision


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
    data, spec = parts.data, parts.data.spec
    batches = Batches(
        data.train,
        training.batch,
        seed=training.seed,
        device="cpu",
        shuffle=training.shuffle,
        drop_last=training.drop_last,
        train=True,
    )
    batch = next(iter(batches.epoch(0)))
    batches.close()
    count, options = len(batch.targets), Options()
    result = trace_pass(parts.model, spec, batch_size=count, options=options)
    if result.trace.failure is None:
        name = parts.choices["task"].partition(" ")[0]
        result = through_loss(result, name, lambda _: parts.task, spec, count, options)
    table = result.trace
    memory = _memory(preset, parts, batch, precision, table)
    loss = None
    if table.failure is None:
        with torch.no_grad():
            loss = float(parts.task.loss(batch, parts.task.phases[0].name)[0])
    return {
        "preset": preset.source,
        "model": preset.model.name,
        "task": parts.choices["task"],
        "data": {
            "name": preset.data.name,
            "input": spec.input,
            "input_shape": list(spec.input_shape),
            "target": spec.target,
            "num_outputs": spec.num_outputs,
            "class_names": list(spec.class_names),
            "train": len(data.train),
            "val": len(data.val),
            "test": len(data.test) if data.test is not None else 0,
        },
        "layers": [assembly.plain(row) for row in table.to_dict()["rows"]],
        "weights": None if parts.weights is None else parts.weights.to_dict(),
        "failure": assembly.plain(table.to_dict()["failure"]),
        "parameters": table.parameters,
        "trainable_parameters": table.trainable_parameters,
        "flops": table.flops,
        "memory": memory,
        "loss": loss,
        "device": str(device),
        "precision": precision,
        "batch_size": len(batch.targets),
        "steps_per_epoch": -(-len(batches) // training.accumulate),
        "epochs": training.epochs,
        "notes": [*notes, *data.notes, *batches.notes],
    }


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
