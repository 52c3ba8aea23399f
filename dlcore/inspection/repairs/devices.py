"""Guesses for a tensor that stays on the CPU: made on the input's device, or kept as a buffer."""

from __future__ import annotations

import ast

from torch import nn

from dlcore.inspection.repairs.scene import Candidate, Candidates, Scene
from dlcore.inspection.source_edits import Edit, Source


def device_repairs(scene: Scene) -> Candidates:
    """A constant that stays on the CPU: made on the input's device, or kept as a buffer."""
    operation = scene.operation
    if operation is None or scene.failure.kind != "device":
        return
    for tensor, site in zip(operation.tensors, operation.strangers, strict=False):
        found = scene.node_of(site) if site else None
        if found is not None and isinstance(found[1], ast.Call):
            yield from _made_on(scene, *found)  # type: ignore[arg-type]
        for owner in scene.result.model.modules():
            for name, value in vars(owner).items():
                if value is tensor:
                    yield from _as_buffer(scene, owner, name)


def _made_on(scene: Scene, source: Source, call: ast.Call) -> Candidates:
    function = source.parent(call)
    while function is not None and not isinstance(function, ast.FunctionDef):
        function = source.parent(function)
    names = [each.arg for each in function.args.args if each.arg != "self"] if function else []
    last = [*call.args, *(keyword.value for keyword in call.keywords)]
    if any(keyword.arg == "device" for keyword in call.keywords) or not last:
        return
    end = max(source.span(node)[1] for node in last)
    edit = source.replace(call, source.text(call))
    inside = source.bytes[edit.start : end].decode()
    rest = source.bytes[end : edit.end].decode()
    for name in names[:3]:
        text = f"{inside}, device={name}.device{rest}"
        yield Candidate(f"device={name}.device in line {call.lineno}", (edit._replace(text=text),))


def _as_buffer(scene: Scene, owner: nn.Module, name: str) -> Candidates:
    for source, value in scene.assignments(name):
        statement = source.parent(value)
        if isinstance(statement, ast.Assign):
            start, end = source.span(statement.targets[0])[0], source.span(value)[1]
            text = f'self.register_buffer("{name}", {source.text(value)})'
            yield Candidate(f'register_buffer("{name}", …)', (Edit(source.file, start, end, text),))
