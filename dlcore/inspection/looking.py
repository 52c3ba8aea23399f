"""One look inside a network that trains: every layer's output, gradient and weights, and what can be drawn of them.

A look is a forward and a backward pass of its own. It leaves everything as it was: weights, their gradients,
buffers such as batch norm's averages, modes and random generators; so a training that is looked at ends with the
same bits as one that is not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dlcore.data.spec import Batch
from dlcore.inspection import views
from dlcore.inspection.listening import Heard, Listener, describe, is_layer
from dlcore.inspection.tensors import piece, statistics
from dlcore.training.precision import Precision
from dlcore.training.task import Phase, Task

MOST_NUMBERS = 400_000
"""Kept of all tensors together: 1.6 MB a look."""

LEAST_NUMBERS, MOST_OF_ONE = 256, 16_384

SHOWN_SAMPLES = 4
"""Samples whose feature maps and attention are kept."""


@dataclass
class Look:
    """What was seen.

    Attributes:
        facts: plain data for JSON; where an array belongs, its name in ``arrays``.
        arrays: float32, by name.
    """

    facts: dict[str, Any]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    def keep(self, name: str, array: NDArray[Any]) -> str:
        """Adds an array and gives its name back."""
        self.arrays[name] = array
        return name


def look_inside(
    task: Task, batch: Batch, precision: Precision | None = None, updates: Mapping[str, float] | None = None
) -> Look:
    """Statistics, pieces and views of every layer on one batch, in the modes in which the network trains.

    Only dropout is switched off: what it silences at random would pass for dead.

    Args:
        batch: on the network's device.
        precision: number format of the forward pass; as the weights are when left out.
        updates: size of the last update relative to the weights, by the parameter's name.
    """
    look = Look(
        {"batch": len(batch.index), "index": [int(each) for each in batch.index], "loss": {}, "layers": []}
    )
    count = len(batch.index)
    shown = min(SHOWN_SAMPLES, count)
    keep = torch.tensor([at * count // shown for at in range(shown)], device=batch.inputs.device)
    look.facts["shown"] = [int(batch.index[int(at)]) for at in keep]
    if batch.inputs.is_floating_point():
        look.facts["inputs"] = describe("", batch.inputs)
    look.keep("input", piece(batch.inputs, MOST_OF_ONE * 4, keep))
    with undisturbed(task.model, batch.inputs.device), torch.enable_grad():
        for number, phase in enumerate(task.phases):
            _look_at_phase(look, task, phase, batch, keep, precision, first=number == 0)
    _add_weights(look, task.model, updates or {})
    return look


def _look_at_phase(
    look: Look,
    task: Task,
    phase: Phase,
    batch: Batch,
    keep: Tensor,
    precision: Precision | None,
    *,
    first: bool,
) -> None:
    model = task.model if len(task.phases) == 1 else nn.ModuleList(phase.modules)
    layers = sum(1 for module in model.modules() if is_layer(module))
    most = max(LEAST_NUMBERS, min(MOST_OF_ONE, MOST_NUMBERS // (3 * max(1, layers) * len(task.phases))))
    scaler = precision.scaler if precision is not None else None
    scale = float(scaler.get_scale()) if scaler is not None else 1.0
    listener = Listener(model, keep, most, scale).listen_to(len(batch.index))
    with listener:
        if precision is None:
            loss, _ = task.loss(batch, phase.name)
        else:
            with precision.autocast():
                loss, _ = task.loss(batch, phase.name)
    own = {id(p) for p in model.parameters()}  # asked for now: a loss may freeze or free the opponent
    named = {name: p for name, p in task.model.named_parameters() if p.requires_grad and id(p) in own}
    found = (
        torch.autograd.grad(loss * scale, list(named.values()), allow_unused=True)
        if loss.requires_grad
        else ()
    )
    gradients = {name: g / scale for name, g in zip(named, found, strict=False) if g is not None}
    value = float(loss.detach())
    look.facts["loss"][phase.name] = value if np.isfinite(value) else None
    names = {id(module): name for name, module in task.model.named_modules()}
    prefix = "" if len(task.phases) == 1 else f"{phase.name}."
    for heard in listener.heard:
        _add_row(look, heard, names, gradients, prefix, phase.name if prefix else "", most)
    if first:
        look.facts["views"] = views.of_pass(look, task, batch, listener, keep)


def _add_row(
    look: Look,
    heard: Heard,
    names: Mapping[int, str],
    gradients: Mapping[str, Tensor],
    prefix: str,
    phase: str,
    most: int,
) -> None:
    rows = look.facts["layers"]
    key = f"{len(rows):03d}"
    path = names.get(id(heard.module), heard.path) or heard.path if heard.module is not None else heard.path
    row: dict[str, Any] = {
        "path": path,
        "type": heard.kind,
        "shape": list(heard.shape),
        "activation": heard.activation,
        "gradient": heard.gradient,
        "tensors": {name: look.keep(f"{key}.{name}", array) for name, array in heard.kept.items()},
        "parameters": {},
    }
    if heard.call > 1:
        row["call"] = heard.call
    if phase:
        row["phase"] = phase
    if heard.module is not None and heard.call == 1:
        for name, parameter in heard.module.named_parameters():
            whole = f"{names.get(id(heard.module), '')}.{name}".removeprefix(".")
            row["parameters"][name] = _parameter(look, f"{key}.{name}", whole, parameter, gradients, most)
    rows.append(row)


def _parameter(
    look: Look, key: str, name: str, parameter: nn.Parameter, gradients: Mapping[str, Tensor], most: int
) -> dict[str, Any]:
    gradient = gradients.get(name)
    return {
        "name": name,
        "shape": list(parameter.shape),
        "weight": statistics(parameter),
        "gradient": None if gradient is None else statistics(gradient),
        "frozen": not parameter.requires_grad,
        "tensor": look.keep(key, piece(parameter, most)),
    }


def _add_weights(look: Look, model: nn.Module, updates: Mapping[str, float]) -> None:
    """How far the last step moved each weight; and the parameters that belong to no layer."""
    seen = set()
    for row in look.facts["layers"]:
        for table in row["parameters"].values():
            table["update"] = updates.get(table["name"])
            seen.add(table["name"])
    rest = [
        {
            "name": name,
            "shape": list(p.shape),
            "weight": statistics(p),
            "update": updates.get(name),
        }
        for name, p in model.named_parameters()
        if name not in seen
    ]
    look.facts["apart"] = rest


@contextmanager
def undisturbed(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Dropout off; afterwards modes, buffers, counters and every random generator are as they were, bit by bit."""
    counters = [  # a user's forward may count its calls; ``training`` is among them
        (
            module,
            {name: value for name, value in vars(module).items() if isinstance(value, int | float | str)},
        )
        for module in model.modules()
    ]
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    compiled = [(m, m._compiled_call_impl) for m in model.modules() if m._compiled_call_impl is not None]
    for module, _ in compiled:
        module._compiled_call_impl = None  # hooks are heard by the plain forward pass only
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.eval()
    learning = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    python, numbers = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)
        with torch.no_grad():
            for module, name, buffer, before in buffers:
                module._buffers[name] = buffer.copy_(before)
        for module, values in counters:
            vars(module).update(values)
        for parameter, learns in learning:
            parameter.requires_grad_(learns)
        for module, call in compiled:
            module._compiled_call_impl = call
