"""Guesses at what would let a torch layer take its input, the likeliest first."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.pooling import _AvgPoolNd, _MaxPoolNd

from dlcore.inspection.repairs.changes import (
    another_class,
    argument,
    around_call,
    before,
    left_out,
    narrower_or_wider,
    numbers,
    other_end,
)
from dlcore.inspection.repairs.scene import Candidates, Scene
from dlcore.inspection.repairs.sequences import attention_repairs, embedding_repairs, recurrent_repairs

PERMUTES = {3: "{}.transpose(1, 2)", 4: "{}.permute(0, 3, 1, 2)", 5: "{}.permute(0, 4, 1, 2, 3)"}
TO_LAST = {3: "{}.transpose(1, 2)", 4: "{}.permute(0, 2, 3, 1)", 5: "{}.permute(0, 2, 3, 4, 1)"}


def layer_repairs(scene: Scene) -> Candidates:
    """For the module that was running when the pass failed."""
    yield from _dtype(scene)
    yield from other_end(scene)
    if "not tuple" in scene.failure.detail:
        yield from before(scene, "{}[0]")
    for kinds, repairs in REPAIRS:
        if isinstance(scene.module, kinds):
            yield from repairs(scene)


def _dtype(scene: Scene) -> Candidates:
    if not scene.failure.inputs or not type(scene.module).__module__.startswith("torch."):
        return
    got = scene.failure.inputs[0].dtype
    if isinstance(scene.module, nn.Embedding | nn.EmbeddingBag):
        if got not in ("int64", "int32"):
            yield from before(scene, "{}.long()")
    elif any(str(weight.dtype) != f"torch.{got}" for weight in scene.module.parameters()):
        dtype = str(next(scene.module.parameters()).dtype)
        yield from before(scene, "{}.float()" if dtype == "torch.float32" else f"{{}}.to({dtype})")


def _linear(scene: Scene) -> Candidates:
    module, shape = scene.module, scene.shape
    wanted = module.in_features
    if not shape or shape[-1] == wanted:
        return
    if len(shape) > 2 and math.prod(shape[1:]) == wanted:
        yield from before(scene, "{}.flatten(1)", "Flatten()")
    if len(shape) > 4 and math.prod(shape[-3:]) == wanted:  # images of a sequence
        yield from before(scene, f"{{}}.flatten({len(shape) - 3})", f"Flatten({len(shape) - 3})")
    if len(shape) in TO_LAST and shape[1] == wanted:
        if len(shape) == 4:
            yield from before(scene, "{}.mean((2, 3))")
        yield from before(scene, TO_LAST[len(shape)])
    if len(shape) == 4:  # an image: its numbers in a row, and as many of them as there are
        features = math.prod(shape[1:])
        flat = list(before(scene, "{}.flatten(1)", "Flatten()"))
        sized = list(argument(scene, module, "in_features", features))
        for first, second in zip(flat, sized, strict=False):
            yield first._replace(say=f"{first.say}, {second.say}", edits=(*first.edits, *second.edits))
    if len(shape) == 2 and shape[0] == wanted:
        yield from before(scene, "{}.t()")
    yield from argument(scene, module, "in_features", shape[-1])
    yield from narrower_or_wider(scene, shape[-1], wanted)
    yield from numbers(scene, wanted, shape[-1])


def _conv(scene: Scene) -> Candidates:
    module, shape = scene.module, scene.shape
    axes, channels = len(module.kernel_size), module.in_channels
    if len(shape) == axes + 1 and channels == 1 and shape[0] != 1:
        yield from before(scene, "{}.unsqueeze(1)")
    if (
        len(shape) == axes + 1
        and channels != shape[0]
        and shape[0] > 1
        and axes == 1
        and shape[1] == channels
    ):
        yield from before(scene, "{}.unsqueeze(-1)")
    if len(shape) == 2 and axes == 2 and shape[1] % channels == 0:
        side = math.isqrt(shape[1] // channels)
        if side * side * channels == shape[1]:
            sizes = f"({channels}, {side}, {side})"
            yield from before(scene, f"{{}}.unflatten(1, {sizes})", f"Unflatten(1, {sizes})")
    if len(shape) == axes + 2 and shape[1] != channels:
        if shape[-1] == channels:
            yield from before(scene, PERMUTES[len(shape)])
        elif shape[0] == channels and axes == 2:
            yield from before(scene, "{}.transpose(0, 1)")
        yield from argument(scene, module, "in_channels", shape[1])
        yield from narrower_or_wider(scene, shape[1], channels)
        yield from numbers(scene, channels, shape[1])
    elif len(shape) == axes + 2 and not isinstance(module, _ConvTransposeNd):
        yield from _room_for_kernel(scene, module)
    if len(shape) == axes + 3 and shape[1] == 1:
        yield from before(scene, "{}.squeeze(1)")


def _room_for_kernel(scene: Scene, module: Any) -> Candidates:
    same = {d * (k - 1) // 2 for k, d in zip(module.kernel_size, module.dilation, strict=True)}
    if len(same) == 1:
        yield from argument(scene, module, "padding", same.pop())


def _pool(scene: Scene) -> Candidates:
    axes = int(type(scene.module).__name__[-2])
    if len(scene.shape) == 4 and axes == 1:
        yield from another_class(scene, type(scene.module).__name__.replace("1d", "2d"))
    elif len(scene.shape) == 3 and axes == 2:
        yield from another_class(scene, type(scene.module).__name__.replace("2d", "1d"))
    yield from left_out(scene)


def _batch_norm(scene: Scene) -> Candidates:
    module, shape = scene.module, scene.shape
    kind = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}.get(len(shape))
    if kind and kind != type(module).__name__ and not isinstance(module, nn.SyncBatchNorm):
        yield from another_class(scene, kind)
    if len(shape) > 2 and shape[-1] == module.num_features != shape[1]:
        back = {3: "{}.transpose(1, 2)", 4: "{}.permute(0, 2, 3, 1)"}.get(len(shape))
        if back:
            yield from around_call(scene, PERMUTES[len(shape)], back)
    if len(shape) > 1 and shape[1] != module.num_features:
        yield from argument(scene, module, "num_features", shape[1])
        yield from narrower_or_wider(scene, shape[1], module.num_features)
        yield from numbers(scene, module.num_features, shape[1])


def _group_norm(scene: Scene) -> Candidates:
    if len(scene.shape) > 1 and scene.shape[1] != scene.module.num_channels:
        yield from argument(scene, scene.module, "num_channels", scene.shape[1])
        yield from narrower_or_wider(scene, scene.shape[1], scene.module.num_channels)


def _layer_norm(scene: Scene) -> Candidates:
    module, shape = scene.module, scene.shape
    wanted = tuple(module.normalized_shape)
    if len(wanted) == 1 and len(shape) in TO_LAST and shape[1] == wanted[0] != shape[-1]:
        yield from around_call(scene, TO_LAST[len(shape)], PERMUTES[len(shape)])
    got = shape[-len(wanted) :]
    yield from argument(scene, module, "normalized_shape", got[0] if len(got) == 1 else got)
    if len(wanted) == 1:
        yield from narrower_or_wider(scene, shape[-1], wanted[0])
        yield from numbers(scene, wanted[0], shape[-1])


REPAIRS: list[tuple[Any, Callable[[Scene], Candidates]]] = [
    (nn.Linear, _linear),
    (_ConvNd, _conv),
    ((_MaxPoolNd, _AvgPoolNd), _pool),
    (_BatchNorm, _batch_norm),
    (nn.GroupNorm, _group_norm),
    (nn.LayerNorm, _layer_norm),
    (nn.RNNBase, recurrent_repairs),
    (nn.MultiheadAttention, attention_repairs),
    (nn.Embedding, embedding_repairs),
]
