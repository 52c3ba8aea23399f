"""Watches the torch functions that a model's own code calls: what a person reads in its source.

A tensor that the code makes itself, or keeps outside its parameters and buffers, stays on the CPU when the
model moves to a GPU. On meta tensors that can be told without a GPU: it is real, and all others are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name

from dlcore.inspection.facts import FACTORIES
from dlcore.inspection.nested import map_tensors, tensor_infos, tensors_in
from dlcore.inspection.recording import Recorder
from dlcore.inspection.records import Note, OperationRow, TensorInfo
from dlcore.inspection.sources import Site, running_site

PRODUCTS = frozenset({"linear", "matmul", "rmatmul", "mm", "bmm", "mv", "addmm", "baddbmm", "einsum"})
JOINS = frozenset({"cat", "concat", "concatenate", "stack"})
WELCOMING = frozenset({"getitem", "setitem", "to", "type_as", "copy", "index_put", "pack_padded_sequence"})
LOSSES = frozenset({"cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"})
PACKABLE = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
RECURRENT = frozenset({torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu})


@dataclass(frozen=True)
class Operation:
    """A torch function that raised.

    Attributes:
        sizes: its whole-number arguments, such as the sizes of a view.
        dim: the dimension that it was asked to work along; None if it was not.
        bounds: what the numbers of each operand lie between, where that is known.
        strangers: for operands on two devices: where those were made that would stay on the CPU.
    """

    error: Exception
    name: str
    operands: tuple[TensorInfo, ...]
    sizes: tuple[int, ...]
    dim: int | None = None
    bounds: tuple[tuple[int, int] | None, ...] = ()
    strangers: tuple[Site | None, ...] = ()
    tensors: tuple[Tensor, ...] = field(default=(), repr=False)


class DeviceError(RuntimeError):
    """Operands on two devices."""


class Operations(TorchFunctionMode):
    """Sees every torch function that the model's code calls, and remembers the one that raised.

    Args:
        to_meta: where a real tensor meets a meta tensor, it is taken as meta too.
        device: where the model is meant to run; beside ``cpu``, a real tensor that meets a meta one is an error.
        keep_rows: whether `rows` lists every function called.
        outside: tensors that the model keeps beside its parameters and buffers; they do not move with it.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        to_meta: bool,
        device: str = "cpu",
        keep_rows: bool = False,
        outside: Sequence[Tensor] = (),
    ) -> None:
        super().__init__()
        self.recorder = recorder
        self.to_meta = to_meta
        self.device = device
        self.keep_rows = keep_rows
        self.outside = {id(tensor) for tensor in outside}
        self.rows: list[OperationRow] = []
        self.notes: dict[Any, Note] = {}
        self.failed: Operation | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")
        strangers: tuple[Site | None, ...] = ()
        try:
            if self.to_meta and not _counts_steps(name, args) and self._is_mixed((args, kwargs)):
                strangers = self._look_at_strangers(name, args, kwargs)
                args, kwargs = map_tensors((args, kwargs), self._as_meta)
            flops = self.recorder.flops
            if self.to_meta and name.startswith("conv_transpose"):
                _check_output_padding(args, kwargs)
            if self.to_meta and func in RECURRENT and isinstance(args[2], list):  # not for packed sequences
                output = self._few_steps(func, *args)
            else:
                output = func(*args, **kwargs)
            if self.to_meta:
                self._check_like_a_real_device(name, args, kwargs)
        except Exception as error:
            if not isinstance(error, DeviceError):  # told where it was raised
                self.failed = self._failure(error, func, args, kwargs, strangers)
            raise
        if name != "get":  # reading x.shape and its kin
            self._learn(name, args, kwargs, output, flops)
        return output

    def _learn(self, name: str, args: Any, kwargs: Any, output: Any, flops: int) -> None:
        facts = self.recorder.facts
        facts.pass_on(name, args, kwargs, output)
        if name in FACTORIES and isinstance(output, Tensor):
            facts.made(output, running_site())
        if self.keep_rows and tensors_in(output):
            running, site = self.recorder.running(), running_site()
            self.rows.append(
                OperationRow(
                    path=running.path if running else "",
                    name=name,
                    inputs=tensor_infos((args, kwargs)),
                    outputs=tensor_infos(output),
                    flops=self.recorder.flops - flops,
                    source=site.source() if site else None,
                )
            )

    def _failure(
        self, error: Exception, func: Any, args: Any, kwargs: Any, strangers: tuple[Site | None, ...]
    ) -> Operation:
        name = (resolve_name(func) or getattr(func, "__name__", "")).rpartition(".")[2].strip("_")
        tensors = tuple(tensors_in((args, kwargs)))
        return Operation(
            error,
            name,
            tensor_infos((args, kwargs)),
            _whole_numbers(args),
            _dimension(name, args, kwargs),
            tuple(self.recorder.facts.bounds(tensor) for tensor in tensors) if self.to_meta else (),
            strangers,
            tensors,
        )

    def _look_at_strangers(self, name: str, args: Any, kwargs: Any) -> tuple[Site | None, ...]:
        """Where real tensors come from that a GPU would refuse to take; says so, or raises."""
        if name in WELCOMING:
            return ()
        strangers = [
            tensor for tensor in tensors_in((args, kwargs)) if self._is_stranger(tensor) and tensor.dim()
        ]
        sites = tuple(self.recorder.facts.site(tensor) for tensor in strangers)
        here = running_site()
        if not strangers or here is None:
            return ()
        made = next((site for site in sites if site), here)
        message = "this tensor stays on the CPU when the model is on a GPU"
        self.notes.setdefault(made, Note("device", message, made.source()))
        if self.device != "cpu":
            error = DeviceError(f"expected all tensors on {self.device}, but one is on cpu")
            self.failed = Operation(
                error, name, tensor_infos((args, kwargs)), (), strangers=sites, tensors=tuple(strangers)
            )
            raise error
        return sites

    def _is_mixed(self, value: Any) -> bool:
        """Whether tensors that move with the model meet others."""
        return len({self._is_stranger(tensor) for tensor in tensors_in(value)}) == 2

    def _is_stranger(self, tensor: Tensor) -> bool:
        return not tensor.is_meta or id(tensor) in self.outside

    def _as_meta(self, tensor: Tensor) -> Tensor:
        if tensor.is_meta:
            return tensor
        moved = tensor.to("meta")
        self.recorder.facts.set_bounds(moved, self.recorder.facts.bounds(tensor))
        return moved

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

    def _check_like_a_real_device(self, name: str, args: Any, kwargs: Any) -> None:
        """Raises what real devices raise and meta tensors let pass."""
        if name in PRODUCTS:
            dtypes = list(dict.fromkeys(str(tensor.dtype) for tensor in tensors_in((args, kwargs))))
            autocast = torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda")
            if len(dtypes) > 1 and not autocast:
                raise RuntimeError(f"the tensors must have the same dtype, but are {' and '.join(dtypes)}")
        elif name.startswith("conv_transpose"):
            inputs, weight = tensors_in((args, kwargs))[:2]
            channels = inputs.shape[1 - weight.dim()]
            if channels != weight.shape[0]:
                raise RuntimeError(
                    f"expected an input with {weight.shape[0]} channels, but it has {channels}"
                )
        elif name in {"softmax", "log_softmax", "softmin"}:
            _check_dimension(args, kwargs)
        elif name == "embedding":
            self._check_range(args[0], args[1].shape[0], "ids")
        elif name in LOSSES:
            _check_loss(name, *tensors_in((args, kwargs))[:2])
            if name in ("cross_entropy", "nll_loss"):
                scores, targets = tensors_in((args, kwargs))[:2]
                if not targets.is_floating_point():
                    ignored = kwargs.get("ignore_index", -100)
                    self._check_range(targets, scores.shape[1 if scores.dim() > 1 else 0], "targets", ignored)

    def _check_range(self, ids: Tensor, size: int, what: str, ignored: int | None = None) -> None:
        bounds = self.recorder.facts.bounds(ids)
        if bounds is None:
            return
        low, high = bounds
        if high >= size or (low < 0 and low != ignored):
            raise IndexError(f"{what} lie between {low} and {high}, but there are {size}: 0 to {size - 1}")


