"""Whether steps are recorded and replayed, and why, as far as a preset tells before anything runs."""

from __future__ import annotations

import torch

from dlcore.data.spec import DataSpec
from dlcore.preset import Preset

OWN_GRAPHS = ("reduce-overhead", "max-autotune")
"""Modes of torch.compile that record graphs of their own."""


def choose_graph(
    preset: Preset, spec: DataSpec, device: torch.device, precision: str, *, fused: bool
) -> tuple[bool, str]:
    """Whether to try, and why.

    Args:
        fused: whether the optimizer has one kernel for all weights, which also looks whether a step may be made.
    """
    training = preset.training
    if training.graph is False:
        return False, "asked for"
    reasons = {
        "only CUDA GPUs replay steps": device.type != "cuda",
        "sgd that is not fused waits for the device to tell its rate": preset.optimizer.name == "sgd"
        and not fused,
        "an environment answers within every step": spec.target == "reward",
        "a step takes several batches": training.accumulate > 1,
        "detect_anomaly looks at every operation": training.detect_anomaly,
        "what is computed twice draws its random numbers again": training.gradient_checkpointing,
        f"torch.compile records its own in mode {training.compile}": training.compile in OWN_GRAPHS,
        f"fp16 waits for the device where {preset.optimizer.name} is not fused": precision == "fp16"
        and not fused,
        f"skipping waits for the device where {preset.optimizer.name} is not fused": (
            training.non_finite == "skip" and not fused
        ),
    }
    found = next((reason for reason, holds in reasons.items() if holds), "")
    if found:
        return False, found
    return (
        True,
        "asked for" if training.graph is True else "a step is recorded once and replayed in one launch",
    )
