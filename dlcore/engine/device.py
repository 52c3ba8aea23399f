"""The device that a draft would train on, and whether its memory suffices.

Asks the driver's management library only: a CUDA context of the engine's own would take several hundred
megabytes of the memory that is asked about.
"""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from dlcore.errors import UserError
from dlcore.training.precision import choose_device


def device_facts(wanted: str, needed: int) -> dict[str, Any]:
    """The device as plain data.

    Args:
        wanted: as in a preset, such as ``auto``.
        needed: bytes of a training step.

    Returns:
        ``name``; ``free`` bytes of its memory and whether what is needed ``fits``, both null when nobody can
        say; ``problem``, a sentence when there is no such device.
    """
    try:
        device = _device(wanted)
    except UserError as error:
        return {"name": wanted, "free": None, "fits": None, "problem": error.lines[0]}
    free = None
    with contextlib.suppress(Exception):  # a driver may answer anything, and this is only for information
        free = _free_gpu(device.index or 0) if device.type == "cuda" else _free_memory()
    return {
        "name": str(device),
        "free": free,
        "fits": None if free is None else needed <= free,
        "problem": "",
    }


def _device(wanted: str) -> torch.device:
    """As the run would choose, without `torch.cuda.current_device`, which starts CUDA."""
    if wanted in ("auto", "cuda") and torch.cuda.is_available():
        return torch.device("cuda", 0)
    return choose_device(wanted)[0]


def _free_memory() -> int:
    import psutil

    return int(psutil.virtual_memory().available)


def _free_gpu(index: int) -> int:
    """Free bytes of the GPU that torch calls ``index``, whatever CUDA_VISIBLE_DEVICES hides."""
    import pynvml

    pynvml.nvmlInit()
    handle = torch.cuda._get_pynvml_handler(torch.device("cuda", index))
    return int(pynvml.nvmlDeviceGetMemoryInfo(handle).free)
