"""Guesses for layers over time: axes in another order, states of another size, attention between batches."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence

from torch import Tensor

from dlcore.inspection.repairs.changes import (
    argument,
    before,
    narrower_or_wider,
    numbers,
    on_argument,
    on_node,
)
from dlcore.inspection.repairs.scene import Candidate, Candidates, Scene
from dlcore.inspection.source_edits import Source, wrapped


def recurrent_repairs(scene: Scene) -> Candidates:
    """For RNN, LSTM and GRU."""
    module, shape = scene.module, scene.shape
    if len(shape) == 4:
        if shape[1] == 1:
            yield from before(scene, "{}.squeeze(1)")
        if math.prod(shape[2:]) == module.input_size:
            yield from before(scene, "{}.flatten(2)", "Flatten(2)")
        if shape[1] * shape[3] == module.input_size:
            yield from before(scene, "{}.transpose(1, 2).flatten(2)")
    if len(shape) in (2, 3) and shape[-1] != module.input_size:
        if len(shape) == 3 and shape[1] == module.input_size:
            yield from before(scene, "{}.transpose(1, 2)")
        if len(shape) == 2 and module.input_size == 1:
            yield from before(scene, "{}.unsqueeze(-1)")
        yield from argument(scene, module, "input_size", shape[-1])
        yield from narrower_or_wider(scene, shape[-1], module.input_size)
        yield from numbers(scene, module.input_size, shape[-1])
    yield from _states(scene)


def _states(scene: Scene) -> Candidates:
    """For a recurrent layer whose initial state does not go with its input."""
    module, shape = scene.module, scene.shape
    if len(scene.given) < 2 or len(shape) != 3:
        return
    state = tuple(scene.given[1].shape)
    if len(state) == 3 and state[1] == shape[0] != shape[1] and not module.batch_first:
        yield from argument(scene, module, "batch_first", True)
    batch_axis = 0 if module.batch_first else 1
    wanted = (
        module.num_layers * (2 if module.bidirectional else 1),
        shape[batch_axis],
        module.proj_size or module.hidden_size,
    )
    yield from _resized_states(scene, wanted, batch_axis)
    if len(state) == 3 and state[0] != wanted[0]:
        yield from argument(scene, module, "num_layers", state[0])


def _resized_states(scene: Scene, wanted: tuple[int, int, int], batch_axis: int) -> Candidates:
    """The expressions that made the states, with the sizes that are wanted."""
    batch = _batch_text(scene, batch_axis)
    edits, says = [], []
    for tensor in dict.fromkeys(scene.given[1:]):
        found = _factory(scene, tensor)
        if found is None:
            return
        source, call, sizes = found
        for node, size, right in zip(sizes, tensor.shape, wanted, strict=True):
            if size != right:
                edits.append(source.replace(node, batch if right == wanted[1] and batch else str(right)))
        says.append(f"{source.text(call.func)}({', '.join(map(str, wanted))})")
    if edits:
        yield Candidate(f"{says[0]} as the first state", tuple(dict.fromkeys(edits)))


def _factory(scene: Scene, tensor: Tensor) -> tuple[Source, ast.Call, Sequence[ast.expr]] | None:
    """The call that made a constant, and its arguments for the three sizes."""
    site = scene.call.facts.site(tensor) if scene.call and scene.call.facts else None
    found = scene.node_of(site) if site else None
    if found is None:
        return None
    source, call = found
    if not isinstance(call, ast.Call):
        return None
    sizes = call.args
    if sizes and isinstance(sizes[0], ast.Tuple | ast.List):
        sizes = sizes[0].elts
    return (source, call, sizes[:3]) if len(sizes) >= 3 and tensor.dim() == 3 else None


def _batch_text(scene: Scene, axis: int) -> str:
    """The batch's size as the user's code can say it."""
    if scene.node and isinstance(scene.node[1], ast.Call) and scene.node[1].args:
        first = scene.node[1].args[0]
        if isinstance(first, ast.Name):
            return f"{first.id}.shape[{axis}]"
    return ""


def attention_repairs(scene: Scene) -> Candidates:
    """For multi-head attention."""
    module, shapes = scene.module, [info.shape for info in scene.failure.inputs]
    if not shapes:
        return
    query = shapes[0]
    yield from _masks(scene)
    if len(query) == 3 and query[-1] != module.embed_dim and query[1] == module.embed_dim:
        yield from _all_transposed(scene, min(3, len(shapes)))
    if not module.batch_first and len(query) == 3:
        yield from argument(scene, module, "batch_first", True)
    if len(query) == 3 and query[-1] != module.embed_dim:
        yield from argument(scene, module, "embed_dim", query[-1])
        yield from narrower_or_wider(scene, query[-1], module.embed_dim)
        yield from numbers(scene, module.embed_dim, query[-1])
    for number, name in ((1, "kdim"), (2, "vdim")):
        if len(shapes) > number and shapes[number][-1:] != (module.embed_dim,):
            both = list(argument(scene, module, name, shapes[number][-1]))
            yield from both
    if len(shapes) > 2 and shapes[1][-1] == shapes[2][-1] != module.embed_dim:
        yield from _key_and_value_width(scene, shapes[1][-1])
    if len(query) == 4:
        yield from on_argument(scene, 0, "{}.flatten(2).transpose(1, 2)")


def _masks(scene: Scene) -> Candidates:
    """A mask made for longer sequences cut to those at hand; one of the keys with its axes the other way round."""
    if scene.node is None or not isinstance(scene.node[1], ast.Call) or len(scene.node[1].args) < 2:
        return
    source, call = scene.node
    assert isinstance(call, ast.Call)
    time = 1 if scene.module.batch_first else 0
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if "attn_mask" in named and "attn_mask" in scene.failure.detail:
        sizes = [f": {wrapped(source.text(each), each)}.shape[{time}]" for each in call.args[:2]]
        yield on_node(source, named["attn_mask"], f"{{}}[..., {', '.join(sizes)}]")
    if "key_padding_mask" in named and "key_pad" in scene.failure.detail:
        yield on_node(source, named["key_padding_mask"], "{}.t()")


def _key_and_value_width(scene: Scene, width: int) -> Candidates:
    """Both widths at once, since keys and values usually come from the same place."""
    made = scene.made_at(scene.module)
    keys = list(argument(scene, scene.module, "kdim", width))
    if made and keys and not any(keyword.arg in ("kdim", "vdim") for keyword in made[1].keywords):
        edit = keys[0].edits[0]
        yield Candidate(f"kdim={width}, vdim={width}", (edit._replace(text=f"{edit.text}, vdim={width}"),))


def _all_transposed(scene: Scene, count: int) -> Candidates:
    edits = [
        candidate.edits
        for index in range(count)
        for candidate in on_argument(scene, index, "{}.transpose(1, 2)")
    ]
    if len(edits) == count:
        yield Candidate(
            "transpose(1, 2) of query, key and value", tuple(edit for each in edits for edit in each)
        )


def embedding_repairs(scene: Scene) -> Candidates:
    """For a table that is too short for its ids."""
    bounds = next((each for each in scene.operation.bounds if each), None) if scene.operation else None
    if scene.failure.kind == "range" and bounds:
        low, high = bounds
        if low >= 0:
            yield from argument(scene, scene.module, "num_embeddings", high + 1)
            yield from numbers(scene, scene.module.num_embeddings, high + 1)
        if low == 1 and high == scene.module.num_embeddings:
            yield from on_argument(scene, 0, "{} - 1")
