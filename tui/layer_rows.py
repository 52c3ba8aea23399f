"""Statistics of layers as the worker wrote them into inspections/*.json, as rows to show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tui.plain_data import integer, number, text

MOST = 5_000
_DEAD = 0.999  # share of zeros from which a ReLU says nothing


@dataclass(frozen=True)
class LayerRow:
    """One layer's output and weights at one step; None where the file does not say.

    Attributes:
        path: of the module.
        kind: its class.
        shape: of the output, ``64×32×28×28``.
        mean, std: of the finite output values.
        zeros: share of output values that are exactly 0.
        weight_norm, gradient_norm: over all its parameters.
        update: length of the last step over that of the weights, the largest of its matrices.
        trouble: what is wrong with it, in two words; "" when nothing is.
    """

    path: str
    kind: str = ""
    shape: str = ""
    mean: float | None = None
    std: float | None = None
    zeros: float | None = None
    weight_norm: float | None = None
    gradient_norm: float | None = None
    update: float | None = None
    trouble: str = ""


def parse(content: Any, about: Mapping[str, Any]) -> tuple[int | None, list[LayerRow]]:
    """The step and the layers of a file, in the order of the forward pass; run.json is not needed."""
    if not isinstance(content, Mapping):
        return None, []
    listed = content.get("layers")
    entries = listed[:MOST] if isinstance(listed, list) else []
    rows = [_row(entry) for entry in entries if isinstance(entry, Mapping)]
    return integer(content, "step"), rows


def _row(entry: Mapping[str, Any]) -> LayerRow:
    output = _mapping(entry.get("activation"))
    parameters = [_mapping(value) for value in _mapping(entry.get("parameters")).values()]
    kind = text(entry, "type", limit=60)
    zeros = number(output, "zeros")
    return LayerRow(
        path=text(entry, "path", limit=120),
        kind=kind,
        shape=_shape(entry.get("shape")),
        mean=number(output, "mean"),
        std=number(output, "std"),
        zeros=zeros,
        weight_norm=_norm(parameters, "weight"),
        gradient_norm=_norm(parameters, "gradient"),
        update=_update(parameters),
        trouble=_trouble(entry, parameters, kind, zeros),
    )


def _shape(sizes: object) -> str:
    listed = sizes[:8] if isinstance(sizes, list) else []
    return "×".join(str(size) for size in listed if type(size) is int and abs(size) < 1 << 63)


def _trouble(
    entry: Mapping[str, Any], parameters: list[Mapping[str, Any]], kind: str, zeros: float | None
) -> str:
    tables = [_mapping(entry.get("activation")), _mapping(entry.get("gradient"))]
    tables += [_mapping(values.get(part)) for values in parameters for part in ("weight", "gradient")]
    if any((integer(table, "nonfinite") or 0) > 0 for table in tables):
        return "non-finite"
    if zeros is not None and zeros >= _DEAD and "relu" in kind.lower():
        return "all zero"
    if parameters and all(not values.get("gradient") for values in parameters):
        return "no gradient"
    return ""


def _norm(parameters: list[Mapping[str, Any]], part: str) -> float | None:
    """Of all its parameters together."""
    norms = [number(_mapping(values.get(part)), "norm") for values in parameters]
    known = [norm for norm in norms if norm is not None]
    return math.hypot(*known) if known else None


def _update(parameters: list[Mapping[str, Any]]) -> float | None:
    """Of matrices only: a bias starts at 0, and any step is long beside that."""
    shapes = [values.get("shape") for values in parameters]
    matrices = [isinstance(shape, list) and len(shape) > 1 for shape in shapes]
    known = [number(values, "update") for values, matrix in zip(parameters, matrices, strict=True) if matrix]
    return max((ratio for ratio in known if ratio is not None), default=None)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
