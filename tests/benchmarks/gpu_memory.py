"""A step's memory on a device: its parts added up beside what the allocator holds, and what was expected of it.

Part of ``python -m tests.benchmarks.gpu``. What the device held before the step, beside weights, gradients, the
optimizer's state and the batch, is known then and added to what is expected of the step: the other parts of the data,
and the workspaces of cuBLAS, tens of megabytes whatever the network.
"""

from __future__ import annotations

import gc
from dataclasses import replace

import torch

from dlcore import assembly
from dlcore.bench.bench import Bench
from dlcore.bench.loops import Timed
from dlcore.training.memory import MemorySplit, expected, known_parts
from dlcore.training.precision import Precision

HEADER = [
    "preset",
    "parts, MiB",
    "sum / reserved",
    "≤ 2 % off",
    "held before, MiB",
    "expected / measured",
    "≤ 20 % off",
]
MIB = 2**20


def weighed(bench: Bench) -> list[str]:
    """One row."""
    _clear(bench.opened.device)
    try:
        guess: MemorySplit | None = _expected(bench)
    except Exception as error:  # a step that depends on numbers
        guess, why = None, type(error).__name__
    with bench.training(bench.opened) as trainer:
        trainer.advance(1)
        held = _held(trainer)
        trainer.advance(1)
        found = trainer.recorder.summary.get("memory")
        device = trainer.train.device
        reserved = torch.cuda.memory_reserved(device) if device.type == "cuda" else 0
    if not found:
        return ["not weighed: the network is compiled", "", "", "", "", ""]
    split = MemorySplit(**{name: found[name] for name in MemorySplit.__dataclass_fields__})
    parts = " + ".join(
        f"{name} {size / MIB:.1f}" for name, size in found.items() if name not in ("peak", "total") and size
    )
    adds_up = split.total / reserved if reserved else sum(vars(split).values()) / split.total
    row = [parts, f"{adds_up:.3f}", _close(adds_up, 0.02), f"{held / MIB:.1f}"]
    if guess is None:
        return [*row, f"not expected: {why}", ""]
    ratio = (guess.peak - guess.data + split.data + held) / split.peak
    return [*row, f"{ratio:.2f}", _close(ratio, 0.2)]


def _expected(bench: Bench) -> MemorySplit:
    opened = replace(bench.opened.copy(), device=torch.device("cpu"))
    batches = opened.batches(opened.parts.data.train, train=True)
    batch = next(iter(batches.epoch(0)))
    batches.close()
    return expected(
        opened.parts.task,
        lambda task: assembly.build_optimizers(opened.preset, task),
        opened.preset.training,
        Precision(opened.precision, opened.device),
        batch,
    )


def _held(trainer: Timed) -> int:
    """Bytes on the device between two steps that belong to none of the parts; none are known of a CPU."""
    device = trainer.train.device
    if device.type != "cuda":
        return 0
    parts = known_parts(trainer.stepper, trainer.train.resident)
    storages = {
        each.untyped_storage().data_ptr(): each.untyped_storage().nbytes()
        for tensors in parts.values()
        for each in tensors
        if each.is_cuda
    }
    return max(0, torch.cuda.memory_allocated(device) - sum(storages.values()))


def _clear(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()


def _close(ratio: float, share: float) -> str:
    return "yes" if abs(ratio - 1) <= share else "no"
