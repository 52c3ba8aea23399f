"""Guesses at what would let a torch function take its operands, the likeliest first."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd

from dlcore.inspection.records import Shape
from dlcore.inspection.repairs.changes import (
    argument,
    longer_outputs,
    narrower_or_wider,
    numbers,
    parameter_sizes,
)
from dlcore.inspection.repairs.losses import class_loss, number_loss
from dlcore.inspection.repairs.operands import Failing, failing_function
from dlcore.inspection.repairs.scene import Candidate, Candidates, Scene


def operation_repairs(scene: Scene) -> Candidates:
    """For the torch function that raised."""
    operation = scene.operation
    if operation is None or scene.node is None:
        return
    name = operation.name.strip("_")
    plain = name if name in REPAIRS else name[1:]  # radd, iadd
    if name in ("view", "reshape"):
        yield from _rearranged(scene)
        return
    failing = failing_function(scene)
    if failing is None:
        return
    if scene.failure.kind == "dtype" and plain not in ("cross_entropy", "nll_loss"):
        yield from _dtypes(failing)
    repairs = REPAIRS.get(plain)
    if repairs and len(failing.operands) > 1:
        yield from repairs(failing)


def _dtypes(failing: Failing) -> Candidates:
    for index, operand in enumerate(failing.operands):
        if operand.dtype != "float32":
            yield failing.changed(index, "{}.float()")


def _joined(failing: Failing) -> Candidates:
    shapes = [operand.shape for operand in failing.operands]
    dim = failing.scene.operation.dim if failing.scene.operation else None
    yield from _expanded(failing)
    if len({len(shape) for shape in shapes}) > 1:
        yield from _same_dimensions(failing)
        return
    length = len(shapes[0])
    if dim is None or not length:
        return
    axes = [axis for axis in range(length) if len({shape[axis] for shape in shapes}) > 1]
    stacked = getattr(failing.scene.operation, "name", "") == "stack"
    apart = [axis for axis in axes if stacked or axis != dim % length]
    spatial = bool(apart) and length > 3 and all(axis > 1 for axis in apart)
    if not spatial and not stacked and len(axes) == 1:
        yield from _along(failing, axes[0])
    if spatial:
        yield from _padded_branch(failing, shapes)
        yield from longer_outputs(failing.scene)
        yield from _cropped(failing, apart)
        yield from _padded(failing)
    elif apart:
        if len(shapes) == 2 and apart == [length - 1]:
            yield from _widths(failing, apart[0])
        yield from _cropped(failing, apart)


def _along(failing: Failing, dim: int) -> Candidates:
    """Joined along another dimension."""
    node = failing.node
    if not isinstance(node, ast.Call):
        return
    for keyword in node.keywords:
        if keyword.arg in ("dim", "axis"):
            yield Candidate(f"dim={dim}", (failing.source.replace(keyword.value, str(dim)),))
            return
    if len(node.args) > 1:
        yield Candidate(f"dim={dim}", (failing.source.replace(node.args[1], str(dim)),))
    elif node.args:
        first = node.args[0]
        yield Candidate(
            f"dim={dim}", (failing.source.replace(first, f"{failing.source.text(first)}, dim={dim}"),)
        )


def _expanded(failing: Failing) -> Candidates:
    """A single sample, such as a class token, repeated for the whole batch."""
    for index, operand in enumerate(failing.operands):
        other = failing.operands[1 - index] if index < 2 else failing.operands[0]
        if operand.shape[:1] == (1,) and other.shape[:1] != (1,) and len(operand.shape) == len(other.shape):
            rest = ", -1" * (len(operand.shape) - 1)
            yield failing.changed(index, f"{{}}.expand({other.text}.shape[0]{rest})")


def _same_dimensions(failing: Failing) -> Candidates:
    most = max(len(operand.shape) for operand in failing.operands)
    least = min(len(operand.shape) for operand in failing.operands)
    for index, operand in enumerate(failing.operands):
        if len(operand.shape) == most - 1:
            for axis in (1, 0, most - 1):
                yield failing.changed(index, f"{{}}.unsqueeze({axis})")
    for index, operand in enumerate(failing.operands):
        if least == 2 and len(operand.shape) == most:
            yield failing.changed(index, "{}.flatten(1)")


def _padded_branch(failing: Failing, shapes: list[Shape]) -> Candidates:
    """A convolution that lost its margin, or halved the image, although its output is joined or added."""
    sizes = {shape[-1] for shape in shapes}
    lost = max(sizes) - min(sizes)
    for call in failing.scene.producers()[:12]:
        module: Any = call.module
        if not isinstance(module, _ConvNd) or isinstance(module.padding, str):
            continue
        kernel, stride = module.kernel_size[0], module.stride[0]
        if (
            len(set(module.kernel_size)) == 1
            and not any(module.padding)
            and kernel % 2
            and lost == kernel - 1 > 0
        ):
            yield from argument(failing.scene, module, "padding", kernel // 2, of=call.path)
        if stride > 1 and max(sizes) >= min(sizes) * stride - stride and call.path:
            yield from argument(failing.scene, module, "stride", 1, of=call.path)


def _cropped(failing: Failing, axes: list[int]) -> Candidates:
    """The larger operand cut to the size of the smaller."""
    first, second = failing.operands[:2]
    for index, (large, small) in enumerate(((first, second), (second, first))):
        if len(large.shape) != len(small.shape) or any(
            large.shape[axis] < small.shape[axis] for axis in axes
        ):
            continue
        cuts = [
            f": {small.text}.shape[{axis - len(small.shape)}]" if axis in axes else ":"
            for axis in range(min(axes), len(large.shape))
        ]
        yield failing.changed(index, f"{{}}[..., {', '.join(cuts)}]")


def _padded(failing: Failing) -> Candidates:
    """The smaller image widened by zeros."""
    if b"functional as F" not in failing.source.bytes:
        return
    first, second = failing.operands[:2]
    for index, (small, large) in enumerate(((first, second), (second, first))):
        room = [large.shape[axis] - small.shape[axis] for axis in (-1, -2)]
        if len(small.shape) == len(large.shape) == 4 and min(room) >= 0:
            margin = ", ".join(f"0, {size}" for size in room)
            yield failing.changed(index, f"F.pad({{}}, ({margin}))")


def _combined(failing: Failing) -> Candidates:
    """Arithmetic on two tensors."""
    if len(failing.operands) != 2:
        return
    shapes = [operand.shape for operand in failing.operands]
    for index, operand in enumerate(failing.operands):
        other = shapes[1 - index]
        own = operand.shape
        if 0 < len(own) < len(other):
            behind = len(other) - len(own) - 1
            if own == other[1:2] and len(other) > 2:
                yield failing.changed(index, f"{{}}.view(-1{', 1' * (len(other) - 2)})")
            if own == other[: len(own)]:
                yield failing.changed(
                    index,
                    f"{{}}[(...,) + (None,) * {behind + 1}]"
                    if behind > 1
                    else "{}[..., None" + ", None" * behind + "]",
                )
        if len(own) == len(other) > 1 and (*own[:-2], own[-1], own[-2]) == other:
            yield failing.changed(index, "{}.transpose(-2, -1)")
    if len(shapes[0]) == len(shapes[1]):
        axes = [axis for axis in range(len(shapes[0])) if shapes[0][axis] != shapes[1][axis]]
        axes = [axis for axis in axes if 1 not in (shapes[0][axis], shapes[1][axis])]
        for axis in axes:
            yield from _own_parameter(failing, axis)
        if axes and min(axes) > 1:
            yield from _padded_branch(failing, shapes)
        if 1 in axes and len(shapes[0]) > 2:
            yield from _projected(failing)
        if axes == [len(shapes[0]) - 1] or (axes == [1] and len(shapes[0]) > 3):
            yield from _widths(failing, axes[0])
        if axes and 0 not in axes:
            yield from _cropped(failing, axes)
    elif shapes[0] and shapes[1]:
        yield from _aligned_crop(failing)


def _own_parameter(failing: Failing, axis: int) -> Candidates:
    """A parameter that is too short, such as a table of positions, made longer."""
    tensors = failing.scene.operation.tensors if failing.scene.operation else ()
    for tensor, other in zip(tensors[:2], reversed(tensors[:2]), strict=True):
        if tensor.shape[axis] < other.shape[axis]:
            yield from parameter_sizes(failing.scene, tensor, axis, other.shape[axis])


def _projected(failing: Failing) -> Candidates:
    """A shortcut around convolutions that change the size, brought to the same size by a 1×1 convolution."""
    scene, source = failing.scene, failing.source
    around = [
        call for call in scene.producers() if scene.call and call.path.startswith(f"{scene.call.path}.")
    ]
    layers: list[Any] = [call.module for call in reversed(around) if isinstance(call.module, nn.Conv2d)]
    made = [scene.made_at(layer) for layer in layers]
    calls = [
        each[1] for each in made if each is not None and each[0].file == source.file and len(each[1].args) > 1
    ]
    if not layers or len(calls) != len(layers):
        return
    strides = [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "stride"]
    strides += [call.args[3] for call in calls if len(call.args) > 3]
    into, out = source.text(calls[0].args[0]), source.text(calls[-1].args[1])
    stride = "".join(f", stride={source.text(each)}" for each in strides[:1])
    conv = source.text(calls[0].func)
    for index, operand in enumerate(failing.operands):
        if operand.shape[1] == layers[0].in_channels and isinstance(operand.node, ast.Name):
            line = f"self.project = {conv}({into}, {out}, 1{stride})"
            edits = (
                source.insert_line_after(calls[-1], line),
                *failing.changed(index, "self.project({})").edits,
            )
            yield Candidate(f"self.project({operand.text}), a 1×1 convolution", edits)


def _convolved(failing: Failing) -> Candidates:
    """A convolution whose kernels are a parameter of the user's own."""
    tensors = failing.scene.operation.tensors if failing.scene.operation else ()
    if len(tensors) > 1 and tensors[1].dim() > 2 and tensors[0].dim() == tensors[1].dim():
        yield from parameter_sizes(failing.scene, tensors[1], 1, tensors[0].shape[1])


