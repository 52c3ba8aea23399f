"""One look inside a network, read from inspections/step-*.json and the arrays beside it. No Textual, no torch.

The files may hold anything: what cannot be understood is left out, nothing raises.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcore.text_safety import safe_text
from tui.layer_rows import MOST, LayerRow, parse
from tui.plain_data import first, integer, number, text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

Entry = Mapping[str, Any]

MOST_NUMBERS = 4 << 20
BINS = 24


@dataclass(frozen=True)
class Inspection:
    """A look.

    Attributes:
        step: at which it was taken; None when not said.
        why: ``first``, ``best``, ``last``, ``interval``, ``between``, ``asked``; "" when not said.
        rows: the layers as rows of a table.
        entries: the same layers, all that is known of each.
        views: filters, attention, embedding, where the network has them.
        shown: positions in the training part of the samples whose values are kept.
        fed: shape of the batch that went in, as the shape calculator reads it; "" when not said.
        class_names: of the data, in their order; none where there are no classes.
    """

    step: int | None = None
    why: str = ""
    rows: tuple[LayerRow, ...] = ()
    entries: tuple[Entry, ...] = ()
    views: Mapping[str, Any] = field(default_factory=dict)
    shown: tuple[int, ...] = ()
    fed: str = ""
    class_names: tuple[str, ...] = ()


def read(content: Any, about: Mapping[str, Any]) -> Inspection:
    """The look that a file's JSON says."""
    if not isinstance(content, Mapping):
        return Inspection()
    step, rows = parse(content, about)
    listed = content.get("layers")
    entries = [
        each for each in (listed[:MOST] if isinstance(listed, list) else []) if isinstance(each, Mapping)
    ]
    views, shown = content.get("views"), content.get("shown")
    return Inspection(
        step,
        text(content, "why", limit=20),
        tuple(rows),
        tuple(entries),
        views if isinstance(views, Mapping) else {},
        tuple(each for each in shown if type(each) is int) if isinstance(shown, list) else (),
        _fed(integer(content, "batch"), about.get("spec")),
        _class_names(about.get("spec")),
    )


def _class_names(spec: Any) -> tuple[str, ...]:
    listed = spec.get("class_names") if isinstance(spec, Mapping) else None
    return tuple(safe_text(each, limit=40) for each in listed) if isinstance(listed, list) else ()


def _fed(batch: int | None, spec: Any) -> str:
    """``64x1x28x28``, or ``64x33:int64<5000`` where ids below 5000 go in."""
    shape = spec.get("input_shape") if isinstance(spec, Mapping) else None
    if not batch or not isinstance(shape, list) or not all(type(each) is int and each > 0 for each in shape):
        return ""
    words, dtype = spec.get("vocabulary"), spec.get("input_dtype")
    ids = f":int64<{len(words)}" if dtype == "int64" and isinstance(words, list) and words else ""
    return "x".join(map(str, [batch, *shape])) + ids if len(shape) or ids else ""


def load(json_path: Path, name: str) -> Array | None:
    """One of the arrays beside a look; None where there is none that can be read. For a thread: it reads a file."""
    import numpy as np

    try:
        with json_path.with_suffix(".npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = arrays[name]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    if found.dtype.kind != "f" or found.size > MOST_NUMBERS:
        return None
    values: Array = found.astype(np.float32)
    return values


def array_name(entry: Entry, what: str) -> str:
    """Name of a layer's kept ``activation`` or ``gradient``, or of its first ``weight``; "" without one."""
    if what == "weight":
        tables = entry.get("parameters")
        tables = list(tables.values()) if isinstance(tables, Mapping) else []
        return next((text(table, "tensor") for table in tables if isinstance(table, Mapping)), "")
    tensors = entry.get("tensors")
    return text(tensors, what) if isinstance(tensors, Mapping) else ""


def tables(entry: Entry) -> list[tuple[str, Mapping[str, Any]]]:
    """Every tensor of a layer with its statistics: output, its gradient, each parameter and its gradient."""
    found = [
        (name, entry.get(key)) for name, key in (("output", "activation"), ("gradient of it", "gradient"))
    ]
    parameters = entry.get("parameters")
    for name, table in parameters.items() if isinstance(parameters, Mapping) else ():
        if isinstance(table, Mapping):
            found += [(str(name)[:40], table.get("weight")), ("gradient of it", table.get("gradient"))]
    return [(name, table) for name, table in found if isinstance(table, Mapping)]


def histogram(table: Mapping[str, Any]) -> list[int]:
    """Counts of a tensor's values; none where they are not there."""
    counts = table.get("histogram")
    if not isinstance(counts, list) or not all(type(count) is int and count >= 0 for count in counts):
        return []
    return counts[: 4 * BINS]


def update_ratio(entry: Entry) -> float | None:
    """How far the last step moved the layer's weights, relative to their size: the largest of its matrices."""
    parameters = entry.get("parameters")
    listed = parameters.values() if isinstance(parameters, Mapping) else ()
    known = [number(table, "update") for table in listed if isinstance(table, Mapping) and _matrix(table)]
    return max((ratio for ratio in known if ratio is not None), default=None)


def _matrix(table: Mapping[str, Any]) -> bool:
    shape = table.get("shape")
    return isinstance(shape, list) and len(shape) > 1


def flow(look: Inspection) -> list[tuple[str, float]]:
    """Root mean square of the gradient of every layer's weights, in the order of the forward pass."""
    found = []
    for entry in look.entries:
        parameters = entry.get("parameters")
        listed = parameters.values() if isinstance(parameters, Mapping) else ()
        square = count = 0.0
        for table in listed:
            gradient = table.get("gradient") if isinstance(table, Mapping) else None
            length = number(gradient, "norm") if isinstance(gradient, Mapping) else None
            if length is not None:
                square += length**2
                count += _size(table.get("shape"))
        if count:
            found.append((text(entry, "path", limit=80), (square / count) ** 0.5))
    return found


def _size(shape: object) -> int:
    size = 1
    for each in shape if isinstance(shape, list) else ():
        size *= each if type(each) is int and each > 0 else 1
    return size


def attention_names(look: Inspection) -> list[tuple[str, str]]:
    """Path and array of every attention map that was kept."""
    listed = look.views.get("attention")
    rows = [each for each in (listed if isinstance(listed, list) else []) if isinstance(each, Mapping)]
    return [(text(row, "layer", limit=80), text(row, "array")) for row in rows]


def view_array(look: Inspection, view: str) -> str:
    """Name of the array of ``filters`` or ``embedding``; "" without one."""
    found = look.views.get(view)
    return text(found, "array") if isinstance(found, Mapping) else ""


def classes(look: Inspection) -> Sequence[int]:
    """The class of each point of the embedding; none where there are no classes."""
    found = look.views.get("embedding")
    listed = found.get("classes") if isinstance(found, Mapping) else None
    return [each if type(each) is int else 0 for each in listed] if isinstance(listed, list) else []


def plane_share(look: Inspection) -> float:
    """Share of the variance that the plane of the embedding shows."""
    found = look.views.get("embedding")
    return first(number(found, "share") if isinstance(found, Mapping) else None, default=0.0)
