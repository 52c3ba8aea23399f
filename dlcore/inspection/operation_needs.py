"""Which sizes of its operands make a torch function fail, in one sentence.

For functions that a model's own code calls between layers; `layer_needs` speaks for the layers. An
explanation is None where nothing is known to be wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from dlcore.inspection.records import Shape, TensorInfo, shape_text, shapes_text


def explain_operation(name: str, operands: Sequence[TensorInfo], sizes: Sequence[int]) -> str | None:
    """Why a function cannot work on its operands.

    Args:
        name: the function as torch calls it, without underscores around it, such as ``radd``.
        sizes: its whole-number arguments, such as the sizes of a view.
    """
    plain = name if name in OPERATIONS else name[1:]  # radd, iadd
    explain = OPERATIONS.get(plain)
    return explain(plain, [operand.shape for operand in operands], sizes) if explain and operands else None


def _product(name: str, shapes: Sequence[Shape], sizes: Sequence[int]) -> str | None:
    left, right = shapes[-2:] if len(shapes) > 1 else ((), ())  # addmm and baddbmm have the addend first
    dimensions = {"mm": 2, "addmm": 2, "bmm": 3, "baddbmm": 3}.get(name)
    if dimensions and not len(left) == len(right) == dimensions:
        hint = "; use matmul for others" if max(len(left), len(right)) != dimensions else ""
        return f"{name} multiplies tensors of {dimensions} dimensions, but gets {_list(left, right)}{hint}"
    if not left or not right:
        return f"{name} needs tensors with at least 1 dimension, but gets {_list(left, right)}"
    rows = right[-2] if len(right) > 1 else right[-1]
    if left[-1] != rows:
        which = "last but one size" if len(right) > 1 else "size"
        return (
            f"{name} cannot multiply {_list(left, right)}: the last size of the first, {left[-1]}, "
            f"must equal the {which} of the second, {rows}"
        )
    return f"{name} cannot multiply {_list(left, right)}: all sizes before the last two must be equal or 1"


def _linear(name: str, shapes: Sequence[Shape], sizes: Sequence[int]) -> str | None:
    inputs, weight = (*shapes, (), ())[:2]
    if not inputs or len(weight) != 2 or inputs[-1] == weight[1]:
        return None
    return (
        f"linear's weight {shape_text(weight)} needs {weight[1]} numbers in the last dimension, "
        f"but its input {shape_text(inputs)} has {inputs[-1]}"
    )


def _convolution(name: str, shapes: Sequence[Shape], sizes: Sequence[int]) -> str | None:
    inputs, weight = (*shapes, (), ())[:2]
    if len(weight) < 3 or len(inputs) != len(weight) or inputs[1] == weight[1]:
        return None
    return (
        f"{name}'s weight {shape_text(weight)} looks at {weight[1]} channels, "
        f"but its input {shape_text(inputs)} has {inputs[1]} in dimension 1"
    )


def _joined(name: str, shapes: Sequence[Shape], sizes: Sequence[int]) -> str | None:
    if len({len(shape) for shape in shapes}) > 1:
        return f"{name} needs tensors with equally many dimensions, but gets {_list(*shapes)}"
    if len(set(shapes)) == 1:
        return None
    rule = "their shapes must be equal" if name == "stack" else "they may differ only in the joined dimension"
    return f"{name} cannot join {_list(*shapes)}: {rule}"


def _broadcast(name: str, shapes: Sequence[Shape], sizes: Sequence[int]) -> str | None:
    if len(shapes) != 2:
        return None
    left, right = shapes
    for back in range(1, min(len(left), len(right)) + 1):
        if left[-back] != right[-back] and 1 not in (left[-back], right[-back]):
            return (
                f"{name} cannot combine {_list(left, right)}: dimension -{back}, counted from the end, is "
                f"{left[-back]} in one and {right[-back]} in the other; sizes must be equal or 1"
            )
    return None


def _compared(name: str, shapes: Sequence[Shape], sizes: Sequence[int]) -> str | None:
    """A loss that compares number by number."""
    left, right = (*shapes, (), ())[:2]
    if left == right:
        return None
    apart = [axis for axis, (one, other) in enumerate(zip(left, right, strict=False)) if one != other]
    if len(left) != len(right) or not apart:
        return f"{name} compares number by number and needs equal shapes, but gets {_list(left, right)}"
    where = " and ".join(f"dimension {axis} is {left[axis]} and {right[axis]}" for axis in apart)
    return f"{name} compares number by number and needs equal shapes, but gets {_list(left, right)}: {where}"


def _attended(name: str, shapes: Sequence[Shape], sizes: Sequence[int]) -> str | None:
    """Scaled dot products of queries and keys, with a mask of theirs."""
    if len(shapes) != 4 or min(map(len, shapes[:3])) < 2:
        return None
    query, key, _, mask = shapes
    wanted = (query[-2], key[-2])
    if all(size in (1, right) for size, right in zip(mask[-2:], wanted, strict=False)):
        return None
    return (
        f"{name}'s mask {shape_text(mask)} must end in {shape_text(wanted)}, a number for each of {wanted[0]} "
        f"queries and {wanted[1]} keys"
    )


def _rearranged(name: str, shapes: Sequence[Shape], sizes: Sequence[int]) -> str | None:
    if not sizes:
        return None
    numbers, asked = math.prod(shapes[0]), math.prod(size for size in sizes if size != -1)
    wanted = shape_text(tuple(sizes))
    if (-1 in sizes and asked and numbers % asked) or (-1 not in sizes and numbers != asked):
        needs = f"a multiple of {asked}" if -1 in sizes else f"{asked}"
        return f"{name} to {wanted} needs {needs} numbers, but {shape_text(shapes[0])} has {numbers}"
    if name == "view":
        return (
            f"view cannot show {shape_text(shapes[0])} as {wanted}, because its numbers lie in another order "
            "in memory: use reshape"
        )
    return None


def _list(*shapes: Shape) -> str:
    return shapes_text([TensorInfo(shape, "") for shape in shapes])


OPERATIONS: dict[str, Callable[[str, Sequence[Shape], Sequence[int]], str | None]] = {
    **dict.fromkeys(("matmul", "mm", "bmm", "addmm", "baddbmm"), _product),
    "linear": _linear,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), _joined),
    **dict.fromkeys(
        ("add", "sub", "subtract", "mul", "multiply", "div", "divide", "truediv", "pow"), _broadcast
    ),
    **dict.fromkeys(("maximum", "minimum", "eq", "ne", "gt", "lt", "ge", "le"), _broadcast),
    **dict.fromkeys(("view", "reshape"), _rearranged),
    **dict.fromkeys(("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"), _compared),
    "scaled_dot_product_attention": _attended,
}
