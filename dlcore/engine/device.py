"""The device that a draft would train on, and whether its memory suffices.

Asks the driver's management library only: a CUDA context of the engine's own would take several hundred
megabytes of the memory that is asked about.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import torch

from dlcore.data.memory import free_memory
from dlcore.errors import UserError
from dlcore.training.precision import choose_device, choose_precision

BF16 = (8, 0)
"""Compute capability of the first GPUs with bf16 matrix units."""


@dataclass(frozen=True)
class Place:
    """Where a draft would train.

    Attributes:
        device: None where there is none such.
        free: bytes of its memory; None when nobody can say.
        precision: name of the number format that a run would take.
        problem: a sentence when there is no such device.
    """

    name: str
    device: torch.device | None
    free: int | None = None
    precision: str = "fp32"
    problem: str = ""

    def facts(self, needed: int | None) -> dict[str, Any]:
        """As plain data, with whether so many bytes fit; null where one of the two is not known."""
        fits = None if self.free is None or needed is None else needed <= self.free
        return {"name": self.name, "free": self.free, "fits": fits, "problem": self.problem}


def find_place(wanted: str, precision: str) -> Place:
    """The device and number format that a run would take, as far as can be told without starting the device.

    Args:
        wanted, precision: as in a preset, such as ``auto``.
    """
    try:
        device = _device(wanted)
    except UserError as error:
        return Place(wanted, None, problem=error.lines[0])
    free = None
    with contextlib.suppress(Exception):  # a driver may answer anything, and this is only for information
        free = _free_gpu(device.index or 0) if device.type == "cuda" else free_memory()
    return Place(str(device), device, free, _precision(precision, device))


def _precision(wanted: str, device: torch.device) -> str:
    """As `choose_precision`, which would start CUDA to find out."""
    if wanted != "auto" or device.type != "cuda":
        return choose_precision(wanted, device)[0]
    with contextlib.suppress(Exception):
        return "bf16" if _compute_capability(device.index or 0) >= BF16 else "fp32"
    return "fp32"


def _device(wanted: str) -> torch.device:
    """As the run would choose, without `torch.cuda.current_device`, which starts CUDA."""
    if wanted in ("auto", "cuda") and torch.cuda.is_available():
        return torch.device("cuda", 0)
    return choose_device(wanted)[0]


def _free_gpu(index: int) -> int:
    """Free bytes of the GPU that torch calls ``index``, whatever CUDA_VISIBLE_DEVICES hides."""
    import pynvml

    return int(pynvml.nvmlDeviceGetMemoryInfo(_handle(index)).free)


def _compute_capability(index: int) -> tuple[int, int]:
    import pynvml

    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(_handle(index))
    return int(major), int(minor)


def _handle(index: int) -> Any:
    import pynvml

    pynvml.nvmlInit()
    return torch.cuda._get_pynvml_handler(torch.device("cuda", index))
