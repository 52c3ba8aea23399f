"""What a traced forward pass is, as plain data: JSON for the app, rows for the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Shape = tuple[int, ...]
LOSS = "(loss)"
"""The path of the row that compares what the network gives with the targets; no module can be called so."""

FailureKind = Literal["shape", "dtype", "device", "range", "values", "error"]


@dataclass(frozen=True)
class TensorInfo:
    """Shape and dtype of one tensor; dtype as torch names it, such as ``float32``."""

    shape: Shape
    dtype: str

    @property
    def text(self) -> str:
        """``64×1×28×28``; a number without dimensions is ``()``."""
        return shape_text(self.shape)


@dataclass(frozen=True)
class Row:
    """One call of one layer.

    A layer is a call that calls no other module. A module that also calls others has a row of its own only
    for what it does itself (own parameters or operations), with `leaf` False.

    Attributes:
        path: the module's name within the model, such as ``blocks.0.conv``; empty for the model itself.
        type: its class.
        depth: modules around it.
        inputs, outputs: every tensor that goes in, comes out, however nested.
        parameters: its parameters that no earlier row has counted, so that rows add up.
        shared: its parameters that an earlier row has counted: a module used again, or tied weights.
        flops: floating-point operations of the call, a multiply-add counted as 2.
        activation_bytes: what it keeps for the backward pass beyond what earlier rows keep; 0 in evaluation.
        reused: the same module was called before.
        receptive: how many numbers of the model's input, along each axis of an image or sequence, one number
            of the output can see; empty where that is unknown or everything.
        source: the line of the model's own code that called it; None for the model itself.
    """

    path: str
    type: str
    depth: int
    leaf: bool
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    parameters: int
    shared: int
    flops: int
    activation_bytes: int
    reused: bool
    receptive: Shape = ()
    source: SourceLine | None = None


@dataclass(frozen=True)
class OperationRow:
    """One call of one torch function, by the model's own code or by a layer.

    Attributes:
        path: the module that was running.
        name: the function, such as ``conv2d`` or ``add``.
        flops: as in `Row`.
        source: the line of the model's own code that was running.
    """

    path: str
    name: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    flops: int
    source: SourceLine | None


@dataclass(frozen=True)
class SourceLine:
    """A line of the model's own code.

    Attributes:
        place: first line, first column, last line, end column of the expression in it; columns in UTF-8
            bytes from 0, all 0 where unknown.
    """

    file: str
    line: int
    function: str
    code: str
    place: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True)
class Note:
    """Something that works here and will hurt elsewhere.

    Attributes:
        kind: ``device`` for a tensor that would stay on the CPU, ``warning`` for what torch warns of, ``batch``
            for samples that see each other, ``hidden`` for layers that the model does not know of, ``output`` for
            a result without a tensor.
    """

    kind: Literal["device", "warning", "batch", "hidden", "output"]
    message: str
    source: SourceLine | None


@dataclass(frozen=True)
class Failure:
    """Why a forward pass stopped.

    Attributes:
        path, type: the innermost module that was running.
        kind: ``shape``, ``dtype``, ``device``, ``range`` (an id beyond a table's end), ``values`` (the code
            reads numbers that no meta tensor has) or ``error`` (anything else that the model's code raised).
        inputs: tensors that the module was called with.
        operation: the failing torch function, such as ``cat``; empty when none had been entered.
        operands: tensors that it was called with.
        message: the reason in plain words, one line.
        detail: the exception's class and first line.
        source: lines of non-torch code that were running, outermost first; the last one is the culprit.
        marks: the offending dimensions, each as a pair: number of the tensor, axis. Tensors are counted among
            the operands where an operation is named, else among the inputs.
    """

    path: str
    type: str
    kind: FailureKind
    inputs: tuple[TensorInfo, ...]
    operation: str
    operands: tuple[TensorInfo, ...]
    message: str
    detail: str
    source: tuple[SourceLine, ...]
    marks: tuple[tuple[int, int], ...] = ()

    @property
    def line(self) -> SourceLine | None:
        """The user's own line that failed."""
        return self.source[-1] if self.source else None


@dataclass(frozen=True)
class Trace:
    """A forward pass: its rows in the order of the calls, its totals, and its failure if it has one.

    Attributes:
        inputs, outputs: of the whole model; no outputs after a failure.
        parameters, trainable_parameters: each weight counted once, however often it is used.
        parameter_bytes, trainable_bytes, buffer_bytes: memory of all weights, the trainable ones, the rest.
        flops, activation_bytes: of the whole batch, sums over the rows (see `Row`).
        unused: names of parameters of modules that were never called; empty after a failure.
        mode: ``meta``, or ``real`` where the forward pass reads numbers.
        seconds: how long tracing took.
        operations: every torch function that was called, if these were asked for.
        tied: names of parameters that are one and the same tensor.
        notes: what works here and will hurt elsewhere.
    """

    rows: tuple[Row, ...]
    failure: Failure | None
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    parameters: int
    trainable_parameters: int
    parameter_bytes: int
    trainable_bytes: int
    buffer_bytes: int
    flops: int
    activation_bytes: int
    unused: tuple[str, ...]
    mode: Literal["meta", "real"]
    seconds: float
    operations: tuple[OperationRow, ...] = ()
    tied: tuple[tuple[str, ...], ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def batch_size(self) -> int:
        """First size of the first input; 1 when it has no dimensions."""
        return self.inputs[0].shape[0] if self.inputs and self.inputs[0].shape else 1

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def shapes_text(tensors: Sequence[TensorInfo]) -> str:
    """``64×10 and 20×5``; with their dtypes where these differ."""
    differ = len({tensor.dtype for tensor in tensors}) > 1
    texts = [f"{tensor.text} {tensor.dtype}" if differ else tensor.text for tensor in tensors]
    return " and ".join(texts) or "no tensors"


def shape_text(shape: Shape) -> str:
    """``(64, 1, 28, 28)`` as ``64×1×28×28``."""
    return "×".join(str(size) for size in shape) if shape else "()"
