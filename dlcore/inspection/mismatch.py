"""An exception out of a forward pass, told as a `Failure`: which call, which tensors, why, whose line."""

from __future__ import annotations

import linecache
import sysconfig
from pathlib import Path
from traceback import walk_tb
from types import TracebackType

import torch

from dlcore.inspection.layer_needs import explain_dtype, explain_shape
from dlcore.inspection.operation_needs import explain_operation
from dlcore.inspection.operations import Operation
from dlcore.inspection.recording import Call
from dlcore.inspection.records import Failure, FailureKind, SourceLine, shapes_text

READS_VALUES = (
    "the forward pass reads numbers out of a tensor (.item(), .tolist(), if tensor), "
    "which are known only once real data runs through it"
)
NOT_THE_USERS = (str(Path(torch.__file__).parent), str(Path(__file__).parent), "<")
LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


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
    )


def _explain(error: Exception, call: Call | None, operation: Operation | None) -> tuple[FailureKind, str]:
    detail = _first_line(error)
    if isinstance(error, NotImplementedError | RuntimeError | TypeError) and "meta" in str(error).lower():
        return "values", READS_VALUES
    if call is not None and not call.calls_others:
        wrong_dtype = explain_dtype(call.module, call.inputs)
        wrong_shape = explain_shape(call.module, call.inputs)
        if wrong_shape or wrong_dtype:
            return ("shape", wrong_shape) if wrong_shape else ("dtype", wrong_dtype or "")
    about = _subject(detail)
    if operation is not None:
        known = explain_operation(operation.name, operation.operands, operation.sizes)
        if known and about != "dtype":
            return "shape", known
        return about, f"{operation.name} cannot work on {shapes_text(operation.operands)}: {detail}"
    if call is not None and _raised_by_torch(error):
        return about, f"{type(call.module).__name__} cannot take {shapes_text(call.inputs)}: {detail}"
    return "error", f"{type(error).__name__}: {detail}"


def _subject(detail: str) -> FailureKind:
    """What torch's own message is about, as far as its words tell."""
    words = detail.lower()
    if any(word in words for word in ("dtype", "scalar type", "data type")):
        return "dtype"
    about_shapes = ("size", "shape", "dimension", "dim ", "broadcast", "channels", "elements")
    return "shape" if any(word in words for word in about_shapes) else "error"


def source_lines(traceback: TracebackType | None) -> tuple[SourceLine, ...]:
    """The lines that were running outside of torch and this package, outermost first.

    Lines of installed libraries are left out too, unless there are no others.
    """
    lines = []
    for frame, number in walk_tb(traceback):
        file = frame.f_code.co_filename
        if not file.startswith(NOT_THE_USERS):
            code = linecache.getline(file, number).strip()
            lines.append(SourceLine(file, number, frame.f_code.co_name, code))
    return tuple(line for line in lines if not line.file.startswith(LIBRARIES)) or tuple(lines)


def _raised_by_torch(error: Exception) -> bool:
    file = ""
    for frame, _ in walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
    return file.startswith(NOT_THE_USERS[0])


def _first_line(error: Exception) -> str:
    return " ".join(str(error).strip().partition("\n")[0].split())
