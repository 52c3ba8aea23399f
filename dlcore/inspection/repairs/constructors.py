"""Guesses for a layer that cannot be built: parts that do not divide, an argument of another name."""

from __future__ import annotations

import ast
import inspect

from torch import nn

from dlcore.inspection.programs import Attempt, text_of
from dlcore.inspection.records import SourceLine
from dlcore.inspection.repairs.changes import called
from dlcore.inspection.repairs.scene import Candidate, Candidates
from dlcore.inspection.source_edits import Source
from dlcore.inspection.sources import source_lines
from dlcore.problems import nearest

COUNTS = {  # what must divide the width: its name, its place
    "MultiheadAttention": ("num_heads", 1),
    "TransformerEncoderLayer": ("nhead", 1),
    "TransformerDecoderLayer": ("nhead", 1),
    "Transformer": ("nhead", 1),
    "GroupNorm": ("num_groups", 0),
}


def constructor_repairs(attempt: Attempt) -> Candidates:
    """A layer that cannot be built: parts that do not divide, an argument of another name."""
    error = attempt.error
    if error is None:
        return
    frames = source_lines(error.__traceback__)
    for line in reversed(frames[-2:]):
        text = attempt.texts.get(line.file) or text_of(line.file)
        try:
            source = Source(line.file, text or "")
        except (SyntaxError, ValueError):
            return
        node = source.at(line.place)
        if "before Module.__init__() call" in str(error):
            yield from _begun(source, line)
            return
        if isinstance(node, ast.Call):
            yield from _divisible(source, node, str(error))
            yield from _renamed(source, node, str(error))
            return


def _begun(source: Source, line: SourceLine) -> Candidates:
    """A constructor that does not call the one of nn.Module first."""
    for function in ast.walk(source.tree):
        if isinstance(function, ast.FunctionDef) and function.name == "__init__":
            assert function.end_lineno is not None
            if function.lineno <= line.line <= function.end_lineno:
                yield Candidate(
                    "super().__init__() first",
                    (source.insert_line_before(function.body[0], "super().__init__()"),),
                )


def _divisible(source: Source, call: ast.Call, message: str) -> Candidates:
    """Another number of heads or groups: the nearest that might divide."""
    if "divisible" not in message:
        return
    key, index = COUNTS.get(called(call), ("groups", 6))  # of a convolution
    node = next((each.value for each in call.keywords if each.arg == key), None)
    node = node or (call.args[index] if index < len(call.args) else None)
    value = node.value if isinstance(node, ast.Constant) and isinstance(node.value, int) else 0
    for distance in range(1, 17):
        for right in (value + distance, value - distance):
            if node is not None and value and right > 0:
                yield Candidate(f"{key}={right}", (source.replace(node, str(right)),))


def _renamed(source: Source, call: ast.Call, message: str) -> Candidates:
    """An argument whose name is misspelt."""
    if "unexpected keyword argument" not in message:
        return
    kind = getattr(nn, called(call), None)
    if not isinstance(kind, type):
        return
    allowed = [each for each in inspect.signature(kind).parameters if each not in ("args", "kwargs")]
    for keyword in call.keywords:
        if keyword.arg and f"'{keyword.arg}'" in message:
            close = nearest(keyword.arg, allowed)
            if close:
                edit = source.replace(keyword.value, f"{close}={source.text(keyword.value)}")
                start = edit.start - len(f"{keyword.arg}=".encode())
                yield Candidate(f"{close}=", (edit._replace(start=start),))
