"""Every tensor shape of a forward pass, without running it: what each layer takes, gives and costs.

The model runs once on meta tensors, which have a shape and no numbers: no memory, no arithmetic, so a network
of any size traces in the time its Python takes. Invariants: tracing changes nothing about the model, and when
the pass fails, the rows up to the failure survive, with the failing call and the reason in plain words.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy

from dlcore.data.spec import DataSpec
from dlcore.inspection.mismatch import describe_failure
from dlcore.inspection.nested import map_tensors, tensor_infos
from dlcore.inspection.operations import Operations
from dlcore.inspection.recording import Recorder
from dlcore.inspection.records import Failure, Row, SourceLine, TensorInfo, Trace

__all__ = ["Failure", "Row", "SourceLine", "TensorInfo", "Trace", "build_on_meta", "trace", "trace_builder"]

Inputs = DataSpec | Tensor | Sequence[Any] | Mapping[str, Any]


def trace(model: nn.Module, inputs: Inputs, *, batch_size: int = 32, training: bool = True) -> Trace:
    """One forward pass as a table; whatever the model's code raises ends up in `Trace.failure`.

    A pass that reads numbers (``.item()``, ``if tensor``) has no answer on meta tensors. It runs once more on
    real ones, at the cost of a real forward pass, provided the model's weights are real.

    Args:
        inputs: a `DataSpec` (a batch of its samples), the shape of a float32 batch such as ``(32, 1, 28,
            28)``, a tensor, a sequence of positional arguments, or a mapping of keyword arguments.
        batch_size: samples in the batch; for a `DataSpec` only.
        training: whether the pass is one of training: dropout and batch norm act, activations are kept.
    """
    args, kwargs = _arguments(inputs, batch_size)
    if _is_lazy(model):  # sizes are settled by the first batch, which must not be this one
        return _run(copy.deepcopy(model), args, kwargs, training=training, meta=_is_meta(model))
    result = _run(model, args, kwargs, training=training, meta=True)
    if result.failure is not None and result.failure.kind == "values" and not _is_meta(model):
        return _run(model, args, kwargs, training=training, meta=False)
    return result


def trace_builder(
    build: Callable[[], nn.Module], inputs: Inputs, *, batch_size: int = 32, training: bool = True
) -> Trace:
    """`trace` of a model that is built for it, without memory for its weights wherever that is possible.

    What `build` raises gets out.
    """
    model = build_on_meta(build)
    result = trace(model, inputs, batch_size=batch_size, training=training)
    if result.failure is not None and result.failure.kind == "values" and _is_meta(model):
        return trace(build(), inputs, batch_size=batch_size, training=training)
    return result


def build_on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """The model with weights that take no memory; or with real ones, if its constructor reads its weights."""
    try:
        with torch.device("meta"):
            return build()
    except (NotImplementedError, RuntimeError, TypeError) as error:
        if "meta" not in str(error).lower():
            raise
    return build()


def _run(model: nn.Module, args: Any, kwargs: Any, *, training: bool, meta: bool) -> Trace:
    """One recorded pass, on meta tensors or on real ones."""
    started = time.perf_counter()
    stand_ins = {} if _is_lazy(model) else _stand_ins(model, meta)
    device = torch.device("meta") if meta else _device(model)
    args, kwargs = map_tensors((args, kwargs), _to_meta if meta else partial(_to_real, device=device))
    recorder = Recorder(model, stand_ins.values())
    operations = Operations(recorder, to_meta=meta)
    output, failure = None, None
    with ExitStack() as stack:
        stack.enter_context(_training_mode(model, training))
        stack.enter_context(torch.set_grad_enabled(training))
        # On real tensors dropout draws random numbers.
        stack.enter_context(torch.random.fork_rng(devices=[device] if device.type == "cuda" else []))
        stack.enter_context(recorder)
        try:
            with operations:
                output = functional_call(model, stand_ins, args, kwargs)
        except Exception as error:
            failure = describe_failure(error, recorder.running(), operations.failed)
    return Trace(
        rows=tuple(call.row() for call in recorder.calls if call.is_worth_a_row),
        failure=failure,
        inputs=tensor_infos((args, kwargs)),
        outputs=tensor_infos(output),
        **_weights(model),
        flops=sum(call.flops for call in recorder.calls),
        activation_bytes=sum(call.saved_bytes for call in recorder.calls),
        unused=() if failure else tuple(recorder.unused(stand_ins)),
        mode="meta" if meta else "real",
        seconds=time.perf_counter() - started,
    )


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
        "matrix_bytes": sum(parameter.nbytes for parameter in trainable if parameter.dim() > 1),
        "buffer_bytes": sum(buffer.nbytes for buffer in buffers),
    }


def _stand_ins(model: nn.Module, meta: bool) -> dict[str, Tensor]:
    """What the pass uses for parameters and buffers: meta ones, or the real ones with copied buffers.

    Names that share one tensor keep sharing one, so that tied weights count once.
    """
    made: dict[int, Tensor] = {}
    named: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if meta and id(parameter) not in made:
            made[id(parameter)] = nn.Parameter(_to_meta(parameter), requires_grad=parameter.requires_grad)
        named[name] = made.get(id(parameter), parameter)
    for name, buffer in model.named_buffers(remove_duplicate=False):
        if id(buffer) not in made:
            made[id(buffer)] = _to_meta(buffer) if meta else buffer.clone()
        named[name] = made[id(buffer)]
    return named


def _arguments(inputs: Inputs, batch_size: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of the forward pass; made-up tensors are meta."""
    if isinstance(inputs, DataSpec):
        dtype = getattr(torch, inputs.input_dtype)
        return (torch.empty(batch_size, *inputs.input_shape, dtype=dtype, device="meta"),), {}
    if isinstance(inputs, Tensor):
        return (inputs,), {}
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    if all(isinstance(size, int) for size in inputs):
        return (torch.empty(*inputs, device="meta"),), {}
    return tuple(inputs), {}


def _to_meta(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor, device="meta", requires_grad=False)


def _to_real(tensor: Tensor, device: torch.device) -> Tensor:
    """Random numbers, or zeros for ids, in the place of a meta tensor."""
    if not tensor.is_meta:
        return tensor.to(device)
    make = torch.randn if tensor.is_floating_point() else torch.zeros
    return make(tensor.shape, dtype=tensor.dtype, device=device)


def _device(model: nn.Module) -> torch.device:
    """Where the model's first weight is; the CPU if it has none."""
    return next((tensor.device for tensor in model.parameters()), torch.device("cpu"))


def _is_lazy(model: nn.Module) -> bool:
    return any(is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers()))


def _is_meta(model: nn.Module) -> bool:
    return any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))


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