def _weighted(failing: Failing) -> Candidates:
    """A linear layer whose weights are a parameter of the user's own."""
    tensors = failing.scene.operation.tensors if failing.scene.operation else ()
    if len(tensors) > 1 and tensors[1].dim() == 2 and tensors[0].dim():
        wanted, got = tensors[1].shape[1], tensors[0].shape[-1]
        if tensors[1].shape[0] == got:
            yield failing.changed(1, "{}.t()")
        yield from parameter_sizes(failing.scene, tensors[1], 1, got)
        yield from narrower_or_wider(failing.scene, got, wanted)
        yield from numbers(failing.scene, wanted, got)


def _widths(failing: Failing, axis: int) -> Candidates:
    """The last layer before made as wide as the other operand."""
    left, right = (operand.shape[axis] for operand in failing.operands)
    yield from narrower_or_wider(failing.scene, right, left)
    yield from narrower_or_wider(failing.scene, left, right)
    yield from numbers(failing.scene, right, left)
    yield from numbers(failing.scene, left, right)


def _aligned_crop(failing: Failing) -> Candidates:
    """A table of positions, without a batch, cut to the length at hand."""
    first, second = failing.operands
    for index, (large, small) in enumerate(((first, second), (second, first))):
        for back in range(1, min(len(large.shape), len(small.shape)) + 1):
            if large.shape[-back] > small.shape[-back] > 1:
                rest = ", :" * (back - 1)
                yield failing.changed(index, f"{{}}[..., : {small.text}.shape[-{back}]{rest}]")


