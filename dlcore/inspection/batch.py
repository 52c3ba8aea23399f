"""Which sizes of a forward pass follow the batch: found by tracing twice, with another number of samples.

Written as a formula of B: ``B×10`` keeps the batch, ``9B×20`` has merged it with another dimension, and ``32×10``
in both passes does not know it. A size that is written into the code as a number shows as a second pass that
fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from torch import nn

from dlcore.inspection.records import LOSS, Note, SourceLine, TensorInfo, Trace

Sizes = tuple[str, ...]
"""Shapes with B in them, one of each tensor."""

SEQUENTIAL = (nn.RNNBase, nn.MultiheadAttention)


@dataclass(frozen=True)
class RowSizes:
    """What goes into a row and comes out of it; `keeps` when each output has the batch as a dimension."""

    inputs: Sizes
    outputs: Sizes
    keeps: bool


@dataclass(frozen=True)
class BatchLook:
    """How a forward pass depends on the number of samples.

    Attributes:
        size: samples in the first pass.
        rows: in the order of the trace's rows; shorter where the second pass went another way.
        problem: what is wrong with another number of samples, in a sentence; empty where nothing is.
        source: the line that it is wrong in.
    """

    size: int
    inputs: Sizes = ()
    outputs: Sizes = ()
    keeps: bool = True
    rows: tuple[RowSizes, ...] = ()
    problem: str = ""
    source: SourceLine | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def other_batch(size: int) -> int:
    """A number of samples to compare with: twice as many, so that halves of a batch stay whole."""
    return 2 * max(size, 1)


def compare_batches(first: Trace, second: Trace | None, size: int) -> BatchLook:
    """Reads two passes side by side.

    Args:
        second: the same with `other_batch(size)` samples; None where the model could not even be built.
        size: samples in the first.
    """
    sizes = (size, other_batch(size))
    if second is None:
        return BatchLook(size, problem=f"with {sizes[1]} samples in place of {size} it cannot be built")
    rows: list[RowSizes] = []
    for one, other in zip(first.rows, second.rows, strict=False):
        if one.path != other.path:
            break
        rows.append(_row(one.inputs, other.inputs, one.outputs, other.outputs, sizes))
    problem, source = "", None
    if second.failure and not first.failure:
        problem = f"with {sizes[1]} samples in place of {size} it fails: {second.failure.message}"
        source = second.failure.line
    elif len(first.rows) != len(second.rows):
        problem = f"with {sizes[1]} samples in place of {size} other layers run"
    ends = _row(first.inputs, second.inputs, first.outputs, second.outputs, sizes)
    return BatchLook(size, ends.inputs, ends.outputs, ends.keeps, tuple(rows), problem, source)


def mixing(look: BatchLook, trace: Trace, model: nn.Module, *, guessed: str = "") -> list[Note]:
    """Layers over time that take the batch for time, so that every sample sees the others.

    Args:
        guessed: the input whose first size was taken for the batch without anybody saying so.
    """
    notes = []
    for row, sizes in zip(trace.rows, look.rows, strict=False):
        if row.path == LOSS:
            continue
        layer: Any = model.get_submodule(row.path)
        first = sizes.inputs[0].split("×") if sizes.inputs else []
        if isinstance(layer, SEQUENTIAL) and not layer.batch_first and first[:1] == ["B"] and len(first) == 3:
            message = (
                f"{row.path}: {row.type} takes dimension 0 for time, but in {sizes.inputs[0]} that is the batch: "
                "samples see each other; give it batch_first=True"
            )
            if guessed:
                message += f", or say where the batch is: {guessed}"
            notes.append(Note("batch", message, row.source))
    return notes


def _row(
    inputs: Sequence[TensorInfo],
    other_inputs: Sequence[TensorInfo],
    outputs: Sequence[TensorInfo],
    other_outputs: Sequence[TensorInfo],
    sizes: tuple[int, int],
) -> RowSizes:
    into, out = _formulas(inputs, other_inputs, sizes), _formulas(outputs, other_outputs, sizes)
    return RowSizes(into, out, all("B" in shape.split("×") for shape in out))


def _formulas(one: Sequence[TensorInfo], other: Sequence[TensorInfo], sizes: tuple[int, int]) -> Sizes:
    if len(one) != len(other):
        return tuple(tensor.text for tensor in one)
    return tuple(_shape(a, b, sizes) for a, b in zip(one, other, strict=True))


def _shape(one: TensorInfo, other: TensorInfo, sizes: tuple[int, int]) -> str:
    if len(one.shape) != len(other.shape) or not one.shape:
        return one.text
    return "×".join(_size(a, b, sizes) for a, b in zip(one.shape, other.shape, strict=True))


def _size(one: int, other: int, sizes: tuple[int, int]) -> str:
    """A size as a B + c, from its values with two batches."""
    if one == other:
        return str(one)
    factor = Fraction(other - one, sizes[1] - sizes[0])
    rest = one - factor * sizes[0]
    if rest.denominator != 1 or (rest and factor != 1):  # such as B², or chance
        return f"{one}*"
    times = "" if factor.numerator == 1 else str(factor.numerator)
    over = "" if factor.denominator == 1 else f"/{factor.denominator}"
    return f"{times}B{over}" + (f"{int(rest):+d}" if rest else "")
