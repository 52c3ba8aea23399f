"""What a torch layer needs of its input, and what the input lacks, in one sentence.

Made from the layer's own attributes, because PyTorch's messages differ between devices and name no layer
("mat1 and mat2 shapes cannot be multiplied"). A function answers None where it sees nothing wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.pooling import _AvgPoolNd, _MaxPoolNd

from dlcore.inspection.records import Shape, TensorInfo, shape_text

SPATIAL_AXES = {
    1: "(batch, channels, length)",
    2: "(batch, channels, height, width)",
    3: "(batch, channels, depth, height, width)",
}


def explain_shape(module: nn.Module, inputs: Sequence[TensorInfo]) -> str | None:
    """Why the layer cannot take inputs of these shapes."""
    for kinds, explain in EXPLANATIONS:
        if isinstance(module, kinds) and inputs:
            return explain(module, inputs[0].shape)
    return None


def explain_companions(module: nn.Module, inputs: Sequence[TensorInfo], detail: str) -> str | None:
    """Why the layer cannot take its first states or masks, where torch's message is about them."""
    if not inputs or len(inputs[0].shape) != 3:
        return None
    if isinstance(module, nn.RNNBase) and len(inputs) > 1 and "xpected hidden" in detail:
        axis = 0 if module.batch_first else 1
        layers = module.num_layers * (2 if module.bidirectional else 1)
        state = (layers, inputs[0].shape[axis], module.proj_size or module.hidden_size)
        return (
            f"{type(module).__name__} needs a first state of {shape_text(state)} (layers, batch, hidden), but it is "
            f"{inputs[1].text}: {_batch_axis(module, inputs[0].shape)}"
        )
    if isinstance(module, nn.MultiheadAttention) and len(inputs) > 3:
        time, batch = (1, 0) if module.batch_first else (0, 1)
        query, key, masks = inputs[0].shape, inputs[1].shape, [each.text for each in inputs[3:]]
        if "key_padding_mask" in detail or "key_padded_mask" in detail:
            wanted = (query[batch], key[time])
            return (
                f"MultiheadAttention needs a key_padding_mask of {shape_text(wanted)} (batch, keys), but it is "
                f"{masks[0]}: {_batch_axis(module, query)}"
            )
        if "attn_mask" in detail:
            wanted = (query[time], key[time])
            need = f"an attn_mask of {shape_text(wanted)} (queries, keys)"
            return f"MultiheadAttention needs {need}, but it is {masks[-1]}"
    return None


def _batch_axis(module: Any, shape: Shape) -> str:
    axis = 0 if module.batch_first else 1
    return f"with batch_first={module.batch_first} dimension {axis} of {shape_text(shape)} is the batch, {shape[axis]}"


def explain_dtype(module: nn.Module, inputs: Sequence[TensorInfo]) -> str | None:
    """Ids that are no whole numbers, or inputs of another dtype than the layer's weights."""
    if not inputs or not type(module).__module__.startswith("torch."):
        return None
    name, got = type(module).__name__, inputs[0].dtype
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        wrong = got not in {"int64", "int32"}
        return f"{name} needs whole-number ids (int64), but its input is {got}" if wrong else None
    weights = next((str(weight.dtype).removeprefix("torch.") for weight in module.parameters()), got)
    if got == weights:
        return None
    remedy = "convert the input with .float()" if weights == "float32" else "give both the same dtype"
    return f"{name} has {weights} weights, but its input is {got}: {remedy}"


def _linear(module: nn.Linear, shape: Shape) -> str | None:
    if shape and shape[-1] == module.in_features:
        return None
    return (
        f"Linear(in_features={module.in_features}) needs {module.in_features} numbers in the last dimension, "
        f"but its input {shape_text(shape)} " + (f"has {shape[-1]}" if shape else "is a single number")
    )


def _conv(module: _ConvNd, shape: Shape) -> str | None:
    name, axes = type(module).__name__, len(module.kernel_size)
    if len(shape) not in {axes + 1, axes + 2}:
        return _needs_dimensions(name, axes + 2, SPATIAL_AXES[axes], shape)
    channel_axis = len(shape) - axes - 1
    if shape[channel_axis] != module.in_channels:
        hint = "; its last dimension does: move the channels to the front with permute"
        return (
            f"{name}(in_channels={module.in_channels}) needs {module.in_channels} channels in dimension "
            f"{channel_axis}, but its input {shape_text(shape)} has {shape[channel_axis]}"
            + (hint if shape[-1] == module.in_channels else "")
        )
    if isinstance(module, _ConvTransposeNd) or isinstance(module.padding, str):
        return None
    spans = [step * (size - 1) + 1 for size, step in zip(module.kernel_size, module.dilation, strict=True)]
    return _too_large(name, spans, list(module.padding), shape[-axes:])


