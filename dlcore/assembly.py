"""From a preset to the things it names: data, model, task, optimizers, schedule.

The only place, with `worker` and `engine`, that knows all of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dlcore.data.batches import some_inputs
from dlcore.data.spec import Data, DataContext, DataSpec, Part
from dlcore.errors import NotFoundError, UserError
from dlcore.model_options import StartingPoint
from dlcore.preset import Named, Preset
from dlcore.problems import show
from dlcore.registry import DATA, MODELS, OPTIMIZERS, SCHEDULERS, TASKS, Entry, Registry
from dlcore.run_dir import data_folder, runs_folder
from dlcore.training.freezing import Freezing, apply_rates, rates_of, tensors_of
from dlcore.training.schedules import Schedule
from dlcore.training.task import Task
from dlcore.training.weight_mapping import Loaded, load_into
from dlcore.training.weight_sources import read_weights

FUSED = ("adam", "adamw", "sgd")
"""Optimizers with one kernel for all tensors, instead of several a tensor."""

SHOWN = 5_000
"""Training inputs that a network may see before it is trained."""


@dataclass(frozen=True)
class Parts:
    """What a preset names, built.

    Attributes:
        choices: why each automatic choice was made.
        weights: what was loaded into the model, if anything.
        freezing: which layers do not learn when, if any.
        rates: parameters that learn at a share of the learning rate.
    """

    data: Data
    model: nn.Module
    task: Task
    choices: dict[str, str]
    weights: Loaded | None = None
    freezing: Freezing | None = None
    rates: Mapping[nn.Parameter, float] = field(default_factory=dict)


def build(
    preset: Preset,
    report: Callable[[str], None],
    *,
    runs: Path | None = None,
    loaded: Loaded | None = None,
    resuming: bool = False,
) -> Parts:
    """Load the data and build the network and its task, on the CPU, from the preset's seed.

    A network that has a method ``initialise_from(inputs)`` is shown some training inputs once, (samples, ...) as it
    will get them, before weights from elsewhere are loaded into it.

    Args:
        runs: where ``model.weights = "run:NAME"`` looks for runs; None: in the usual folder.
        loaded: what was loaded when this run began: a checkpoint holds it now, it is not read again.
        resuming: a checkpoint holds what the network made of the inputs that it was shown.

    Raises:
        UserError: the data cannot be had, or the parts do not fit together.
    """
    seed_everything(preset.training.seed)
    context = DataContext(data_folder(), preset.training.seed, report, preset.base)
    data = _data(preset, context)
    task_name, reason = choose_task(preset, data.spec)
    require_fit(MODELS.entry(preset.model.name, preset.base), data.spec)
    seed_everything(preset.training.seed)  # the first weights must not depend on how the data was loaded
    model = _model(preset, data.spec)
    if not resuming:
        _show_inputs(model, data.train, preset.training.seed)
    choices = {"task": f"{task_name} ({reason})"}
    loaded, freezing = start_from(preset, model, context, runs=runs, loaded=loaded)
    if loaded is not None:
        choices["weights"] = loaded.sentence()
    names = loaded.loaded.keys() if loaded is not None else ()
    task = _build(TASKS, Named(name=task_name, options=preset.task.options), preset, model, data.spec)
    start: StartingPoint = MODELS.entry(preset.model.name, preset.base).common_options(preset.model.options)
    return Parts(data, model, task, choices, loaded, freezing, rates_of(model, start.rates or {}, names))


def start_from(
    preset: Preset,
    model: nn.Module,
    context: DataContext,
    *,
    runs: Path | None = None,
    loaded: Loaded | None = None,
) -> tuple[Loaded | None, Freezing | None]:
    """Load what the model starts from, and freeze what does not learn in the first epoch.

    A model on the meta device is filled with nothing: what would be loaded is known all the same.

    Args:
        runs, loaded: see `build`.

    Returns:
        What was loaded, and what is frozen when, if anything.

    Raises:
        UserError: the weights cannot be had, or the names of layers are wrong.
    """
    start: StartingPoint = MODELS.entry(preset.model.name, preset.base).common_options(preset.model.options)
    if start.weights and loaded is None:
        with _told_what_it_needs(preset):
            source, tensors = read_weights(start.weights, model, context, runs or runs_folder())
        own = model.state_dict().keys()
        reset = set[str]().union(*(tensors_of(model, layer, own, option="reset") for layer in start.reset))
        loaded = load_into(model, tensors, source, reset=reset)
    freezing = None
    if start.freeze or start.freeze_epochs:
        names = loaded.loaded.keys() if loaded is not None else ()
        freezing = Freezing(model, start.freeze, start.freeze_epochs, names)
        freezing.start_epoch(0)
    return loaded, freezing


def _show_inputs(model: nn.Module, part: Part, seed: int) -> None:
    initialise = getattr(model, "initialise_from", None)
    if callable(initialise):
        with torch.no_grad():
            initialise(some_inputs(part, SHOWN, seed))


def rebuild(preset: Preset, spec: DataSpec) -> Task:
    """The network and its task, with any weights, for data of a known shape that need not be there.

    Raises:
        UserError: the parts do not fit together.
    """
    name, _ = choose_task(preset, spec)
    model = _model(preset, spec)
    task: Task = _build(TASKS, Named(name=name, options=preset.task.options), preset, model, spec)
    return task


def build_data(preset: Preset, report: Callable[[str], None]) -> Data:
    """The preset's data alone, as a training would see it.

    Raises:
        UserError: it cannot be had.
    """
    seed_everything(preset.training.seed)
    context = DataContext(data_folder(), preset.training.seed, report, preset.base)
    return _data(preset, context)


def build_optimizers(
    preset: Preset, task: Task, rates: Mapping[nn.Parameter, float] | None = None
) -> dict[str, torch.optim.Optimizer]:
    """One optimizer a phase, by the phase's name.

    Args:
        rates: parameters that learn at a share of the learning rate, see `Parts.rates`.
    """
    optimizers = {p.name: _build(OPTIMIZERS, preset.optimizer, preset, p.modules) for p in task.phases}
    if not preset.training.fused:
        for optimizer in optimizers.values():
            _unfuse(optimizer)
    if rates:
        for optimizer in optimizers.values():
            apply_rates(optimizer, rates)
    return optimizers


def _unfuse(optimizer: torch.optim.Optimizer) -> None:
    """Before its first step: several kernels instead of one."""
    for group in optimizer.param_groups:
        if group.get("fused"):
            group["fused"] = None
            optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]


def build_schedule(preset: Preset) -> Schedule:
    """The learning rate's course."""
    schedule: Schedule = _build(SCHEDULERS, preset.scheduler, preset)
    return schedule


