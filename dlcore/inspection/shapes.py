"""Every tensor shape of a forward pass, without running it: what each layer takes, gives and costs.

The model runs once on meta tensors, which have a shape and no numbers: no memory, no arithmetic, so a network
of any size traces in the time its Python takes. Invariants: tracing changes nothing about the model, and when
the pass fails, the rows up to the failure survive, with the failing call and the reason in plain words.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy

from dlcore.data.spec import DataSpec
from dlcore.inspection import cuda_calls
from dlcore.inspection.cuda_calls import CudaCalls
from dlcore.inspection.facts import Bounds
from dlcore.inspection.meta_building import build_on_meta
from dlcore.inspection.mismatch import describe_failure
from dlcore.inspection.nested import map_tensors, tensor_infos
from dlcore.inspection.operations import Operation, Operations
from dlcore.inspection.recording import Call, Recorder
from dlcore.inspection.records import Failure, Note, Row, SourceLine, TensorInfo, Trace
from dlcore.inspection.stand_ins import device_of, has_lazy, has_meta, stand_ins, to_meta, to_real

__all__ = [
    "Arguments",
    "Failure",
    "Options",
    "Pass",
    "Row",
    "SourceLine",
    "TensorInfo",
    "Trace",
    "trace",
    "trace_builder",
    "trace_builder_pass",
    "trace_pass",
]


ENDLESS = 10  # calls that are told of a model that calls itself without an end


class Arguments(NamedTuple):
    """Positional and keyword arguments of a forward pass."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


NOTHING = Arguments((), {})

Inputs = DataSpec | Tensor | Arguments | Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True)
class Options:
    """How a forward pass is traced.

    Attributes:
        training: whether the pass is one of training: dropout and batch norm act, activations are kept.
        device: where the model is meant to run; beside ``cpu``, tensors that the code leaves there are an error.
        operations: whether to list every torch function called.
        bounds: what the whole numbers of each tensor that goes in lie between, in order; None where unknown.
    """

    training: bool = True
    device: str = "cpu"
    operations: bool = False
    bounds: tuple[Bounds | None, ...] = ()


@dataclass(frozen=True)
class Pass:
    """A traced forward pass with what only a repair needs to know of its failure.

    Attributes:
        arguments: what the network was called with, on the device of the pass.
        error: what was raised.
        call: the innermost module call that was running.
        calls: all module calls, in the order they began.
        operation: the torch function that raised.
    """

    model: nn.Module
    trace: Trace
    error: Exception | None = None
    call: Call | None = None
    calls: tuple[Call, ...] = ()
    operation: Operation | None = None
    arguments: Arguments = NOTHING


def trace(
    model: nn.Module,
    inputs: Inputs,
    *,
    batch_size: int = 32,
    training: bool = True,
    options: Options | None = None,
) -> Trace:
    """One forward pass as a table; whatever the model's code raises ends up in `Trace.failure`.

    A pass that reads numbers (``.item()``, ``if tensor``) has no answer on meta tensors. It runs once more on
    real ones, at the cost of a real forward pass, provided the model's weights are real.

    Args:
        inputs: a `DataSpec` (a batch of its samples), the shape of a float32 batch such as ``(32, 1, 28,
            28)``, a tensor, `Arguments`, a sequence of positional ones, or a mapping of keyword ones.
        batch_size: samples in the batch; for a `DataSpec` only.
        training: as in `Options`; for calls that need no other option.
    """
    return trace_pass(model, inputs, batch_size=batch_size, options=options or Options(training)).trace


def trace_pass(
    model: nn.Module, inputs: Inputs, *, batch_size: int = 32, options: Options | None = None
) -> Pass:
    """`trace`, with what a repair needs beside it."""
    options = options or Options()
    args, kwargs = _arguments(inputs, batch_size)
    if isinstance(inputs, DataSpec) and inputs.vocabulary and not options.bounds:
        options = replace(options, bounds=((0, len(inputs.vocabulary) - 1),))
    if has_lazy(model):  # sizes are settled by the first batch, which must not be this one
        return _run(copy.deepcopy(model), args, kwargs, options, meta=has_meta(model))
    result = _run(model, args, kwargs, options, meta=True)
    if _reads_values(result.trace) and not has_meta(model):
        return _run(model, args, kwargs, options, meta=False)
    return result


