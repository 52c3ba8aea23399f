"""From a preset to a trainer: every choice made, the parts built and on their device, batches and loop set up.

Writes nothing: a training, a measurement and a process of many open a preset in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dlcore import assembly
from dlcore.assembly import Parts
from dlcore.cores import waiting
from dlcore.data.batches import Batches
from dlcore.data.spec import Part
from dlcore.errors import UserError
from dlcore.preset import Preset
from dlcore.training.ema import EMA
from dlcore.training.precision import Precision, choose_device, choose_precision, set_up_backends
from dlcore.training.recorder import Recorder
from dlcore.training.rematerialise import rematerialise_blocks
from dlcore.training.trainer import Trainer
from dlcore.training.weight_mapping import Loaded


@dataclass(frozen=True)
class Opened:
    """A preset's parts on the device that they train on.

    Attributes:
        precision: name of the number format.
        choices: what was chosen without being asked for, and why, by key.
    """

    preset: Preset
    parts: Parts
    device: torch.device
    precision: str
    choices: dict[str, str]

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
            parts.model.compile()
        if training.channels_last:
            parts.task.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, unused-ignore]
        return self

    def batches(self, part: Part, *, train: bool) -> Batches:
        """A part cut into batches as the preset says."""
        training = self.preset.training
        return Batches(
            part,
            training.batch_size if train else training.eval_batch_size or max(256, training.batch_size),
            seed=training.seed,
            device=self.device,
            shuffle=train and training.shuffle,
            drop_last=train and training.drop_last,
            workers=training.workers,
            train=train,
        )

    def trainer(self, recorder: Recorder, *, kind: type[Trainer] = Trainer, **stands_on: Any) -> Trainer:
        """The loop over these parts.

        Args:
            kind: of trainer.
            stands_on: what else the trainer is handed: saver, control, flags, looks, remember.
        """
        preset, parts = self.preset, self.parts
        return kind(
            parts.task,
            self.batches(parts.data.train, train=True),
            self.batches(parts.data.val, train=False),
            assembly.build_optimizers(preset, parts.task, parts.rates),
            assembly.build_schedule(preset),
            training=preset.training,
            checkpoint=preset.checkpoint,
            precision=Precision(self.precision, self.device),
            ema=EMA(parts.task.model, preset.training.ema) if preset.training.ema else None,
            recorder=recorder,
            freezing=parts.freezing,
            **stands_on,
        )


def open_preset(
    preset: Preset,
    report: Callable[[str], None],
    *,
    runs: Path | None = None,
    loaded: Loaded | None = None,
) -> Opened:
    """Choose, load, build, and bring everything to where it trains.

    Raises:
        UserError: what to mend.
    """
    return choose_and_build(preset, report, runs=runs, loaded=loaded).furnish()


def choose_and_build(
    preset: Preset,
    report: Callable[[str], None],
    *,
    runs: Path | None = None,
    loaded: Loaded | None = None,
) -> Opened:
    """Choose, load and build; the network is on the CPU, as it was drawn.

    Args:
        report: shows a line of progress.
        runs, loaded: see `assembly.build`.

    Raises:
        UserError: what to mend.
    """
    training = preset.training
    device, device_reason = choose_device(training.device)
    precision, precision_reason = choose_precision(training.precision, device)
    set_up_backends(training, device)
    parts = assembly.build(preset, report, runs=runs, loaded=loaded)
    if not len(parts.data.val):
        raise UserError("data.val leaves no samples to choose the best weights by; try data.val = 0.1.")
    choices = parts.choices | {
        "device": f"{device} ({device_reason})",
        "precision": f"{precision} ({precision_reason})",
        "threads": f"{torch.get_num_threads()} ({waiting()})",
    }
    return Opened(preset, parts, device, precision, choices)
