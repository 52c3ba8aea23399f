"""The changes that repairs are made of: another argument, an input rearranged first, a layer swapped or left out.

Each yields candidates, or none where the user's source has no place for the change.
"""

from __future__ import annotations

import ast
import inspect
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from dlcore.inspection.repairs.scene import WIDTHS, Candidate, Candidates, Scene, width_out
from dlcore.inspection.source_edits import Edit, Source, wrapped


def argument(scene: Scene, module: nn.Module, name: str, value: Any, *, of: str = "") -> Candidates:
    """Another value for an argument of the call that made a module, as in ``in_features=3136``.

    Args:
        of: the module's path, said where it is not the failing one.
    """
    made = scene.made_at(module)
    if made is None:
        return
    source, call = made
    if called(call) != type(module).__name__.removeprefix("Lazy"):
        return
    say = f"{name}={value}" + (f" in {of}" if of else "")
    edit = set_argument(source, call, type(module), name, value)
    if edit:
        yield Candidate(say, (edit,))


def set_argument(source: Source, call: ast.Call, kind: type, name: str, value: Any) -> Edit | None:
    """The edit that gives an argument of a call another value, or adds it."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return source.replace(keyword.value, str(value))
    names = [each for each in inspect.signature(kind.__init__).parameters if each != "self"]  # type: ignore[misc]
    if any(isinstance(each, ast.Starred) for each in call.args) or (kind.__name__ in _STARRED):
        names = _STARRED.get(kind.__name__, [])
    if name in names and names.index(name) < len(call.args):
        return source.replace(call.args[names.index(name)], str(value))
    last = [*call.args, *(keyword.value for keyword in call.keywords)]
    if not last:
        return None
    _, end = source.span(max(last, key=lambda node: source.span(node)[1]))
    return Edit(source.file, end, end, f", {name}={value}")


_STARRED = {
    # their constructors take *args; the names in order are in their documentation
    "RNN": ["input_size", "hidden_size", "num_layers"],
    "LSTM": ["input_size", "hidden_size", "num_layers"],
    "GRU": ["input_size", "hidden_size", "num_layers"],
}


def before(scene: Scene, change: str, layer: str = "") -> Candidates:
    """Something done to the failing layer's input first.

    Args:
        change: as an expression of the input ``{}``, such as ``{}.flatten(1)``.
        layer: the same as a layer, such as ``Flatten()``, for a chain that holds no expressions.
    """
    call = scene.call
    if call is None:
        return
    around = scene.around(call)
    if around is not None and isinstance(around.module, nn.Sequential):
        if layer:
            yield from _layer_before(scene, layer)
        if around.inputs == call.inputs and scene.node:  # the chain's first layers change nothing
            yield from on_argument(scene, 0, change)
    elif scene.node:
        yield from on_argument(scene, 0, change)


def on_argument(scene: Scene, index: int, change: str) -> Candidates:
    """An argument of the failing call replaced by an expression of it."""
    if scene.node is None:
        return
    source, node = scene.node
    if (
        isinstance(node, ast.Call)
        and index < len(node.args)
        and not isinstance(node.args[index], ast.Starred)
    ):
        yield on_node(source, node.args[index], change)


def on_node(source: Source, node: ast.expr, change: str) -> Candidate:
    """An expression replaced by one of itself, ``{}`` in the change."""
    text = change.format(wrapped(source.text(node), node))
    return Candidate(text if "\n" not in text else change.format("it"), (source.replace(node, text),))


def around_call(scene: Scene, into: str, back: str) -> Candidates:
    """The failing layer works on a rearranged input, and its output is arranged as before."""
    if scene.node is None:
        return
    source, node = scene.node
    if isinstance(node, ast.Call) and len(node.args) == 1 and scene.call:
        argument = node.args[0]
        inner = into.format(wrapped(source.text(argument), argument))
        text = back.format(f"{source.text(node.func)}({inner})")
        yield Candidate(text, (source.replace(node, text),))


def another_class(scene: Scene, name: str) -> Candidates:
    """The failing module made by another class with the same arguments."""
    made = scene.made_at(scene.module)
    if made and called(made[1]) == type(scene.module).__name__:
        source, call = made
        text = source.text(call.func)
        edit = source.replace(call.func, text[: len(text) - len(type(scene.module).__name__)] + name)
        yield Candidate(f"{name} in place of {type(scene.module).__name__}", (edit,))


def left_out(scene: Scene) -> Candidates:
    """The failing module taken out of its chain."""
    made = scene.made_at(scene.module)
    if made and called(made[1]) == type(scene.module).__name__:
        source, call = made
        text = f"{_prefix(source, call)}Identity()"
        yield Candidate(f"no {type(scene.module).__name__} here", (source.replace(call, text),))


def numbers(scene: Scene, wrong: int, right: int) -> Candidates:
    """Each whole number of that size in the model's files, one at a time; for layers made out of sight."""
    for file in dict.fromkeys(line.file for line in scene.failure.source):
        source = scene.source(file)
        for node in source.expressions() if source else ():
            if isinstance(node, ast.Constant) and node.value == wrong and type(node.value) is int:
                assert source is not None
                say = f"{right} in place of {wrong} in line {node.lineno}"
                yield Candidate(say, (source.replace(node, str(right)),))


