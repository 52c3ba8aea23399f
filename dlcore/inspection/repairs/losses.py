"""Guesses at what would let a loss compare what the network gives with what it should give."""

from __future__ import annotations

import ast
import math
from typing import Any

from torch import nn

from dlcore.inspection.repairs.changes import another_class, longer_outputs, narrower_or_wider, numbers
from dlcore.inspection.repairs.operands import Failing
from dlcore.inspection.repairs.scene import Candidate, Candidates, Scene


def class_loss(failing: Failing) -> Candidates:
    """Cross-entropy: scores (batch, classes, …) against class numbers (batch, …)."""
    scores, targets = failing.operands[:2]
    left, right = scores.shape, targets.shape
    if right[-1:] == (1,) and len(right) == len(left):
        yield failing.changed(1, "{}.squeeze(-1)" + (".long()" if targets.dtype != "int64" else ""))
    if len(right) == len(left) - 1 and targets.dtype != "int64" and left[:1] + left[2:] == right:
        yield failing.changed(1, "{}.long()")
    if right == left and targets.dtype.startswith(("int", "uint")):
        yield failing.changed(1, "{}.float()")
    if len(left) > 2 and left[:-1] == right:
        yield failing.changed(0, "{}.transpose(1, 2)" if len(left) == 3 else "{}.permute(0, 3, 1, 2)")
    if len(left) == 3 and left[1] == 1 and left[0] == right[0]:
        yield failing.changed(0, "{}.squeeze(1)")
    if len(right) == 4 and right[1] == 1:
        yield failing.changed(1, "{}.squeeze(1)" + (".long()" if targets.dtype != "int64" else ""))
    if len(left) == 2 and math.prod(right) == left[0]:
        yield failing.changed(1, "{}.flatten()")
    if len(left) > 1 and failing.scene.failure.kind == "range":
        high = max((bounds[1] for bounds in _bounds(failing.scene) if bounds), default=None)
        if high is not None:
            yield from narrower_or_wider(failing.scene, left[1], high + 1)
            yield from numbers(failing.scene, left[1], high + 1)


def _bounds(scene: Scene) -> tuple[Any, ...]:
    return scene.operation.bounds if scene.operation else ()


def _of_classes(failing: Failing) -> Candidates:
    """Class numbers against a score a class: another loss is meant."""
    node = failing.node
    if isinstance(failing.scene.module, nn.BCEWithLogitsLoss | nn.MSELoss):
        yield from another_class(failing.scene, "CrossEntropyLoss")
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        text = f"{failing.source.text(node.func.value)}.cross_entropy"
        yield Candidate(
            f"cross_entropy in place of {node.func.attr}", (failing.source.replace(node.func, text),)
        )


def number_loss(failing: Failing) -> Candidates:
    """Losses that compare number by number: both must have one shape and dtype."""
    outputs, targets = failing.operands[:2]
    left, right = outputs.shape, targets.shape
    if len(left) == 2 and left[1] > 1 and right == left[:1] and targets.dtype == "int64":
        yield from _of_classes(failing)
    if len(left) == len(right) > 2 and left[:2] == right[:2]:
        yield from longer_outputs(failing.scene)
    cast = "" if targets.dtype.startswith(("float", "bfloat")) else ".float()"
    if left == (*right, 1):
        yield failing.changed(1, f"{{}}.unsqueeze(-1){cast}")
        if not cast:
            yield failing.changed(0, "{}.squeeze(-1)")
    elif right == (*left, 1):
        yield failing.changed(1, f"{{}}.squeeze(-1){cast}")
    elif len(left) == len(right) + 1 and left[1] == 1 and left[:1] + left[2:] == right:
        yield failing.changed(1, f"{{}}.unsqueeze(1){cast}")
    elif len(right) == len(left) + 1 and right[1] == 1 and right[:1] + right[2:] == left:
        yield failing.changed(1, f"{{}}.squeeze(1){cast}")
    if cast and left == right:
        yield failing.changed(1, "{}.float()")
