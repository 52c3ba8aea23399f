# ruff: noqa: SIM905
"""What is known of a tensor beyond its shape: how far it sees, between which numbers its ids lie, who made it.

Meta tensors hold no numbers. What must be known of them all the same is handed from the inputs of each torch
function to its output here; where a function is unknown, nothing is claimed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from dlcore.inspection.nested import tensors_in
from dlcore.inspection.sources import Site

Bounds = tuple[int, int]
MOST_NUMBERS = 1_000_000  # of a real tensor that are looked through


@dataclass(frozen=True)
class View:
    """What one number sees of an axis of the input: so many numbers, and the next one starts a step further."""

    size: Fraction = Fraction(1)
    step: Fraction = Fraction(1)


Field = tuple[View, ...]

FACTORIES = frozenset(
    (
        "arange empty eye full linspace normal ones rand randint randn tensor zeros as_tensor from_numpy "
    ).split()
)
RESHAPES = frozenset(
    (
        "view reshape expand expand_as unsqueeze squeeze flatten unflatten transpose permute t contiguous to "
        "long int repeat repeat_interleave clone detach getitem narrow flip roll index_select broadcast_to chunk "
        "split unbind movedim swapaxes cpu cuda type sort "
    ).split()
)
BLIND = frozenset("linear matmul mm bmm addmm baddbmm einsum softmax log_softmax mean sum".split())


class Facts:
    """Remembers facts by tensor, for as long as the tensor lives."""

    def __init__(self) -> None:
        self._fields: Any = WeakTensorKeyDictionary()
        self._bounds: Any = WeakTensorKeyDictionary()
        self._sites: Any = WeakTensorKeyDictionary()

    def field(self, tensor: Tensor) -> Field:
        """How far each number of the tensor sees, an entry for each axis of an image; () if unknown."""
        return self._fields.get(tensor, ())

    def bounds(self, tensor: Tensor) -> Bounds | None:
        """Least and largest number of a tensor of whole numbers; None if unknown."""
        found: Bounds | None = self._bounds.get(tensor)
        if found is None and not tensor.is_meta and _is_ids(tensor) and 0 < tensor.numel() <= MOST_NUMBERS:
            plain = tensor.detach()
            found = (int(plain.min()), int(plain.max()))
        return found

    def set_bounds(self, tensor: Tensor, bounds: Bounds | None) -> None:
        """Tells what a tensor's numbers lie between."""
        if bounds is not None:
            self._bounds[tensor] = bounds

    def site(self, tensor: Tensor) -> Site | None:
        """The user's expression that made a constant."""
        return self._sites.get(tensor)

    def made(self, tensor: Tensor, site: Site | None) -> None:
        """Tells where a constant was made."""
        self._sites[tensor] = site

    def pass_on(self, name: str, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
        """Derives the facts of a function's output.

        Args:
            name: of the torch function, without underscores around it.
        """
        outputs = tensors_in(output)
        if not outputs:
            return
        inputs = tensors_in((args, kwargs))
        if outputs[0].is_floating_point():
            field = self._field_after(name, args, kwargs, inputs, outputs[0])
            for tensor in outputs if field else ():
                self._fields[tensor] = field
        elif _is_ids(outputs[0]) and all(output is not tensor for tensor in inputs):
            bounds = self._bounds_after(name, args, kwargs, inputs)
            for tensor in outputs if bounds else ():
                self._bounds[tensor] = bounds

    def _field_after(
        self, name: str, args: Any, kwargs: Mapping[str, Any], inputs: Sequence[Tensor], output: Tensor
    ) -> Field:
        if name.startswith("conv") and len(inputs) > 1 and inputs[1].dim() > 2:
            return _after_convolution(name, args, kwargs, self._start(inputs[0], inputs[1].dim() - 2))
        if name.startswith(("max_pool", "avg_pool")) and name[-1] == "d":
            return _after_pool(args, kwargs, self._start(inputs[0], int(name[-2])))
        if name in BLIND or name.startswith("adaptive"):
            return ()
        if name == "interpolate":
            before = self.field(inputs[0])
            ratios = [
                Fraction(*sizes)
                for sizes in zip(inputs[0].shape[2:], output.shape[2:], strict=True)
                if sizes[1]
            ]
            return tuple(View(view.size, view.step * r) for view, r in zip(before, ratios, strict=False))
        known = [self.field(tensor) for tensor in inputs if self.field(tensor)]
        axes = output.dim() - 2
        if not known or any(len(field) != axes for field in known):
            return ()
        return tuple(
            View(max(view.size for view in views), max(view.step for view in views))
            for views in zip(*known, strict=True)
        )

    def _start(self, tensor: Tensor, axes: int) -> Field:
        field = self.field(tensor)
        return field if len(field) == axes else (View(),) * axes

    def _bounds_after(
        self, name: str, args: Any, kwargs: Mapping[str, Any], inputs: Sequence[Tensor]
    ) -> Bounds | None:
        if not inputs:
            return _of_factory(name, args, kwargs)
        if name in ("zeros_like", "ones_like"):
            return (0, 0) if name == "zeros_like" else (1, 1)
        known = [self.bounds(tensor) for tensor in inputs]
        if name in RESHAPES or (name == "clamp" and len(args) == 1):
            first = known[0]
            if first is not None and name == "clamp":
                low, high = kwargs.get("min"), kwargs.get("max")
                return (_clamped(first[0], low, high), _clamped(first[1], low, high))
            return first
        if name in ("cat", "stack", "concat", "where"):
            known = known[1:] if name == "where" else known
            return _union(known)
        if name in ("add", "radd", "sub", "mul", "rmul") and len(known) in (1, 2):
            return _arithmetic(name, args, known)
        return None


def _is_ids(tensor: Tensor) -> bool:
    return tensor.dtype in (torch.int64, torch.int32)


def _union(known: Sequence[Bounds | None]) -> Bounds | None:
    told = [bounds for bounds in known if bounds is not None]
    if not told or len(told) < len(known):
        return None
    return min(low for low, _ in told), max(high for _, high in told)


def _clamped(value: int, low: Any, high: Any) -> int:
    value = max(value, low) if isinstance(low, int) else value
    return min(value, high) if isinstance(high, int) else value


def _arithmetic(name: str, args: Any, known: Sequence[Bounds | None]) -> Bounds | None:
    numbers = [value for value in args if isinstance(value, int) and not isinstance(value, bool)]
    ranges = [bounds for bounds in (*known, *((number, number) for number in numbers)) if bounds]
    if len(ranges) != 2:
        return None
    (a, b), (c, d) = ranges
    if name == "sub":
        return a - d, b - c
    combine: Callable[[int, int], int] = (lambda x, y: x + y) if "add" in name else (lambda x, y: x * y)
    ends = [combine(x, y) for x in (a, b) for y in (c, d)]
    return min(ends), max(ends)


def _of_factory(name: str, args: Any, kwargs: Mapping[str, Any]) -> Bounds | None:
    numbers = [value for value in args if isinstance(value, int) and not isinstance(value, bool)]
    if name == "arange" and numbers and len(numbers) == len(args):
        start, end, step = (0, numbers[0], 1) if len(numbers) == 1 else (*numbers, 1)[:3]
        last = range(start, end, step)[-1:] if step else ()
        return (min(start, *last), max(start, *last)) if last else None
    if name == "randint" and numbers:
        low, high = (0, numbers[0]) if len(numbers) == 1 else numbers[:2]
        return low, high - 1
    return {"zeros": (0, 0), "ones": (1, 1)}.get(name)


def _after_convolution(name: str, args: Any, kwargs: Mapping[str, Any], before: Field) -> Field:
    weight = args[1] if len(args) > 1 else kwargs["weight"]
    kernel, axes = weight.shape[2:], len(before)
    stride = _each(args[3] if len(args) > 3 else kwargs.get("stride", 1), axes)
    if "transpose" in name:
        return tuple(
            View(view.size + (math.ceil(k / s) - 1) * view.step, view.step / s)
            for view, k, s in zip(before, kernel, stride, strict=True)
        )
    dilation = _each(args[5] if len(args) > 5 else kwargs.get("dilation", 1), axes)
    return _wider(before, kernel, stride, dilation)


def _after_pool(args: Any, kwargs: Mapping[str, Any], before: Field) -> Field:
    axes = len(before)
    kernel = args[1] if len(args) > 1 else kwargs["kernel_size"]
    stride = args[2] if len(args) > 2 else kwargs.get("stride")
    kernel = _each(kernel, axes)
    return _wider(before, kernel, kernel if not stride else _each(stride, axes), [1] * axes)


def _wider(before: Field, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Field:
    """After sliding a kernel over: each number sees the kernel's span of steps, and steps are longer."""
    return tuple(
        View(view.size + (k - 1) * d * view.step, view.step * s)
        for view, k, s, d in zip(before, kernel, stride, dilation, strict=True)
    )


def _each(value: Any, axes: int) -> list[int]:
    if isinstance(value, int):
        return [value] * axes
    values = list(value)
    return values * axes if len(values) == 1 else values