def parameter_sizes(scene: Scene, tensor: Tensor, axis: int, right: int) -> Candidates:
    """A parameter of the user's own made with another size along an axis."""
    shape = tuple(tensor.shape)
    for path, parameter in scene.result.model.named_parameters():
        if tuple(parameter.shape) != shape or not isinstance(tensor, nn.Parameter):
            continue
        name = path.rpartition(".")[2]
        for source, value in scene.assignments(name):
            for call in (node for node in ast.walk(value) if isinstance(node, ast.Call)):
                sizes: list[ast.expr] = list(call.args)
                if len(sizes) == 1 and isinstance(sizes[0], ast.Tuple | ast.List):
                    sizes = list(sizes[0].elts)
                if len(sizes) == len(shape):
                    yield Candidate(
                        f"{right} in place of {shape[axis]} in {name}",
                        (source.replace(sizes[axis], str(right)),),
                    )


def other_end(scene: Scene) -> Candidates:
    """Layers made in a loop over all sizes but the last: over all but the first instead, and the other way round."""
    made = scene.made_at(scene.module)
    if made is None:
        return
    source, call = made
    swapped = {":-1": "1:", "1:": ":-1"}
    node: ast.AST | None = call
    while node is not None and not isinstance(node, ast.FunctionDef):
        loops = node.generators if isinstance(node, ast.ListComp | ast.GeneratorExp) else [node]
        for each in loops:
            over = each.iter if isinstance(each, ast.comprehension | ast.For) else None
            if isinstance(over, ast.Subscript) and isinstance(over.slice, ast.Slice):
                other = swapped.get(source.text(over.slice).replace(" ", ""))
                if other:
                    text = f"{source.text(over.value)}[{other}]"
                    yield Candidate(f"{text} in place of {source.text(over)}", (source.replace(over, text),))
        node = source.parent(node)


def longer_outputs(scene: Scene) -> Candidates:
    """Transposed convolutions that give back the rows and columns that a stride has lost."""
    for call in scene.producers()[:12]:
        module: Any = call.module
        if isinstance(module, _ConvTransposeNd) and not any(module.output_padding) and module.stride[0] > 1:
            yield from argument(scene, module, "output_padding", module.stride[0] - 1, of=call.path)


def narrower_or_wider(scene: Scene, got: int, wanted: int) -> Candidates:
    """The layer that gave so many channels or features gives as many as are wanted."""
    for call in scene.producers():
        if width_out(call.module) == got:
            name = next(name for name in WIDTHS if hasattr(call.module, name))
            yield from argument(scene, call.module, name, wanted, of=call.path)
            return


def _layer_before(scene: Scene, layer: str) -> Candidates:
    made = scene.made_at(scene.module)
    if made is None:
        return
    source, call = made
    parent = source.parent(call)
    if isinstance(parent, ast.Call | ast.List | ast.Tuple):
        text = f"{_prefix(source, call)}{layer}"
        yield Candidate(f"{layer} before it", (source.insert_before(call, text),))


def called(call: ast.Call) -> str:
    """Name of what a call calls, its module left out."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _prefix(source: Source, call: ast.Call) -> str:
    """``nn.`` of ``nn.Linear``."""
    return f"{source.text(call.func.value)}." if isinstance(call.func, ast.Attribute) else ""
