"""An exception out of a forward pass, told as a `Failure`: which call, which tensors, why, whose line."""

from __future__ import annotations

import re

from torch import nn

from dlcore.inspection.layer_needs import explain_companions, explain_dtype, explain_shape
from dlcore.inspection.marks import layer_marks, operation_marks
from dlcore.inspection.operation_needs import explain_operation
from dlcore.inspection.operations import DeviceError, Operation
from dlcore.inspection.recording import Call
from dlcore.inspection.records import Failure, FailureKind, shapes_text
from dlcore.inspection.sources import raised_by_torch, source_lines
from dlcore.problems import nearest

NO_ATTRIBUTE = re.compile(r"'(\w+)' object has no attribute '(\w+)'")
READS_VALUES = (
    "the forward pass reads numbers out of a tensor (.item(), .tolist(), if tensor), "
    "which are known only once real data runs through it"
)
RANGED = frozenset({"embedding", "cross_entropy", "nll_loss"})


def describe_failure(error: Exception, call: Call | None, operation: Operation | None) -> Failure:
    """Everything known about the exception.

    Args:
        call: the innermost module call that was running.
        operation: the last torch function that raised, whether or not it raised this exception.
    """
    if operation is not None and operation.error is not error:
        operation = None
    kind, message = _explain(error, call, operation)
    return Failure(
        path=call.path if call else "",
        type=type(call.module).__name__ if call else "",
        kind=kind,
        inputs=call.inputs if call else (),
        operation=operation.name if operation else "",
        operands=operation.operands if operation else (),
        message=message,
        detail=f"{type(error).__name__}: {_first_line(error)}",
        source=source_lines(error.__traceback__),
        marks=_marks(kind, call, operation),
    )


def _marks(kind: FailureKind, call: Call | None, operation: Operation | None) -> tuple[tuple[int, int], ...]:
    if kind != "shape":
        return ()
    marks = layer_marks(call.module, call.inputs) if call and not call.calls_others else ()
    if operation is not None and (not marks or operation.name == "linear"):  # its weight is marked, too
        return operation_marks(operation.name, operation.operands, operation.dim)
    return marks


def _explain(error: Exception, call: Call | None, operation: Operation | None) -> tuple[FailureKind, str]:
    detail = _first_line(error)
    if isinstance(error, DeviceError):
        made = operation.strangers[0] if operation and operation.strangers else None
        where = f", made in line {made.source().line}," if made else ""
        name = operation.name if operation else "it"
        return "device", f"{name}: {detail}; that one{where} does not move with the model"
    if isinstance(error, IndexError) and operation is not None and operation.name in RANGED:
        return "range", _out_of_range(operation, detail)
    if isinstance(error, NotImplementedError | RuntimeError | TypeError) and "meta" in str(error).lower():
        return "values", READS_VALUES
    if call is not None and not call.calls_others:
        wrong_dtype = explain_dtype(call.module, call.inputs)
        wrong_shape = explain_shape(call.module, call.inputs)
        if wrong_shape or wrong_dtype:
            return ("shape", wrong_shape) if wrong_shape else ("dtype", wrong_dtype or "")
        unlike = explain_companions(call.module, call.inputs, detail)
        if unlike:
            return "shape", unlike
    if isinstance(error, RecursionError):
        return "error", "forward calls itself without an end"
    about = _subject(detail)
    if isinstance(error, AssertionError) and operation is not None and not operation.operands:
        return about, detail  # the user's or a library's own words
    if operation is not None:
        known = explain_operation(operation.name, operation.operands, operation.sizes)
        if known and about != "dtype":
            return "shape", known
        return about, f"{operation.name} cannot work on {shapes_text(operation.operands)}: {detail}"
    meant = _like_it(call.module, detail) if call is not None and isinstance(error, AttributeError) else ""
    if meant:
        return "error", f"{detail}; did you mean {meant}?"
    if call is not None and isinstance(error, TypeError) and " missing " in detail and "forward()" in detail:
        return "error", f"{detail}: give one more --input for each, such as --input NAME=SHAPE"
    if call is not None and raised_by_torch(error):
        return about, f"{type(call.module).__name__} cannot take {shapes_text(call.inputs)}: {detail}"
    return "error", f"{type(error).__name__}: {detail}"


def _like_it(module: nn.Module, detail: str) -> str:
    """The attribute that a misspelt one was to be; "" where none is like it."""
    found = NO_ATTRIBUTE.search(detail)
    if found is None or found[1] != type(module).__name__:
        return ""
    names = [*dict(module.named_children()), *dict(module.named_parameters(recurse=False)), *vars(module)]
    return nearest(found[2], [name for name in names if not name.startswith("_")]) or ""


def _out_of_range(operation: Operation, detail: str) -> str:
    table = operation.operands[1].shape if len(operation.operands) > 1 else ()
    if operation.name != "embedding" or not table:
        return f"{operation.name} cannot work on these numbers: {detail}"
    bounds = next((bounds for bounds in operation.bounds if bounds), None)
    got = f"its ids go from {bounds[0]} to {bounds[1]}" if bounds else "an id lies beyond them"
    return f"Embedding(num_embeddings={table[0]}) knows the ids 0 to {table[0] - 1}, but {got}"


def _subject(detail: str) -> FailureKind:
    """What torch's own message is about, as far as its words tell."""
    words = detail.lower()
    if any(word in words for word in ("dtype", "scalar type", "data type")):
        return "dtype"
    about_shapes = ("size", "shape", "dimension", "dim ", "broadcast", "channels", "elements")
    return "shape" if any(word in words for word in about_shapes) else "error"


def _first_line(error: Exception) -> str:
    return " ".join(str(error).strip().partition("\n")[0].split())