def trace_builder(
    build: Callable[[], nn.Module],
    inputs: Inputs,
    *,
    batch_size: int = 32,
    training: bool = True,
    options: Options | None = None,
) -> Trace:
    """`trace` of a model that is built for it, without memory for its weights wherever that is possible.

    What `build` raises gets out.
    """
    options = options or Options(training)
    return trace_builder_pass(build, inputs, batch_size=batch_size, options=options).trace


def trace_builder_pass(
    build: Callable[[], nn.Module], inputs: Inputs, *, batch_size: int = 32, options: Options | None = None
) -> Pass:
    """`trace_builder`, with what a repair needs beside it."""
    model = build_on_meta(build)
    result = trace_pass(model, inputs, batch_size=batch_size, options=options)
    if _reads_values(result.trace) and has_meta(model):
        return trace_pass(build(), inputs, batch_size=batch_size, options=options)
    return result


def _reads_values(result: Trace) -> bool:
    return result.failure is not None and result.failure.kind == "values"


def _run(model: nn.Module, args: Any, kwargs: Any, options: Options, *, meta: bool) -> Pass:
    """One recorded pass, on meta tensors or on real ones."""
    started = time.perf_counter()
    weights = {} if has_lazy(model) else stand_ins(model, meta=meta)
    device = torch.device("meta") if meta else device_of(model)
    recorder = Recorder(model, weights.values())
    args, kwargs = _placed(args, kwargs, device, options, recorder)
    operations = Operations(
        recorder,
        to_meta=meta,
        device=options.device,
        keep_rows=options.operations,
        outside=[tensor for tensor in _plain_attributes(model) if tensor.dim()],
    )
    output, error, failure = None, None, None
    with ExitStack() as stack:
        said = stack.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always", UserWarning)
        stack.enter_context(_training_mode(model, options.training))
        stack.enter_context(torch.set_grad_enabled(options.training))
        # On real tensors dropout draws random numbers.
        stack.enter_context(torch.random.fork_rng(devices=[device] if device.type == "cuda" else []))
        stack.enter_context(recorder)
        moves = CudaCalls("meta" if meta else str(device))
        if cuda_calls.is_needed(meta=meta):
            stack.enter_context(moves)
        try:
            with operations:
                output = functional_call(model, weights, args, kwargs)
        except Exception as raised:
            error = raised
            failure = describe_failure(error, recorder.running(), operations.failed)
    result = Trace(
        rows=tuple(call.row() for call in _told_calls(recorder, error) if call.is_worth_a_row),
        failure=failure,
        inputs=tensor_infos((args, kwargs)),
        outputs=tensor_infos(output),
        **_weights(model),
        flops=sum(call.flops for call in recorder.calls),
        activation_bytes=sum(call.saved_bytes for call in recorder.calls),
        unused=() if failure else tuple(recorder.unused(weights)),
        mode="meta" if meta else "real",
        seconds=time.perf_counter() - started,
        operations=tuple(operations.rows),
        tied=_tied(model),
        notes=(
            *operations.notes.values(),
            *_told_by_torch(said),
            *_told_of_itself(model, output, error, hard_coded=moves.seen),
        ),
    )
    operation = (
        operations.failed if error and operations.failed and operations.failed.error is error else None
    )
    given = Arguments(args, kwargs)
    return Pass(model, result, error, recorder.running(), tuple(recorder.calls), operation, given)


def _told_calls(recorder: Recorder, error: Exception | None) -> list[Call]:
    """All of them; of a model that calls itself without an end only the first."""
    return recorder.calls[:ENDLESS] if isinstance(error, RecursionError) else recorder.calls