def _product(failing: Failing) -> Candidates:
    if len(failing.operands) != 2:
        return
    (left, right) = (operand.shape for operand in failing.operands)
    operation = failing.scene.operation
    name = operation.name.strip("_") if operation else ""
    if len(right) > 1 and left and left[-1] == right[-1]:
        yield failing.changed(1, "{}.transpose(-2, -1)" if len(right) > 2 else "{}.t()")
    if len(left) > 1 and len(right) > 1 and left[-2] == right[-2]:
        yield failing.changed(0, "{}.transpose(-2, -1)" if len(left) > 2 else "{}.t()")
    if len(left) == len(right) == 4 and left[:2] == (right[0], right[2]):
        yield failing.changed(1, "{}.transpose(1, 2)")
    if len(left) == 3 and len(right) == 2 and left[0] == right[0] and left[2] == right[1]:
        yield failing.changed(1, "{}.unsqueeze(-1)")
    if len(left) == 2 and len(right) == 3 and left[0] == right[0]:
        yield failing.changed(0, "{}.unsqueeze(1)")
    if name in ("bmm", "mm") and isinstance(failing.node, ast.Call):
        function = failing.node.func
        text = failing.source.text(function)
        changed = text[: len(text) - len(name)] + "matmul"
        yield Candidate(f"matmul in place of {name}", (failing.source.replace(function, changed),))
    inner = right[-2] if len(right) > 1 else right[-1] if right else 0
    if left and inner and left[-1] != inner:
        yield from narrower_or_wider(failing.scene, left[-1], inner)
        yield from numbers(failing.scene, inner, left[-1])
        yield from numbers(failing.scene, left[-1], inner)


