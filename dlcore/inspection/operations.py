"""Watches the torch functions that a model's own code calls: what a person reads in its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name

from dlcore.inspection.nested import map_tensors, tensor_infos, tensors_in
from dlcore.inspection.recording import Recorder
from dlcore.inspection.records import TensorInfo

PRODUCTS = frozenset(
    {"linear", "matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "mv", "addmm", "baddbmm", "einsum"}
)
RECURRENT = frozenset({torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu})


@dataclass(frozen=True)
class Operation:
    """A torch function that raised."""

    error: Exception
    name: str
    operands: tuple[TensorInfo, ...]
    sizes: tuple[int, ...]  # its whole-number arguments, such as the sizes of a view


class Operations(TorchFunctionMode):
    """Sees every torch function that the model's code calls, and remembers the one that raised.

    Args:
        to_meta: constants that the code makes itself, or keeps outside its parameters and buffers, are real
            tensors; where one meets a meta tensor, it is taken as meta too.
    """

    def __init__(self, recorder: Recorder, *, to_meta: bool) -> None:
        super().__init__()
        self.recorder = recorder
        self.to_meta = to_meta
        self.failed: Operation | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.to_meta and _is_mixed((args, kwargs)):
            args, kwargs = map_tensors((args, kwargs), lambda tensor: tensor.to("meta"))
        try:
            if self.to_meta and func in RECURRENT and isinstance(args[2], list):  # not for packed sequences
                return self._few_steps(func, *args)
            output = func(*args, **kwargs)
            if self.to_meta:
                _check_like_a_real_device(getattr(func, "__name__", ""), args, kwargs)
            return output
        except Exception as error:
            name = (resolve_name(func) or getattr(func, "__name__", "")).rpartition(".")[2].strip("_")
            self.failed = Operation(error, name, tensor_infos((args, kwargs)), _whole_numbers(args))
            raise

    def _few_steps(self, func: Any, inputs: Tensor, state: Any, *args: Any) -> tuple[Tensor, ...]:
        """A recurrent layer in two steps instead of all, because each takes 1.5 ms on meta tensors.

        Costs lie on a straight line, so c(steps) = (steps - 1) c(2) - (steps - 2) c(1).
        """
        time_axis = 1 if args[-1] else 0  # batch_first
        steps = inputs.shape[time_axis]
        if steps <= 2:
            return func(inputs, state, *args)
        for tensor in tensors_in((inputs, state)):  # kept once, however many steps
            self.recorder.keep(tensor)
        with self.recorder.repeated(2 - steps):
            func(inputs.narrow(time_axis, 0, 1), state, *args)
        with self.recorder.repeated(steps - 1):
            output, *states = func(inputs.narrow(time_axis, 0, 2), state, *args)
        sizes = [*output.shape]
        sizes[time_axis] = steps
        return (output.narrow(time_axis, 0, 1).expand(sizes).contiguous(), *states)


def _check_like_a_real_device(name: str, args: Any, kwargs: Any) -> None:
    """Raises what real devices raise and meta tensors let pass."""
    if name in PRODUCTS:
        dtypes = list(dict.fromkeys(str(tensor.dtype) for tensor in tensors_in((args, kwargs))))
        if len(dtypes) > 1 and not torch.is_autocast_enabled("cpu") and not torch.is_autocast_enabled("cuda"):
            raise RuntimeError(f"the tensors must have the same dtype, but are {' and '.join(dtypes)}")
    elif name.startswith("conv_transpose"):
        inputs, weight = tensors_in((args, kwargs))[:2]
        channels = inputs.shape[1 - weight.dim()]
        if channels != weight.shape[0]:
            raise RuntimeError(f"expected an input with {weight.shape[0]} channels, but it has {channels}")
    elif name in {"softmax", "log_softmax", "softmin"}:
        dimension = kwargs.get("dim", args[1] if len(args) > 1 else None)
        if dimension is not None and not -args[0].dim() <= dimension < max(args[0].dim(), 1):
            raise IndexError(f"dimension {dimension} of a tensor with {args[0].dim()} dimensions")


def _is_mixed(value: Any) -> bool:
    """Whether meta and real tensors meet."""
    return len({tensor.is_meta for tensor in tensors_in(value)}) == 2


def _whole_numbers(args: Any) -> tuple[int, ...]:
    """The whole-number arguments of a call, sequences of them opened."""
    numbers: list[int] = []
    for value in args:
        if isinstance(value, int) and not isinstance(value, bool):
            numbers.append(value)
        elif isinstance(value, list | tuple):
            numbers += _whole_numbers(value)
    return tuple(numbers)
