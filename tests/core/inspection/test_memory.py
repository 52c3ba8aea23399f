"""The memory estimate against its parts and against a measured training step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlcore.data.spec import DataSpec
from dlcore.inspection.memory import estimate_memory
from dlcore.inspection.shapes import trace, trace_builder
from dlcore.registry import MODELS
from tests.core.allocations import allocated

GREY = DataSpec("image", (1, 28, 28), "class", 10)
COLOUR = DataSpec("image", (3, 32, 32), "class", 10)
MODEL = nn.Sequential(nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10))  # matrices 5500, vectors 60


@pytest.mark.parametrize(
    ("optimizer", "options", "numbers"),
    [
        ("sgd", {}, 0),
        ("sgd", {"momentum": 0.9}, 5560),
        ("rmsprop", {}, 5560),
        ("rmsprop", {"momentum": 0.5}, 2 * 5560),
        ("adam", {}, 2 * 5560),
        ("adamw", {}, 2 * 5560),
        ("muon", {"momentum": 0.95}, 5500 + 2 * 60),
        ("muon", {"momentum": 0.95, "rest": "sgd"}, 5500 + 60),
        ("own.py:Optimizer", {}, 2 * 5560),
    ],
)
def test_weights_gradients_and_optimizer(optimizer: str, options: dict[str, Any], numbers: int) -> None:
    estimate = estimate_memory(trace(MODEL, (8, 100)), optimizer=optimizer, options=options)
    assert estimate.weights == 4 * 5560
    assert estimate.gradients == 4 * 5560
    assert estimate.optimizer == 4 * numbers
    # the batch, ReLU's result (its mask, and the next layer's input)
    assert estimate.activations == 4 * 8 * (100 + 50)
    assert estimate.to_dict()["total"] == estimate.total


def test_an_average_of_the_weights_doubles_them() -> None:
    result = trace(MODEL, (8, 100))
    assert estimate_memory(result, ema=True).weights == 2 * estimate_memory(result).weights


def test_frozen_weights_need_neither_gradient_nor_state() -> None:
    model = nn.Sequential(nn.Linear(100, 50).requires_grad_(False), nn.ReLU(), nn.Linear(50, 10))
    estimate = estimate_memory(trace(model, (8, 100)))
    assert (estimate.gradients, estimate.optimizer) == (4 * 510, 8 * 510)


def test_activations_grow_with_the_batch() -> None:
    small, large = (trace_builder(lambda: MODELS.build("cnn", GREY), GREY, batch_size=n) for n in (8, 256))
    scaled, traced = estimate_memory(small, batch_size=256), estimate_memory(large)
    assert scaled.total == pytest.approx(traced.total, rel=0.01)


@pytest.mark.parametrize(
    ("name", "spec", "batch_size", "options"),
    [
        ("cnn", GREY, 32, {}),
        ("cnn", GREY, 32, {"activation": "gelu"}),
        ("cnn", COLOUR, 16, {"channels": (16, 32, 64), "batch_norm": True, "hidden": 256}),
        ("resnet", COLOUR, 16, {"blocks_per_stage": 1}),
        ("resnet", COLOUR, 16, {"blocks_per_stage": 1, "shortcut": "B"}),
        ("mlp", GREY, 2048, {}),
        ("mlp", GREY, 64, {"widths": (1024, 1024)}),
    ],
)
def test_within_15_percent_of_the_measured_peak(
    name: str, spec: DataSpec, batch_size: int, options: dict[str, Any]
) -> None:
    model = MODELS.build(name, spec, **options)
    inputs, targets = torch.randn(batch_size, *spec.input_shape), torch.zeros(batch_size, dtype=torch.int64)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)  # fused: no temporaries

    def step() -> None:
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step()  # makes the optimizer's state
    estimate = estimate_memory(trace(model, spec, batch_size=batch_size))
    there_before = estimate.weights + estimate.optimizer + inputs.nbytes
    peak = allocated(step)
    assert peak == pytest.approx(estimate.total - there_before, rel=0.15)