def _rearranged(scene: Scene) -> Candidates:
    """A view or reshape to sizes that the numbers do not fill."""
    assert scene.node is not None and scene.operation is not None
    source, node = scene.node
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    shape, asked = scene.operation.operands[0].shape, scene.operation.sizes
    own = source.text(node.func.value)
    sizes = list(node.args)
    if len(sizes) == 1 and isinstance(sizes[0], ast.Tuple | ast.List):
        sizes = list(sizes[0].elts)
    fills = math.prod(asked) == math.prod(shape) or (
        -1 in asked and math.prod(shape) % max(1, -math.prod(asked)) == 0
    )
    if fills and node.func.attr == "view":
        start = source.span(node.func.value)[1]
        edit = source.replace(
            node.func, source.bytes[source.span(node.func)[0] : start].decode() + ".reshape"
        )
        yield Candidate("reshape in place of view", (edit,))
        return
    flat = Candidate(f"{own}.flatten(1)", (source.replace(node, f"{own}.flatten(1)"),))
    if len(sizes) == len(asked) and shape and asked[0] not in (-1, shape[0]):  # a batch written as a number
        text = f"{own}.shape[0]"
        yield Candidate(f"{own}.{node.func.attr}({text}, …)", (source.replace(sizes[0], text),))
    if len(asked) == 2 and len(shape) > 2:
        yield flat
    if len(sizes) != len(asked):
        return
    for index, size in enumerate(asked):
        rest = math.prod(each for place, each in enumerate(asked) if place != index and each != -1)
        if -1 not in asked and rest and math.prod(shape) % rest == 0:
            right = math.prod(shape) // rest
            say = f"{right} in place of {size} in {node.func.attr}"
            yield Candidate(say, (source.replace(sizes[index], str(right)),))
    for distance in range(1, 5):  # heads that do not divide the width
        for size in dict.fromkeys(each for each in asked if 1 < each <= 64):
            yield from numbers(scene, size, size + distance)
            yield from numbers(scene, size, size - distance) if size > distance + 1 else ()


REPAIRS: dict[str, Callable[[Failing], Candidates]] = {
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), _joined),
    **dict.fromkeys(("add", "sub", "subtract", "mul", "multiply", "div", "divide", "truediv"), _combined),
    **dict.fromkeys(("maximum", "minimum", "eq", "ne", "gt", "lt", "ge", "le", "where", "pow"), _combined),
    **dict.fromkeys(("matmul", "mm", "bmm", "mv"), _product),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolved),
    "linear": _weighted,
    **dict.fromkeys(("cross_entropy", "nll_loss"), class_loss),
    **dict.fromkeys(("binary_cross_entropy", "binary_cross_entropy_with_logits"), number_loss),
    **dict.fromkeys(("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"), number_loss),
}
