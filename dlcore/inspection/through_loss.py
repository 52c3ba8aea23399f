"""A forward pass followed into the loss: whether what the network gives is what the task compares with the targets.

The network and its task's loss are traced together as one network, on meta tensors and without a backward pass.
Only what is wrong with shapes, dtypes and class numbers counts: a loss that reads numbers, or draws them in ways that
meta tensors do not know, tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.inspection.facts import Bounds
from dlcore.inspection.recording import Call
from dlcore.inspection.records import (
    LOSS,
    Failure,
    FailureKind,
    Row,
    Shape,
    SourceLine,
    TensorInfo,
    shape_text,
)
from dlcore.inspection.shapes import Arguments, Options, Pass, trace_pass
from dlcore.training.task import Task

PACKAGE = str(Path(__file__).parents[1])
UNKNOWN = ("values", "device")
"""What a failing loss says nothing by: it read numbers, which meta tensors do not have."""

SCORED = ("class", "mask", "tokens")
"""Targets that are one of several classes, each of which the network gives a score."""

JUDGED = ("classification", "regression", "segmentation", "causal_lm", "masked_lm", "forecasting")
"""Tasks that compare the network's own output with the targets, number by number or class by class."""


class WithLoss(nn.Module):
    """A network and its task's loss as one network.

    Attributes:
        wanted: shape that the task wants of the network's output; None where it does not say.
        gives: shapes that the network gives by itself.
    """

    def __init__(
        self, model: nn.Module, task: Task, wanted: Shape | None, gives: tuple[TensorInfo, ...]
    ) -> None:
        super().__init__()
        self.model, self.wanted, self.gives = model, wanted, gives
        object.__setattr__(self, "task", task)

    def forward(self, inputs: Tensor, targets: Tensor, index: Tensor) -> Tensor:
        """The mean loss, ()."""
        task: Task = vars(self)["task"]
        loss, _ = task.loss(Batch(inputs, targets, index), task.phases[0].name)
        return loss


def through_loss(
    result: Pass, name: str, make: Callable[[nn.Module], Task], spec: DataSpec, batch: int, options: Options
) -> Pass:
    """A pass that went well, gone on into the loss.

    Args:
        name: of the task.
        make: the task around a network.
        batch: samples.
    """
    wanted = wanted_output(name, spec, batch)
    gives = result.trace.outputs
    try:
        task = make(result.model)
    except Exception:  # it does not go with such data, which is told when the preset is checked
        return result
    whole = WithLoss(result.model, task, wanted, gives)
    arguments = Arguments(tuple(batch_of(spec, batch)), {})
    ids = (0, len(spec.vocabulary) - 1) if spec.vocabulary else None
    bounds = (ids, _target_bounds(spec), (0, batch - 1))
    second = trace_pass(whole, arguments, options=replace(options, bounds=bounds, operations=False))
    targets = _infos(arguments.args[1])
    failure, fits = second.trace.failure, _fits(gives, wanted)
    if failure is None and fits:
        row = Row(LOSS, name, 0, True, (*gives, *targets), second.trace.outputs, 0, 0, 0, 0, False)
        return replace(result, trace=replace(result.trace, rows=(*result.trace.rows, row)))
    if failure is not None and (failure.kind in UNKNOWN or (failure.kind == "error" and fits)):
        return result
    if failure is None:  # numbers of other shapes, which are stretched to each other without a word
        failure = Failure(LOSS, name, "shape", (), "", (), "", "", ())
    calls = tuple(_renamed(call) for call in second.calls)
    own = tuple(line for line in failure.source if not line.file.startswith(PACKAGE))
    told = replace(
        failure,
        path=LOSS,
        type=name,
        kind=_kind(failure, gives, wanted),
        message=failure.message if wanted is None else _message(name, gives, wanted, spec),
        inputs=(*gives, *targets),
        source=own or _last_line(calls),
        marks=_marks(gives, wanted) or failure.marks,
    )
    return replace(
        second,
        trace=replace(result.trace, failure=told),
        model=result.model,
        call=second.call or second.calls[0],
        calls=calls,
        operation=second.operation
        if own
        else None,  # in the user's own task, whose expressions may be changed
    )


def _kind(failure: Failure, gives: tuple[TensorInfo, ...], wanted: Shape | None) -> FailureKind:
    """What an exception of the task's own is about."""
    if failure.kind != "error" or wanted is None or len(gives) != 1:
        return failure.kind
    return "shape" if gives[0].shape != wanted else "dtype"