def _pool(module: _MaxPoolNd | _AvgPoolNd, shape: Shape) -> str | None:
    name = type(module).__name__
    axes = int(name[-2])  # MaxPool2d
    if len(shape) not in {axes + 1, axes + 2}:
        return _needs_dimensions(name, axes + 2, SPATIAL_AXES[axes], shape)
    return _too_large(name, _each(module.kernel_size, axes), _each(module.padding, axes), shape[-axes:])


def _batch_norm(module: _BatchNorm, shape: Shape) -> str | None:
    name = type(module).__name__
    if name == "BatchNorm1d" and len(shape) not in {2, 3}:
        return _needs_dimensions(name, "2 or 3", "(batch, features) or (batch, channels, length)", shape)
    axes = {"BatchNorm2d": 2, "BatchNorm3d": 3}.get(name)
    if axes and len(shape) != axes + 2:
        return _needs_dimensions(name, axes + 2, SPATIAL_AXES[axes], shape)
    if len(shape) > 1 and shape[1] != module.num_features:
        return (
            f"{name}(num_features={module.num_features}) needs {module.num_features} features in "
            f"dimension 1, but its input {shape_text(shape)} has {shape[1]}"
        )
    if module.training and len(shape) > 1 and shape[0] * math.prod(shape[2:]) == 1:
        return (
            f"{name} cannot train on {shape_text(shape)}, a single value for each feature: "
            "use a batch of at least 2 samples"
        )
    return None


def _group_norm(module: nn.GroupNorm, shape: Shape) -> str | None:
    if len(shape) > 1 and shape[1] == module.num_channels:
        return None
    return (
        f"GroupNorm(num_channels={module.num_channels}) needs {module.num_channels} channels in dimension 1, "
        f"but its input is {shape_text(shape)}"
    )


def _layer_norm(module: nn.LayerNorm, shape: Shape) -> str | None:
    wanted = tuple(module.normalized_shape)
    if shape[-len(wanted) :] == wanted:
        return None
    return (
        f"LayerNorm(normalized_shape={shape_text(wanted)}) needs an input whose last dimensions are "
        f"{shape_text(wanted)}, but it is {shape_text(shape)}"
    )


def _recurrent(module: nn.RNNBase, shape: Shape) -> str | None:
    name = type(module).__name__
    return _steps(name, "input_size", module.input_size, module.batch_first, shape)


def _attention(module: nn.MultiheadAttention, shape: Shape) -> str | None:
    return _steps("MultiheadAttention", "embed_dim", module.embed_dim, module.batch_first, shape)


def _steps(name: str, attribute: str, size: int, batch_first: bool, shape: Shape) -> str | None:
    axes = "(batch, time, features)" if batch_first else "(time, batch, features)"
    if len(shape) not in {2, 3}:
        return _needs_dimensions(name, 3, axes, shape)
    if shape[-1] == size:
        return None
    return (
        f"{name}({attribute}={size}) needs {size} features in the last dimension of {axes}, "
        f"but its input {shape_text(shape)} has {shape[-1]}"
    )


def _needs_dimensions(name: str, count: int | str, axes: str, shape: Shape) -> str:
    return f"{name} needs {count} dimensions {axes}, but its input {shape_text(shape)} has {len(shape)}"


def _too_large(name: str, kernel: list[int], padding: list[int], image: Shape) -> str | None:
    """Whether the kernel is larger than the image with its padding on both sides."""
    padded = [size + 2 * margin for size, margin in zip(image, padding, strict=True)]
    if all(span <= size for span, size in zip(kernel, padded, strict=True)):
        return None
    margin = f" padded to {shape_text(tuple(padded))}" if any(padding) else ""
    return (
        f"{name}'s kernel of {shape_text(tuple(kernel))} does not fit an input of {shape_text(image)}"
        f"{margin}: use larger images, a smaller kernel or fewer poolings before it"
    )


def _each(value: Any, axes: int) -> list[int]:
    """One number for each axis."""
    return [value] * axes if isinstance(value, int) else list(value)


EXPLANATIONS: list[tuple[Any, Callable[[Any, Shape], str | None]]] = [
    (nn.Linear, _linear),
    (_ConvNd, _conv),
    ((_MaxPoolNd, _AvgPoolNd), _pool),
    (_BatchNorm, _batch_norm),
    (nn.GroupNorm, _group_norm),
    (nn.LayerNorm, _layer_norm),
    (nn.RNNBase, _recurrent),
    (nn.MultiheadAttention, _attention),
]
