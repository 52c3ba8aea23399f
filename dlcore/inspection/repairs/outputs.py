"""Guesses at what would make the network's output what the task's loss wants."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from dlcore.inspection.records import LOSS, Shape
from dlcore.inspection.repairs.changes import narrower_or_wider, numbers, on_node
from dlcore.inspection.repairs.scene import Candidate, Candidates, Scene
from dlcore.inspection.source_edits import Source
from dlcore.inspection.through_loss import WithLoss


def output_repairs(scene: Scene) -> Candidates:
    """For a network whose loss cannot compare what it gives with the targets."""
    module = scene.call.module if scene.call is not None else None
    if scene.failure.path != LOSS or not isinstance(module, WithLoss) or module.wanted is None:
        return
    wanted, gives = module.wanted, module.gives
    if len(gives) > 1:
        yield from _returned(scene, ["{}[0]"])
        return
    got = gives[0].shape if gives else ()
    if len(got) == len(wanted):
        differing = [(size, need) for size, need in zip(got, wanted, strict=True) if size != need]
        if len(differing) == 1:
            yield from narrower_or_wider(scene, *differing[0])
            yield from numbers(scene, *differing[0])
    yield from _without(scene, ("argmax", "squeeze", "unsqueeze", "flatten", "transpose", "permute", "mean"))
    yield from _returned(scene, list(_rearrangements(got, wanted)))


def _rearrangements(got: Shape, wanted: Shape) -> Iterator[str]:
    """What gives the wanted shape, as an expression of the output."""
    for axis, size in enumerate(got):
        if size == 1 and got[:axis] + got[axis + 1 :] == wanted:
            yield f"{{}}.squeeze({axis})"
    for axis, size in enumerate(wanted):
        if size == 1 and wanted[:axis] + wanted[axis + 1 :] == got:
            yield f"{{}}.unsqueeze({axis})"
    if got != wanted and sorted(got) == sorted(wanted):
        if len(got) == 3:
            yield from ("{}.transpose(1, 2)", "{}.transpose(0, 1)")
        elif len(got) == 4:
            yield from ("{}.permute(0, 3, 1, 2)", "{}.permute(0, 2, 3, 1)")
    if len(got) == 3 and got[1] > 1 and got[::2] == wanted:  # an answer at each step of a sequence
        yield from ("{}[:, -1]", "{}.mean(1)")


def _returned(scene: Scene, changes: list[str]) -> Candidates:
    for source, value in _results(scene):
        for change in changes:
            if change == "{}[0]" and isinstance(value, ast.Tuple) and value.elts:
                text = source.text(value.elts[0])
                yield Candidate(f"return {text}", (source.replace(value, text),))
            else:
                made = on_node(source, value, change)
                yield made._replace(say=f"return {made.say}")


def _without(scene: Scene, names: tuple[str, ...]) -> Candidates:
    """The result without the last thing done to it, such as the largest score's place, which has no slope."""
    for source, value in _results(scene):
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in names:
            function = source.text(value.func.value) == "torch" and value.args
            text = source.text(value.args[0] if function else value.func.value)
            yield Candidate(f"return {text}, without {value.func.attr}", (source.replace(value, text),))


def _results(scene: Scene) -> Iterator[tuple[Source, ast.expr]]:
    """What the network's own ``forward`` returns."""
    code = getattr(type(scene.result.model).forward, "__code__", None)
    if code is None or code.co_filename not in {line.file for line in scene.failure.source}:
        return
    source = scene.source(code.co_filename)
    for function in ast.walk(source.tree) if source else ():
        if isinstance(function, ast.FunctionDef) and function.name == code.co_name:
            first = min([function.lineno, *(each.lineno for each in function.decorator_list)])
            if first == code.co_firstlineno:
                assert source is not None
                yield from ((source, node.value) for node in _returns(function) if node.value is not None)


def _returns(function: ast.FunctionDef) -> Iterator[ast.Return]:
    """Returns of a function, without those of functions inside."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Return):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)
