"""From a preset to the things it names: data, model, task, optimizers, schedule.

The only place, with `worker` and `engine`, that knows all of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from dlcore.data.spec import Data, DataContext, DataSpec
from dlcore.errors import UserError
from dlcore.preset import Named, Preset
from dlcore.registry import DATA, MODELS, OPTIMIZERS, SCHEDULERS, TASKS, Entry, Registry
from dlcore.run_dir import data_folder
from dlcore.training.schedules import Schedule
from dlcore.training.task import Task


@dataclass(frozen=True)
class Parts:
    """What a preset names, built. ``choices`` says why each automatic choice was made."""

    data: Data
    model: nn.Module
    task: Task
    choices: dict[str, str]


def build(preset: Preset, report: Callable[[str], None]) -> Parts:
    """Load the data and build the network and its task, on the CPU, from the preset's seed.

    Raises:
        UserError: the data cannot be had, or the parts do not fit together.
    """
    seed_everything(preset.training.seed)
    context = DataContext(data_folder(), preset.training.seed, report, preset.base)
    data = _build(DATA, preset.data, preset, context)
    task_name, reason = choose_task(preset, data.spec)
    require_fit(MODELS.entry(preset.model.name, preset.base), data.spec)
    seed_everything(preset.training.seed)  # the first weights must not depend on how the data was loaded
    model = _build(MODELS, preset.model, preset, data.spec)
    task = _build(TASKS, Named(name=task_name, options=preset.task.options), preset, model, data.spec)
    return Parts(data, model, task, {"task": f"{task_name} ({reason})"})


def build_optimizers(preset: Preset, task: Task) -> dict[str, torch.optim.Optimizer]:
    """One optimizer a phase, by the phase's name."""
    return {phase.name: _build(OPTIMIZERS, preset.optimizer, preset, phase.modules) for phase in task.phases}


def build_schedule(preset: Preset) -> Schedule:
    """The learning rate's course."""
    schedule: Schedule = _build(SCHEDULERS, preset.scheduler, preset)
    return schedule


def choose_task(preset: Preset, spec: DataSpec) -> tuple[str, str]:
    """The task's name, and why.

    Raises:
        UserError: the named task does not fit the data's target.
    """
    named = preset.task.name
    own = MODELS.entry(preset.model.name, preset.base).tags.get("task")
    if named == "auto" and own:
        named, reason = str(own), f"model '{preset.model.name}' is made for it"
    elif named == "auto":
        fitting = [entry.name for entry in TASKS.entries() if spec.target in entry.targets]
        if not fitting:
            raise UserError(f"No task is known for targets of kind '{spec.target}'; name one with task.name.")
        return fitting[0], f"the target is of kind {spec.target}"
    else:
        reason = "asked for"
    targets = TASKS.entry(named, preset.base).targets
    if targets and spec.target not in targets:
        raise UserError(
            f"task '{named}' wants targets of kind {' or '.join(targets)}, "
            f"but data '{preset.data.name}' has '{spec.target}'."
        )
    return named, reason


def require_fit(entry: Entry, spec: DataSpec) -> None:
    """Refuse a model for inputs of a kind that it does not take.

    Raises:
        UserError: naming both kinds.
    """
    if entry.inputs and spec.input not in entry.inputs:
        wanted = " or ".join(entry.inputs)
        raise UserError(
            f"model '{entry.name}' takes inputs of kind {wanted}, but the data has '{spec.input}'."
        )


def seed_everything(seed: int) -> None:
    """Python's, NumPy's and torch's random generators, all devices."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def plain(value: Any) -> Any:
    """Tensors and tuples made JSON-able."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _build(registry: Registry, named: Named, preset: Preset, *args: Any) -> Any:
    return registry.entry(named.name, preset.base).build(*args, **named.options)