def choose_task(preset: Preset, spec: DataSpec) -> tuple[str, str]:
    """The task's name, and why.

    Raises:
        UserError: the named task does not fit the data's target.
    """
    makers = (MODELS.entry(preset.model.name, preset.base), DATA.entry(preset.data.name, preset.base))
    return fitting_task(preset.task.name, makers, spec, preset.base)


def fitting_task(
    named: str, makers: tuple[Entry, Entry], spec: DataSpec, base: Path | None
) -> tuple[str, str]:
    """The task's name, and why.

    Args:
        named: ``auto`` for the one that goes with the data's target.
        makers: of the model and of the data.

    Raises:
        UserError: the named task does not fit the data's target.
    """
    own = next((entry for entry in makers if "task" in entry.tags), None)
    if named == "auto" and own:
        named, reason = str(own.tags["task"]), f"{own.kind} '{own.name}' is made for it"
    elif named == "auto":
        fitting = [entry.name for entry in TASKS.entries() if spec.target in entry.targets]
        if not fitting:
            raise UserError(f"No task is known for targets of kind '{spec.target}'; name one with task.name.")
        return fitting[0], f"the target is of kind {spec.target}"
    else:
        reason = "asked for"
    targets = TASKS.entry(named, base).targets
    if targets and spec.target not in targets:
        raise UserError(
            f"task '{named}' wants targets of kind {' or '.join(targets)}, "
            f"but data '{makers[1].name}' has '{spec.target}'."
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


def require_target(entry: Entry, spec: DataSpec) -> None:
    """Refuse a model whose answers are of another kind than the data asks for.

    Raises:
        UserError: naming both kinds, and the models that fit.
    """
    if not entry.targets or spec.target in entry.targets:
        return
    fitting = [each.name for each in MODELS.entries() if _fits(each, spec)]
    hint = f"; models that answer so: {', '.join(fitting)}" if fitting else ""
    raise UserError(
        f"model '{entry.name}' answers targets of kind {' or '.join(entry.targets)}, "
        f"but the data has '{spec.target}'{hint}"
    )


def _fits(entry: Entry, spec: DataSpec) -> bool:
    return spec.input in entry.inputs and spec.target in entry.targets


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


def _data(preset: Preset, context: DataContext) -> Data:
    with _told_what_it_needs(preset):
        data = _build(DATA, preset.data, preset, context)
    if not isinstance(data, Data):
        raise UserError(
            f"data '{preset.data.name}' gave {_named(data)}, but it must give a Data of dlcore.data.spec"
        )
    return data


def _named(value: object) -> str:
    return "nothing" if value is None else show(value)


def _model(preset: Preset, spec: DataSpec) -> nn.Module:
    model = _build(MODELS, preset.model, preset, spec)
    if not isinstance(model, nn.Module):
        raise UserError(
            f"model '{preset.model.name}' gave {_named(model)}, but it must give a torch.nn.Module"
        )
    # After the building: what a builder itself has to say of such data is the better advice.
    require_target(MODELS.entry(preset.model.name, preset.base), spec)
    return model


@contextmanager
def _told_what_it_needs(preset: Preset) -> Iterator[None]:
    """A second line says what the missing file is, where it is still the one that the preset itself speaks of."""
    try:
        yield
    except NotFoundError as error:
        if not error.path or error.path not in preset.about.needs:
            raise
        raise NotFoundError([*error.lines, preset.about.needs], error.path) from error


def _build(registry: Registry, named: Named, preset: Preset, *args: Any) -> Any:
    return registry.entry(named.name, preset.base).build(*args, **named.options)
