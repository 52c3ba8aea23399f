"""Layers: figures as the worker writes them, troubles by name, and no harm from anything else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.tui.test_samples import json
from tui.layer_rows import LayerRow, parse


def table(**changes: Any) -> dict[str, Any]:
    return {"mean": 0.5, "std": 0.25, "min": -1.0, "max": 2.0, "zeros": 0.5, "nonfinite": 0} | changes


def layer(**changes: Any) -> dict[str, Any]:
    values = {
        "path": "features.0",
        "type": "Conv2d",
        "shape": [64, 32, 28, 28],
        "activation": table(),
        "gradient": table(),
        "parameters": {
            "weight": {"weight": table(norm=3.0), "gradient": table(norm=0.3)},
            "bias": {"weight": table(norm=4.0), "gradient": table(norm=0.4)},
        },
    }
    return values | changes


def one(**changes: Any) -> LayerRow:
    return parse({"step": 7, "layers": [layer(**changes)]}, {})[1][0]


def test_figures_of_a_layer() -> None:
    step, rows = parse({"step": 3200, "layers": [layer()]}, {})
    assert step == 3200
    assert rows == [
        LayerRow("features.0", "Conv2d", "64×32×28×28", 0.5, 0.25, 0.5, 5.0, pytest.approx(0.5), None, "")
    ]


def test_the_update_is_that_of_matrices_only() -> None:
    parameters = {
        "weight": {"weight": table(norm=3.0), "shape": [8, 4], "update": 1e-3},
        "bias": {"weight": table(norm=4.0), "shape": [8], "update": 0.5},
    }
    assert one(parameters=parameters).update == 1e-3
    assert one(parameters={"bias": parameters["bias"]}).update is None


def test_non_finite_values_are_named_wherever_they_are() -> None:
    assert one(activation=table(nonfinite=3)).trouble == "non-finite"
    broken = {"weight": {"weight": table(norm=1.0), "gradient": table(norm=1.0, nonfinite=1)}}
    assert one(parameters=broken).trouble == "non-finite"


def test_a_dead_relu_is_named_and_other_zeros_are_not() -> None:
    assert one(type="ReLU", activation=table(zeros=1.0), parameters={}).trouble == "all zero"
    assert one(type="Dropout", activation=table(zeros=1.0), parameters={}).trouble == ""


def test_weights_without_a_gradient_are_named() -> None:
    assert one(parameters={"weight": {"weight": table(norm=1.0), "gradient": None}}).trouble == "no gradient"


def test_a_layer_without_weights_has_no_norms() -> None:
    row = one(parameters={})
    assert (row.weight_norm, row.gradient_norm, row.trouble) == (None, None, "")


@given(json)
def test_anything_may_be_in_the_file(content: Any) -> None:
    parse(content, {})
    parse({"step": content, "layers": [content, layer(activation=content, shape=content)]}, {})
    parse({"layers": [layer(parameters=content), {"parameters": {"w": content}}]}, {})
