"""What the device can do and what a step asks of it: arithmetic, its fastest operation, and memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode

from dlcore.bench.loops import Timed, finish
from dlcore.step_cost import FORWARD_AND_BACKWARD, work_of_step
from dlcore.training.precision import DTYPES

SIDES = {"cpu": (512, 1024, 1536), "cuda": (4096, 8192, 16384), "mps": (1024, 2048, 4096)}
"""Sides of the square matrices that are multiplied: the largest products are not always the fastest."""

Candidate = tuple[str, int, Callable[[], object]]
"""An operation's name, its floating-point operations, and what computes it."""

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def flops_of_step(trainer: Timed) -> tuple[int, str]:
    """Floating-point operations of one optimizer step, a multiply-add counted as 2, and how they were found.

    They are counted while the step is made. Where a device's own kernel hides them (recurrent layers on a CPU), three
    times the forward pass of the traced network is taken: one forward and two backward. Of layers that are frozen
    nobody knows how far back the backward pass goes: the forward pass alone is taken then.
    """
    ((*batches,),) = trainer.take(1)
    with FlopCounterMode(display=False) as counter:
        trainer.stepper.step_by_step(batches, trainer.factor)
    counted = int(counter.get_total_flops())
    samples = max(len(batch.targets) for batch in batches)
    estimate = work_of_step(trainer.task, trainer.task.spec, samples, len(batches)) or 0
    times = "three times"
    if not all(parameter.requires_grad for parameter in trainer.task.model.parameters()):
        estimate, times = estimate // FORWARD_AND_BACKWARD, "at least"
    if len(trainer.task.phases) == 1 and counted < estimate / 2:
        return estimate, f"estimated as {times} the forward pass of the traced network"
    return counted, "counted while a step was made"


def peak_flops(device: torch.device, precision: str, seconds: float) -> tuple[float, str]:
    """Operations a second of the fastest operation there is, in the number format of the training, and its name.

    Tried are products of square matrices and a convolution: in fp32 the latter is over twice as fast on AMD processors,
    whose widest instructions the library of matrix products leaves alone.

    Args:
        seconds: to spend.
    """
    dtype = DTYPES.get(precision, torch.float32)
    found = [(0.0, "")]
    candidates = [*_products(device, dtype), *_convolutions(device, dtype)]
    for name, operations, compute in candidates:
        end = time.perf_counter() + seconds / len(candidates)
        compute()  # once to warm up
        finish(device)
        while True:
            start = time.perf_counter()
            compute()
            finish(device)
            now = time.perf_counter()
            found.append((operations / (now - start), name))
            if now >= end:
                break
    return max(found)


def _products(device: torch.device, dtype: torch.dtype) -> Iterator[Candidate]:
    for side in SIDES.get(device.type, SIDES["cpu"]):
        left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        yield "matrix product", 2 * side**3, partial(torch.mm, left, right, out=torch.empty_like(left))


def _convolutions(device: torch.device, dtype: torch.dtype) -> Iterator[Candidate]:
    """One of 256 channels on 256, 3×3, over 16 pictures of 14×14."""
    pictures, filters = (
        torch.randn(shape, device=device).to(dtype, memory_format=torch.channels_last)
        for shape in ((16, 256, 14, 14), (256, 256, 3, 3))
    )
    operations = 2 * 9 * 256 * pictures.numel()
    yield "convolution", operations, partial(torch.conv2d, pictures, filters, padding=1)


@dataclass(frozen=True)
class Memory:
    """Bytes.

    Attributes:
        peak: most in use while the training went on.
        before: in use when it began.
        kind: ``allocated`` on a GPU, ``resident`` of the whole process on a CPU.
    """

    peak: int
    before: int
    kind: str


@contextmanager
def memory_watched(device: torch.device) -> Iterator[list[Memory]]:
    """Inside the block memory is watched; afterwards the list holds what was seen."""
    seen: list[Memory] = []
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield seen
        seen.append(Memory(torch.cuda.max_memory_allocated(device), before, "allocated"))
        return
    before = psutil.Process().memory_info().rss
    with suppress(OSError):
        _RESET.write_text("5")  # the high-water mark begins anew
    yield seen
    seen.append(Memory(max(before, _highest()), before, "resident"))


def _highest() -> int:
    """The process's high-water mark of resident memory."""
    with suppress(OSError, ValueError, StopIteration):
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def cpu_has_bf16() -> bool:
    """Whether the processor multiplies in bf16 itself; by emulation it is 40 to 500 times slower."""
    checks: tuple[Any, ...] = tuple(
        getattr(torch.cpu, name, lambda: False)
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return any(check() for check in checks)