def _counts_steps(name: str, args: Any) -> bool:
    """Whether a function of packed sequences is told their lengths, which stay real numbers on the CPU."""
    packed = name in ("pack_padded_sequence", "pad_packed_sequence") or name in PACKABLE
    return packed and len(args) > 1 and isinstance(args[1], Tensor) and not args[1].is_floating_point()


def _check_dimension(args: Any, kwargs: Mapping[str, Any]) -> None:
    dimension = kwargs.get("dim", args[1] if len(args) > 1 else None)
    if dimension is not None and not -args[0].dim() <= dimension < max(args[0].dim(), 1):
        raise IndexError(f"dimension {dimension} of a tensor with {args[0].dim()} dimensions")


AXES = 3  # of pictures in space, at most


def _check_output_padding(args: Any, kwargs: Mapping[str, Any]) -> None:
    """Of a transposed convolution, before torch says it in words of its own; newer ones do.

    Positional arguments are in the order of ``F.conv_transpose2d``.
    """
    places = {"stride": (3, 1), "output_padding": (5, 0), "dilation": (7, 1)}
    given = {
        name: kwargs.get(name, args[place] if len(args) > place else default)
        for name, (place, default) in places.items()
    }
    if not all(isinstance(value, int | tuple | list) for value in given.values()):
        return  # torch says what is wrong with it
    stride, padding, dilation = (
        [value] * AXES if isinstance(value, int) else list(value) * (AXES if len(value) == 1 else 1)
        for value in given.values()
    )
    if any(more >= max(step, apart) for more, step, apart in zip(padding, stride, dilation, strict=False)):
        raise RuntimeError(
            f"output_padding {max(padding)} must be smaller than the stride or the dilation, which are "
            f"{max(stride)} and {max(dilation)}"
        )


def _check_loss(name: str, outputs: Tensor, targets: Tensor) -> None:
    """Dtypes that the CPU's and the GPU's loss functions refuse."""
    classes = name in ("cross_entropy", "nll_loss") and outputs.shape != targets.shape
    if classes and targets.dtype not in (torch.int64, torch.uint8):
        raise RuntimeError(f"expected targets of dtype int64 (class numbers), but they are {targets.dtype}")
    if name.startswith("binary") and not targets.is_floating_point():
        raise RuntimeError(f"expected targets of dtype float32, but they are {targets.dtype}")
    if name == "binary_cross_entropy" and outputs.dtype != targets.dtype:
        raise RuntimeError(
            f"the dtype of the outputs is {outputs.dtype}, that of the targets {targets.dtype}"
        )


def _dimension(name: str, args: Any, kwargs: Mapping[str, Any]) -> int | None:
    """The dimension along which a joining function joins."""
    if name not in JOINS:
        return None
    value = kwargs.get("dim", kwargs.get("axis", args[1] if len(args) > 1 else 0))
    return value if isinstance(value, int) else None


def _whole_numbers(args: Any) -> tuple[int, ...]:
    """The whole-number arguments of a call, sequences of them opened."""
    numbers: list[int] = []
    for value in args:
        if isinstance(value, int) and not isinstance(value, bool):
            numbers.append(value)
        elif isinstance(value, list | tuple):
            numbers += _whole_numbers(value)
    return tuple(numbers)
