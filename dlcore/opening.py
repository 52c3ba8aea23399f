"""From a preset to a trainer: every choice made, the parts built and on their device, batches and loop set up.

Writes nothing: a training, a measurement and a process of many open a preset in the same way.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlcore import assembly
from dlcore.assembly import FUSED, Parts
from dlcore.cores import waiting
from dlcore.data.batches import Batches
from dlcore.data.placing import fits_on
from dlcore.data.spec import Part, TensorPart
from dlcore.errors import UserError
from dlcore.preset import Preset, Training
from dlcore.thread_count import use_threads_worth_it
from dlcore.training.capture.backend import CudaGraphs
from dlcore.training.capture.choice import choose_graph
from dlcore.training.capture.stepper import CapturedStepper
from dlcore.training.compiling import compile_network
from dlcore.training.ema import EMA
from dlcore.training.freezing import and_settled
from dlcore.training.precision import Precision, choose_device, choose_precision, set_up_backends
from dlcore.training.recorder import Recorder
from dlcore.training.rematerialise import rematerialise_blocks
from dlcore.training.step import Stepper
from dlcore.training.trainer import Trainer
from dlcore.training.weight_mapping import Loaded


@dataclass(frozen=True)
class Opened:
    """A preset's parts on the device that they train on.

    Attributes:
        precision: name of the number format.
        choices: what was chosen without being asked for, and why, by key.
        share: picks a process's part of a training batch, where several train together.
    """

    preset: Preset
    parts: Parts
    device: torch.device
    precision: str
    choices: dict[str, str]
    share: Callable[[Tensor], Tensor] | None = None

    def copy(self) -> Opened:
        """With a network, task and freezing of its own; the data is shared."""
        parts = self.parts
        task, model, freezing, rates = copy.deepcopy((parts.task, parts.model, parts.freezing, parts.rates))
        own = replace(parts, task=task, model=model, freezing=freezing, rates=rates)
        return replace(self, parts=own)

    def furnish(self) -> Opened:
        """Move the network to its device, into its memory order, and compile it, as the preset says.

        Raises:
            UserError: the network is not made for it.
        """
        training, parts = self.preset.training, self.parts
        parts.task.model.to(self.device)
        if training.gradient_checkpointing:
            rematerialise_blocks(parts.model)
        if training.compile:
            compile_network(parts.model, "default" if training.compile is True else training.compile)
        if training.channels_last is True:
            parts.task.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, unused-ignore]
        return self

    def batches(self, part: Part, *, train: bool) -> Batches:
        """A part cut into batches as the preset says."""
        training = self.preset.training
        return Batches(
            part,
            training.batch if train else training.eval_batch_size or max(256, training.batch),
            seed=training.seed,
            device=self.device,
            shuffle=train and training.shuffle,
            drop_last=train and training.drop_last,
            workers=training.loaders,
            on_device=training.data_on_device,
            share=self.share if train else None,
            train=train,
        )

    def trainer(
        self,
        recorder: Recorder,
        *,
        kind: type[Trainer] = Trainer,
        stepping: Callable[..., Stepper] | None = None,
        **stands_on: Any,
    ) -> Trainer:
        """The loop over these parts.

        Args:
            kind: of trainer.
            stepping: makes the stepper; None: as `stepping` says.
            stands_on: what else the trainer is handed: saver, control, flags, looks, remember.
        """
        preset, parts = self.preset, self.parts
        optimizers = assembly.build_optimizers(preset, parts.task, parts.rates)
        train = self.batches(parts.data.train, train=True)
        steps_per_epoch = -(-len(train) // preset.training.accumulate)
        stepper = (stepping or self.stepping())(
            parts.task,
            optimizers,
            preset.training,
            Precision(self.precision, self.device),
            EMA(parts.task.model, preset.training.ema) if preset.training.ema else None,
        )
        return kind(
            stepper,
            train,
            self.batches(parts.data.val, train=False),
            assembly.build_schedule(preset),
            training=preset.training,
            checkpoint=preset.checkpoint,
            recorder=recorder,
            freezing=and_settled(parts.freezing, parts.model, optimizers, steps_per_epoch),
            **stands_on,
        )

    def stepping(self) -> Callable[..., Stepper]:
        """What makes the stepper: one that replays recorded steps where that may be tried."""
        if not self.graph()[0]:
            return Stepper
        watch = not self.preset.training.compile
        return partial(CapturedStepper, backend=CudaGraphs(self.device), watch=watch)

    def graph(self) -> tuple[bool, str]:
        """Whether steps are to be recorded and replayed, and why."""
        preset = self.preset
        fused = preset.optimizer.name in FUSED and preset.training.fused
        return choose_graph(preset, self.parts.data.spec, self.device, self.precision, fused=fused)


def load_and_build(
    preset: Preset,
    report: Callable[[str], None],
    *,
    runs: Path | None = None,
    loaded: Loaded | None = None,
    resuming: bool = False,
) -> Opened:
    """Choose a device, load the data and build the network, which is on the CPU as it was drawn.

    Args:
        report: shows a line of progress.
        runs, loaded, resuming: see `assembly.build`.

    Raises:
        UserError: what to mend.
    """
    training = preset.training
    device, device_reason = choose_device(training.device)
    precision, precision_reason = choose_precision(training.precision, device)
    set_up_backends(training, device)
    parts = assembly.build(preset, report, runs=runs, loaded=loaded, resuming=resuming)
    if not len(parts.data.val):
        raise UserError("data.val leaves no samples to choose the best weights by; try data.val = 0.1.")
    alone = use_threads_worth_it(parts, training, device)
    choices = parts.choices | {
        "device": f"{device} ({device_reason})",
        "precision": f"{precision} ({precision_reason})",
        "threads": f"{torch.get_num_threads()} ({alone or _threads_reason(training)})",
        "batch_size": f"{training.batch_size} (asked for)",
        "workers": f"{training.workers} (asked for)",
        "channels_last": f"{'on' if training.channels_last else 'off'} (asked for)",
        "optimizer": _optimizer(preset),
        "data": whereabouts(parts.data.train, device, training),
    }
    opened = Opened(preset, parts, device, precision, choices)
    replayed, reason = opened.graph()
    return replace(opened, choices=choices | {"graph": f"{'on' if replayed else 'off'} ({reason})"})


def _threads_reason(training: Training) -> str:
    if torch.get_num_threads() > 1:
        return waiting()
    return "asked for" if training.threads == 1 else "as torch found it"


def _optimizer(preset: Preset) -> str:
    if preset.optimizer.name not in FUSED:
        return f"{preset.optimizer.name} (it has no fused kernel)"
    if not preset.training.fused:
        return f"{preset.optimizer.name}, not fused (asked for)"
    return f"{preset.optimizer.name}, fused (one kernel changes all weights)"


def whereabouts(part: Part, device: torch.device, training: Training) -> str:
    """Where the training part is while it is learnt from, and how its batches get to the device."""
    travels = ", copied from pinned memory one batch ahead" if device.type == "cuda" else ""
    if not isinstance(part, TensorPart):
        return f"read batch by batch{travels} ({len(part):,} samples are not kept in memory)"
    size = f"{part.inputs.nbytes / 2**20:,.1f} MiB"
    if device.type == "cpu":
        return f"in memory ({size})"
    if not training.data_on_device:
        return f"in the host's memory{travels} (asked for; {size})"
    if fits_on(device, part.inputs):
        return f"on {device} ({size}, less than half of its free memory)"
    return f"in the host's memory{travels} ({size} are more than half of what is free on {device})"