def _plain_attributes(model: nn.Module) -> list[Tensor]:
    """Tensors that modules hold as neither parameter nor buffer."""
    return [
        value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)
    ]


def _placed(args: Any, kwargs: Any, device: torch.device, options: Options, recorder: Recorder) -> Any:
    """The arguments on the device of the pass, with what is known of their numbers."""
    bounds = iter(options.bounds)

    def place(tensor: Tensor) -> Tensor:
        told = next(bounds, None) or (None if tensor.is_meta else recorder.facts.bounds(tensor))
        placed = to_meta(tensor) if device.type == "meta" else to_real(tensor, device, told)
        recorder.facts.set_bounds(placed, told)
        return placed

    return map_tensors((args, kwargs), place)


def _told_by_torch(said: Sequence[warnings.WarningMessage]) -> list[Note]:
    """Warnings about sizes, which are mistakes that happen to run."""
    texts = dict.fromkeys(" ".join(str(each.message).split()) for each in said)
    return [Note("warning", text[:300], None) for text in texts if "size" in text and "broadcast" in text]


def _told_of_itself(
    model: nn.Module, output: Any, error: Exception | None, *, hard_coded: bool
) -> Iterator[Note]:
    """Mistakes that run: layers that nobody knows of, a result that is none; and what was left out."""
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if not name.startswith("_") and _hides_layers(value):
                where = f"{path}.{name}" if path else name
                kind, better = ("dict", "ModuleDict") if isinstance(value, dict) else ("list", "ModuleList")
                yield Note(
                    "hidden",
                    f"{where} is a plain {kind}: its layers are not the model's, so they are not trained, saved or "
                    f"moved; make it an nn.{better}",
                    None,
                )
    if error is None and not tensor_infos(output):
        yield Note("output", "forward gives no tensor: is a return missing?", None)
    if hard_coded and not torch.cuda.is_available():
        yield Note(
            "device", "the code asks for cuda, which is not here: shapes are as they would be there", None
        )


def _hides_layers(value: Any) -> bool:
    """Whether a plain container holds layers."""
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list | tuple) and any(isinstance(each, nn.Module) for each in value)


def _tied(model: nn.Module) -> tuple[tuple[str, ...], ...]:
    """Groups of names that share one parameter."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return tuple(tuple(group) for group in names.values() if len(group) > 1)


def _weights(model: nn.Module) -> dict[str, int]:
    """Counts and bytes of parameters and buffers, each tensor once."""
    parameters = [parameter for parameter in model.parameters() if not is_lazy(parameter)]
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    buffers = [buffer for buffer in model.buffers() if not is_lazy(buffer)]
    return {
        "parameters": sum(parameter.numel() for parameter in parameters),
        "trainable_parameters": sum(parameter.numel() for parameter in trainable),
        "parameter_bytes": sum(parameter.nbytes for parameter in parameters),
        "trainable_bytes": sum(parameter.nbytes for parameter in trainable),
        "buffer_bytes": sum(buffer.nbytes for buffer in buffers),
    }


def _arguments(inputs: Inputs, batch_size: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of the forward pass; made-up tensors are meta."""
    if isinstance(inputs, DataSpec):
        dtype = getattr(torch, inputs.input_dtype)
        return (torch.empty(batch_size, *inputs.input_shape, dtype=dtype, device="meta"),), {}
    if isinstance(inputs, Arguments):
        return inputs.args, dict(inputs.kwargs)
    if isinstance(inputs, Tensor):
        return (inputs,), {}
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    if all(isinstance(size, int) for size in inputs):
        return (torch.empty(*inputs, device="meta"),), {}
    return tuple(inputs), {}


@contextmanager
def _training_mode(model: nn.Module, training: bool) -> Iterator[None]:
    """Training or evaluation inside, and each module's own mode again after."""
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode
