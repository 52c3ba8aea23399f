"""Tensors inside nested tuples, lists and mappings, as forward passes take and give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from dlcore.inspection.records import TensorInfo


def tensor_infos(value: Any) -> tuple[TensorInfo, ...]:
    """Shape and dtype of every tensor in a nested value, in order."""
    return tuple(
        TensorInfo(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for tensor in tensors_in(value)
    )


def tensors_in(value: Any) -> list[Tensor]:
    """Every tensor in nested tuples, lists, mappings and dataclasses, in order.

    A packed sequence is one tensor, (steps of all sequences, features).
    """
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, PackedSequence):
        return [value.data]
    if isinstance(value, Mapping):
        value = value.values()
    elif is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in fields(value)]
    elif not isinstance(value, list | tuple):
        return []
    return [tensor for item in value for tensor in tensors_in(item)]


def map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The nested value with every tensor changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, PackedSequence):  # its batch sizes are counts, which stay real
        order = (
            None if each is None else change(each) for each in (value.sorted_indices, value.unsorted_indices)
        )
        return PackedSequence(change(value.data), value.batch_sizes, *order)
    if isinstance(value, dict):
        return {key: map_tensors(item, change) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(item, change) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(map_tensors(item, change) for item in value)
    return value
