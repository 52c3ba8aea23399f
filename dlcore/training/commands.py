"""Carrying out what a viewer asked for; one function a command, found by its name."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from dlcore.control import Command
from dlcore.text_safety import safe_text
from dlcore.training.outcome import Outcome
from dlcore.training.signals import EXIT_CODES

if TYPE_CHECKING:
    from dlcore.training.trainer import Trainer

Answer = tuple[bool, str]

PAUSE = 0.1
"""Seconds between two looks of a paused training."""


def attend(trainer: Trainer) -> None:
    """Carry out what viewers and signals asked for since the last look; waits while the training is paused."""
    flags = trainer.flags
    while True:
        for command in trainer.control.poll():
            ok, message = obey(trainer, command)
            trainer.recorder.event(
                "command", id=command.id, command=command.command, value=command.value, ok=ok, message=message
            )  # fmt: skip
        if flags.save_wanted:
            flags.save_wanted = flags.raised = False
            trainer.save()
        if flags.received is not None and trainer.outcome is None:
            trainer.save()
            trainer.outcome = Outcome("stopped", EXIT_CODES[flags.received], flags.received.name)
        if not trainer.progress.paused or trainer.outcome is not None:
            return
        time.sleep(PAUSE)


def obey(trainer: Trainer, command: Command) -> Answer:
    """Carry out one command.

    Returns:
        Whether it was done, and a sentence about it.
    """
    handler = _HANDLERS.get(command.command)
    if handler is None:
        return False, f"Unknown command '{command.command}'."
    try:
        return handler(trainer, command)
    except Exception as error:  # what is asked for on the side must not end the training
        traceback.print_exc()
        return False, safe_text(f"{command.command} failed: {type(error).__name__}: {error}", limit=300)


def _pause(trainer: Trainer, command: Command) -> Answer:
    if trainer.progress.paused:
        return True, "Already paused."
    trainer.progress.paused = True
    trainer.recorder.state(force=True, status="paused")
    trainer.recorder.event("paused", step=trainer.progress.step)
    return True, f"Paused at step {trainer.progress.step:,}."


def _continue(trainer: Trainer, command: Command) -> Answer:
    if not trainer.progress.paused:
        return True, "Not paused."
    trainer.progress.paused = False
    trainer.recorder.state(force=True, status="running")
    trainer.recorder.event("continued", step=trainer.progress.step)
    return True, "Goes on."


def _stop(trainer: Trainer, command: Command) -> Answer:
    trainer.progress.paused = False  # a resumed run should run
    trainer.save()
    trainer.outcome = Outcome("stopped", 130, "asked to")
    return True, f"Stopping at step {trainer.progress.step:,}; saved."


def _save(trainer: Trainer, command: Command) -> Answer:
    trainer.save()
    return True, f"Saving step {trainer.progress.step:,}."


def _evaluate(trainer: Trainer, command: Command) -> Answer:
    results = trainer.evaluate()
    shown = ", ".join(f"{name} {value:.4g}" for name, value in results.items())
    return True, f"Step {trainer.progress.step:,}: {shown}."


def _inspect(trainer: Trainer, command: Command) -> Answer:
    return True, f"Inspection written: {trainer.looks.take(trainer, 'asked')}."


def _lr(trainer: Trainer, command: Command) -> Answer:
    value = command.value
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not math.isfinite(value)
        or value <= 0
    ):
        return False, "The learning rate must be a finite number above 0."
    progress = trainer.progress
    group = next(iter(trainer.optimizers.values())).param_groups[0]
    factor = trainer.schedule.factor(progress.step, trainer.total_steps, trainer.steps_per_epoch)
    if factor <= 0:
        return False, "The schedule has brought the learning rate to 0; it can no longer be scaled."
    progress.lr_scale = float(value) / (group["initial_lr"] * factor)
    return True, f"Learning rate {value:g} from step {progress.step:,}; the schedule goes on from there."


def _epochs(trainer: Trainer, command: Command) -> Answer:
    value, finished = command.value, trainer.progress.epoch
    if not isinstance(value, int) or isinstance(value, bool) or not finished < value <= 10**6:
        return False, f"epochs must be a whole number above the {finished} finished ones."
    trainer.training = trainer.training.model_copy(update={"epochs": value})
    trainer.remember(trainer.training)
    trainer.recorder.state(force=True, epochs=value)
    return True, f"Trains to epoch {value}."


_HANDLERS: dict[str, Callable[[Trainer, Command], Answer]] = {
    "pause": _pause,
    "continue": _continue,
    "stop": _stop,
    "save": _save,
    "evaluate": _evaluate,
    "inspect": _inspect,
    "lr": _lr,
    "epochs": _epochs,
}
