"""What might make a preset faster on this machine: candidates, none of them believed before it is measured."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from dlcore.bench.hardware import cpu_has_bf16
from dlcore.cores import usable_cores
from dlcore.data.spec import DatasetPart
from dlcore.opening import Opened

COMPILING = 25.0
"""Seconds that a first torch.compile takes on a slow processor, and the least that must be left for it."""


@dataclass(frozen=True)
class Change:
    """A change of the preset's training section.

    Attributes:
        training: keys and values.
        say: what it does, and what else it changes.
        dear: seconds that it takes to be ready.
    """

    training: dict[str, Any] = field(default_factory=dict)
    say: str = ""
    dear: float = 0.0

    @property
    def sets(self) -> tuple[str, ...]:
        """As given to ``--set``."""
        return tuple(f"training.{key}={_toml(value)}" for key, value in self.training.items())


def candidates(opened: Opened) -> tuple[list[Change], dict[str, str]]:
    """Changes worth a measurement, the likeliest first, and by key why others are not."""
    left: dict[str, str] = {}
    groups = (_costly, _workers, _batch_size, _threads, _channels_last, _precision, _graph, _compile)
    found = [change for group in groups for change in group(opened, left)]
    return found, left


def _costly(opened: Opened, left: dict[str, str]) -> Iterator[Change]:
    """What a preset asked for that costs time."""
    training = opened.preset.training
    if training.detect_anomaly:
        yield Change({"detect_anomaly": False}, "stops looking for what made a number non-finite")
    if training.deterministic:
        yield Change({"deterministic": False}, "results differ from run to run")
    if training.gradient_checkpointing:
        yield Change({"gradient_checkpointing": False}, "takes more memory")


def _workers(opened: Opened, left: dict[str, str]) -> Iterator[Change]:
    now, part = opened.preset.training.loaders, opened.parts.data.train
    if not isinstance(part, DatasetPart):
        left["training.workers"] = "the data is in memory"
        return
    if opened.parts.data.spec.target == "reward":
        left["training.workers"] = "the environment is played in the training process"
        return
    cores = usable_cores()
    for workers in sorted({0, 1, max(1, cores // 2), cores, min(16, 2 * cores)} - {now}):
        yield Change({"workers": workers}, "changes nothing but speed")


def _threads(opened: Opened, left: dict[str, str]) -> Iterator[Change]:
    if opened.device.type != "cpu":
        left["training.threads"] = "the GPU computes"
        return
    now, cores = torch.get_num_threads(), usable_cores()
    others = {1, max(1, cores // 2), cores} - {now}
    if not others:
        left["training.threads"] = "there is one core"
    for threads in sorted(others):
        yield Change({"threads": threads}, "changes sums in their last digits only")


def _batch_size(opened: Opened, left: dict[str, str]) -> Iterator[Change]:
    training, samples = opened.preset.training, len(opened.parts.data.train)
    for times in (2, 4):
        if training.batch * times <= samples:
            yield Change(
                {"batch_size": training.batch * times},
                f"{times} times fewer steps an epoch: the learning rate may want to be higher",
            )
        else:
            left.setdefault(
                "training.batch_size", f"{samples:,} samples give no batch of {training.batch * times:,}"
            )


def _precision(opened: Opened, left: dict[str, str]) -> Iterator[Change]:
    kinds = ["fp32", "bf16", "fp16"] if opened.device.type == "cuda" else ["fp32", "bf16"]
    if opened.device.type == "cpu" and not cpu_has_bf16():
        left["training.precision"] = "this processor has no bf16 instructions"
        return
    for kind in kinds:
        if kind != opened.precision:
            exact = (
                "exact to 7 digits, but factors of products to 3"
                if opened.device.type == "cuda"
                else "exact to 7 digits"
            )
            say = exact if kind == "fp32" else "numbers of 3 digits: compare the result, too"
            yield Change({"precision": kind}, say)


def _channels_last(opened: Opened, left: dict[str, str]) -> Iterator[Change]:
    if not any(isinstance(module, nn.Conv2d) for module in opened.parts.task.model.modules()):
        left["training.channels_last"] = "there are no convolutions over images"
        return
    now = opened.preset.training.channels_last
    yield Change({"channels_last": not now}, "changes nothing but the order in memory")


def _graph(opened: Opened, left: dict[str, str]) -> Iterator[Change]:
    if opened.device.type != "cuda":
        return
    now, reason = opened.graph()
    if now:
        yield Change({"graph": False}, "every operation of a step is launched by itself")
    elif opened.preset.training.graph is False:
        yield Change({"graph": True}, "a step is recorded once and replayed in one launch")
    else:
        left["training.graph"] = reason


def _compile(opened: Opened, left: dict[str, str]) -> Iterator[Change]:
    if opened.preset.training.compile:
        yield Change({"compile": False}, "starts sooner")
    elif opened.device.type == "cpu" and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        left["training.compile"] = "torch.compile wants a C++ compiler (g++), and there is none"
    elif opened.device.type == "mps":
        left["training.compile"] = "torch.compile is not ready for Apple GPUs"
    else:
        yield Change({"compile": True}, "the first step takes long", dear=COMPILING)


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