def _fits(gives: tuple[TensorInfo, ...], wanted: Shape | None) -> bool:
    """Whether the output is what the task wants."""
    if wanted is None:
        return True
    if len(gives) != 1 or not gives[0].dtype.startswith(("float", "bfloat")):
        return False
    return gives[0].shape == wanted


def wanted_output(name: str, spec: DataSpec, batch: int) -> Shape | None:
    """What a task wants the network to give for a batch; None where it is not the output that is compared."""
    if name not in JUDGED:
        return None
    inner = {"mask": spec.input_shape[1:], "tokens": spec.input_shape[:1]}.get(spec.target, ())
    if spec.target == "tokens":
        return (batch, *inner, spec.num_outputs)
    return (batch, spec.num_outputs, *inner)


def batch_of(spec: DataSpec, count: int) -> Batch:
    """A batch of so many samples of such data, on the meta device."""
    inputs = torch.empty(count, *spec.input_shape, dtype=getattr(torch, spec.input_dtype), device="meta")
    return Batch(inputs, _targets(spec, count), torch.empty(count, dtype=torch.int64, device="meta"))


def _targets(spec: DataSpec, batch: int) -> Tensor:
    if spec.target == "number":
        return torch.empty(batch, spec.num_outputs, device="meta")
    inner = {"mask": spec.input_shape[1:], "tokens": spec.input_shape[:1]}.get(spec.target, ())
    return torch.empty(batch, *inner, dtype=torch.int64, device="meta")


def _target_bounds(spec: DataSpec) -> Bounds | None:
    if spec.target in ("class", "mask", "tokens"):
        return 0, max(1, spec.num_outputs) - 1
    return (0, 1) if spec.target == "binary" else None


def _infos(tensor: Tensor) -> tuple[TensorInfo, ...]:
    return (TensorInfo(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")),)


def _renamed(call: Call) -> Call:
    """Paths as they are without the loss around the network."""
    call.path = LOSS if call.path == "" else call.path.removeprefix("model").removeprefix(".")
    return call


def _last_line(calls: tuple[Call, ...]) -> tuple[SourceLine, ...]:
    """Where the user's code made the output, as far as a layer's call tells."""
    sites = [call.site for call in calls if call.finished and call.site is not None and call.path != LOSS]
    return (sites[-1].source(),) if sites else ()


def _message(name: str, gives: tuple[TensorInfo, ...], wanted: Shape, spec: DataSpec) -> str:
    meaning: Mapping[str, str] = {
        "class": "a score for each class of each sample",
        "binary": "a score for each sample",
        "number": "each number to predict for each sample",
        "mask": "a score for each class of each pixel",
        "tokens": "a score for each token of the vocabulary at each position",
    }
    need = f"{name} needs {shape_text(wanted)}, {meaning[spec.target]}"
    if len(gives) != 1:
        return f"{need}, but the network gives {len(gives)} tensors: {', '.join(info.text for info in gives[:4])}"
    (output,) = gives
    axis = len(wanted) - 1 if spec.target == "tokens" else 1
    if spec.target in SCORED and len(output.shape) == len(wanted):
        given = output.shape[axis]
        if given != wanted[axis] and _without(output.shape, axis) == _without(wanted, axis):
            more = f"the data has {spec.num_outputs} classes, not {given}"
            return f"{need}, but the network gives {output.text}: {more}"
    plain = output.dtype.startswith(("float", "bfloat"))
    said = f"{need}, but the network gives {output.text}" + ("" if plain else f" {output.dtype}")
    return said if plain else f"{said}: whole numbers have no slope to learn from"


def _marks(gives: tuple[TensorInfo, ...], wanted: Shape | None) -> tuple[tuple[int, int], ...]:
    if wanted is None or len(gives) != 1 or len(gives[0].shape) != len(wanted):
        return ()
    return tuple((0, axis) for axis, size in enumerate(gives[0].shape) if size != wanted[axis])


def _without(shape: Shape, axis: int) -> Shape:
    return shape[:axis] + shape[axis + 1 :]


def make_task(entry: Any, options: Mapping[str, Any], spec: DataSpec) -> Callable[[nn.Module], Task]:
    """The task of a registry's entry, around a network."""

    def make(model: nn.Module) -> Task:
        task: Task = entry.build(model, spec, **options)
        return task

    return make
