"""Device, number format and threads: what the run computes on and in, each choice with its reason."""

from __future__ import annotations

import os
import platform
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy
import torch

from dlcore.errors import UserError
from dlcore.preset import Training
from dlcore.training.heap import keep_freed_memory

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(wanted: str) -> tuple[torch.device, str]:
    """The device to train on, and why.

    Raises:
        UserError: the wanted device is not there.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device()), "a CUDA GPU is there"
        if torch.backends.mps.is_available():
            return torch.device("mps"), "an Apple GPU is there"
        return torch.device("cpu"), "no GPU is there"
    device = torch.device(wanted)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            raise UserError(
                "training.device is 'cuda', but this machine shows no CUDA GPU; use 'cpu' or 'auto'."
            )
        if (device.index or 0) >= count:
            raise UserError(
                f"training.device is '{wanted}', but there are only {count} GPUs, numbered from 0."
            )
        device = torch.device(
            "cuda", device.index if device.index is not None else torch.cuda.current_device()
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("training.device is 'mps', but this machine shows no Apple GPU; use 'cpu' or 'auto'.")
    return device, "asked for"


def choose_precision(wanted: str, device: torch.device) -> tuple[str, str]:
    """``fp32``, ``bf16`` or ``fp16``, and why.

    bf16 on a CPU without its instructions is 40 to 500 times slower (pytorch #118499), so auto never
    takes it there.
    """
    if wanted != "auto":
        return wanted, "asked for"
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16", "the GPU has bf16 matrix units"
    return "fp32", f"the safe choice on {device.type}"


class Precision:
    """Autocast and gradient scaling for one number format."""

    def __init__(self, name: str, device: torch.device) -> None:
        self.name = name
        self._device_type = device.type
        self.scaler = torch.amp.GradScaler(device.type) if name == "fp16" else None

    def autocast(self) -> AbstractContextManager[Any]:
        """The context for forward and loss; free in fp32."""
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(self._device_type, dtype=DTYPES[self.name])


def set_up_backends(training: Training, device: torch.device) -> None:
    """Process-wide switches of torch, as the preset has them."""
    if training.threads and training.threads != "auto":
        torch.set_num_threads(training.threads)
    torch.use_deterministic_algorithms(training.deterministic, warn_only=False)
    if (
        training.deterministic and device.type == "cuda"
    ):  # without it cuBLAS is not, and torch refuses to multiply
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.autograd.set_detect_anomaly(training.detect_anomaly)
    if device.type == "cpu":
        keep_freed_memory()
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = training.cudnn_benchmark and not training.deterministic
        with (
            warnings.catch_warnings()
        ):  # of a newer way to say it, after which torch.compile fails (pytorch #166387)
            warnings.simplefilter("ignore")
            torch.backends.cuda.matmul.allow_tf32 = True
            torch.backends.cudnn.allow_tf32 = True


def fingerprint(device: torch.device) -> dict[str, str]:
    """What must be equal for a resumed run to be bitwise what the uninterrupted one would have been."""
    facts = {
        "torch": str(torch.__version__),  # a plain string: weights_only refuses its subclass
        "numpy": numpy.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": device.type,
        "threads": str(torch.get_num_threads()),
    }
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
        facts["cuda"] = str(torch.version.cuda)
        facts["cudnn"] = str(torch.backends.cudnn.version())
    else:
        facts["cpu"] = torch.backends.cpu.get_cpu_capability()
    return facts
