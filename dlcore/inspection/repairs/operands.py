"""The tensors of a failing torch function, each with the expression in the user's source that it comes from."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import NamedTuple

from dlcore.inspection.records import Shape
from dlcore.inspection.repairs.changes import on_node
from dlcore.inspection.repairs.scene import Candidate, Scene
from dlcore.inspection.source_edits import Source, wrapped


class Operand(NamedTuple):
    """A tensor that the failing function was given, and where it stands in the source."""

    node: ast.expr
    text: str
    shape: Shape
    dtype: str


class Failing(NamedTuple):
    """A failing function in the user's source."""

    scene: Scene
    source: Source
    node: ast.expr
    operands: tuple[Operand, ...]

    def changed(self, index: int, change: str) -> Candidate:
        """An operand replaced by an expression of it."""
        return on_node(self.source, self.operands[index].node, change)


def failing_function(scene: Scene) -> Failing | None:
    """The function that raised; None where its operands' expressions are not in the source."""
    found = _expressions(scene)
    if found is None or scene.operation is None or scene.node is None:
        return None
    source, nodes = found
    operands = tuple(
        Operand(node, wrapped(source.text(node), node), info.shape, info.dtype)
        for node, info in zip(nodes, scene.operation.operands, strict=False)
    )
    return Failing(scene, source, scene.node[1], operands)


def _expressions(scene: Scene) -> tuple[Source, list[ast.expr]] | None:
    """The expressions that the failing operation's tensors come from, in the same order."""
    if scene.node is None or scene.operation is None:
        return None
    source, node = scene.node
    count = len(scene.operation.operands)
    found: Sequence[ast.expr] = ()
    if isinstance(node, ast.BinOp):
        found = [node.left, node.right]
    elif isinstance(node, ast.Call):
        found = node.args
        if found and isinstance(found[0], ast.List | ast.Tuple):
            found = found[0].elts
        elif isinstance(node.func, ast.Attribute) and not _is_library(source.text(node.func.value)):
            layer = type(scene.module).__module__.startswith("torch.")  # self.loss(…), not x.add(…)
            found = found if layer else [node.func.value, *found]
    found = [each for each in found if not isinstance(each, ast.Constant)][:count]
    return (source, list(found)) if len(found) >= min(count, 2) else None


def _is_library(text: str) -> bool:
    return text in ("torch", "F", "nn", "nn.functional", "torch.nn.functional", "functional")
