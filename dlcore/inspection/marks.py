"""Which dimensions make a call fail: what a table paints red.

A mark is a pair: the number of the tensor, and an axis of it counted from 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from dlcore.inspection.operation_needs import OPERATIONS
from dlcore.inspection.records import Shape, TensorInfo

Mark = tuple[int, int]


def layer_marks(module: nn.Module, inputs: Sequence[TensorInfo]) -> tuple[Mark, ...]:
    """Of a layer's first input."""
    shape = inputs[0].shape if inputs else ()
    axis, wanted = _wanted(module, shape)
    if axis is None or not -len(shape) <= axis < len(shape):
        return ()
    axis %= len(shape)
    if shape[axis] != wanted:
        return ((0, axis),)
    if isinstance(module, _ConvNd):  # the channels are right: the image is too small
        return tuple((0, place) for place in range(axis + 1, len(shape)))
    return ()


def operation_marks(name: str, operands: Sequence[TensorInfo], dim: int | None) -> tuple[Mark, ...]:
    """Of a torch function's operands."""
    shapes = [operand.shape for operand in operands]
    if name in ("cat", "concat", "concatenate", "stack"):
        return _differing(shapes, None if name == "stack" else dim)
    if len(shapes) < 2 or name in ("view", "reshape"):
        return ()
    left, right = shapes[-2:] if name.strip("_") in ("addmm", "baddbmm") else shapes[:2]
    if name.strip("_") in ("matmul", "rmatmul", "mm", "bmm", "addmm", "baddbmm") and left and right:
        inner = max(len(right) - 2, 0)
        if left[-1] != right[inner]:
            return ((0, len(left) - 1), (1, inner))
        return _unequal(left[:-2], right[:-2])
    if name == "linear":
        return ((0, len(left) - 1), (1, 1)) if left and len(right) == 2 and left[-1] != right[1] else ()
    return _unequal(left, right) if name in OPERATIONS or name[1:] in OPERATIONS else ()


def _wanted(module: Any, shape: Shape) -> tuple[int | None, int]:
    """The axis that a layer looks at, and the size that it wants there."""
    if isinstance(module, nn.Linear):
        return -1, module.in_features
    if isinstance(module, _ConvNd):
        return len(shape) - len(module.kernel_size) - 1, module.in_channels
    if isinstance(module, _BatchNorm):
        return 1, module.num_features
    if isinstance(module, nn.GroupNorm):
        return 1, module.num_channels
    if isinstance(module, nn.LayerNorm):
        return -1, math.prod(module.normalized_shape[-1:])
    if isinstance(module, nn.RNNBase):
        return -1, module.input_size
    if isinstance(module, nn.MultiheadAttention):
        return -1, module.embed_dim
    return None, 0


def _differing(shapes: Sequence[Shape], joined: int | None) -> tuple[Mark, ...]:
    """Axes along which shapes of equal length differ, the joined one left out."""
    if len({len(shape) for shape in shapes}) != 1:
        return ()
    length = len(shapes[0])
    skipped = joined % length if joined is not None and length else -1
    axes = [axis for axis in range(length) if axis != skipped and len({shape[axis] for shape in shapes}) > 1]
    return tuple((number, axis) for axis in axes for number in range(len(shapes)))


def _unequal(left: Shape, right: Shape) -> tuple[Mark, ...]:
    """Axes that do not broadcast, counted from the end as broadcasting does."""
    for back in range(1, min(len(left), len(right)) + 1):
        if left[-back] != right[-back] and 1 not in (left[-back], right[-back]):
            return ((0, len(left) - back), (1, len(right) - back))
    return ()
