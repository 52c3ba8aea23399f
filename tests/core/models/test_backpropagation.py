"""Gradients worked out by hand, as `presets/moons-backprop.toml` teaches them, are autograd's."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dlcore import assembly
from dlcore import preset as presets
from dlcore.data.spec import Batch, DataContext
from dlcore.registry import DATA, MODELS
from dlcore.tasks.classification import Classification


def by_hand(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """The lines of the preset, mean over the batch; x (batch, 2), y (batch,) of 0 and 1."""
    hidden, answer = model.blocks[0].linear, model.head  # type: ignore[index]
    h = torch.tanh(x @ hidden.weight.T + hidden.bias)  # (batch, 3)
    p = torch.sigmoid(h @ answer.weight.T + answer.bias)[:, 0]  # (batch,)
    dz = (p - y)[:, None]  # (batch, 1)
    da = dz * answer.weight * (1 - h**2)  # dL/dh · tanh', (batch, 3)
    n = len(x)
    return {
        "head.weight": dz.T @ h / n,
        "head.bias": dz.mean(0),
        "blocks.0.linear.weight": da.T @ x / n,  # the mean of dL/da xᵀ
        "blocks.0.linear.bias": da.mean(0),
    }


@pytest.fixture
def parts() -> assembly.Parts:
    return assembly.build(presets.load("moons-backprop", builders=True), print)


def by_autograd(parts: assembly.Parts, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    batch = Batch(x, y, torch.arange(len(x)))
    parts.model.zero_grad()
    parts.task.loss(batch, "main")[0].backward()
    return {name: p.grad for name, p in parts.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("size", [1, 32])
def test_every_gradient_is_autograds(parts: assembly.Parts, size: int) -> None:
    train = parts.data.train
    x, y = train.inputs[:size], train.targets[:size]  # type: ignore[union-attr]
    with torch.no_grad():
        expected = by_hand(parts.model, x, y)
    found = by_autograd(parts, x, y)
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-7)


def test_the_worked_example(parts: assembly.Parts) -> None:
    with torch.no_grad():
        parts.model.blocks[0].linear.weight.zero_()  # type: ignore[index]
        parts.model.blocks[0].linear.bias.zero_()  # type: ignore[index]
        parts.model.head.weight.copy_(torch.tensor([[1.0, -1.0, 2.0]]))  # type: ignore[union-attr]
        parts.model.head.bias.zero_()  # type: ignore[union-attr]
    found = by_autograd(parts, torch.tensor([[1.0, 2.0]]), torch.tensor([1]))
    assert torch.equal(found["head.weight"], torch.zeros(1, 3))
    assert found["head.bias"].item() == -0.5
    assert torch.equal(found["blocks.0.linear.weight"], torch.tensor([[-0.5, -1], [0.5, 1], [-1, -2]]))
    assert torch.equal(found["blocks.0.linear.bias"], torch.tensor([-0.5, 0.5, -1]))


def test_they_are_also_the_slopes_of_the_loss(parts: assembly.Parts) -> None:
    """A step either way, (L(w + ε) - L(w - ε)) / 2ε, in double precision."""
    train = parts.data.train
    x, y = train.inputs[:8].double(), train.targets[:8]  # type: ignore[union-attr]
    model = parts.model.double()
    expected, epsilon = by_hand(model, x, y), 1e-6
    batch = Batch(x, y, torch.arange(8))
    with torch.no_grad():
        for name, weights in model.named_parameters():
            for place in range(weights.numel()):
                losses = []
                for change in (epsilon, -epsilon):
                    weights.view(-1)[place] += change
                    losses.append(parts.task.loss(batch, "main")[0])
                    weights.view(-1)[place] -= change
                slope = (losses[0] - losses[1]) / (2 * epsilon)
                assert slope.item() == pytest.approx(expected[name].reshape(-1)[place].item(), abs=1e-8)


def gradient_norms(**options: object) -> list[float]:
    """Of the loss by each hidden layer's matrix, first to last, at the start of a training on digits."""
    preset = presets.load("digits-vanishing", [f"model.{k}={v}" for k, v in options.items()], builders=True)
    data = DATA.build("digits", DataContext(Path("nowhere")))
    torch.manual_seed(0)
    model = MODELS.build("mlp", data.spec, **{k: v for k, v in preset.model.options.items() if k in OWN})
    part = data.train
    batch = Batch(part.prepare(part.inputs[:128]), part.targets[:128], torch.arange(128))
    Classification(model, data.spec).loss(batch, "main")[0].backward()
    return [float(block.linear.weight.grad.norm()) for block in model.blocks]


OWN = ("widths", "activation", "dropout", "batch_norm", "init")


def test_in_a_deep_sigmoid_network_gradients_vanish_layer_by_layer() -> None:
    norms = gradient_norms()
    assert all(below < above for below, above in pairwise(norms))
    assert norms[0] < 1e-5 * norms[-1]


@pytest.mark.parametrize(
    "cure",
    [{"activation": "relu", "init": "he"}, {"activation": "tanh", "init": "xavier"}, {"batch_norm": "true"}],
)
def test_the_cures_keep_them_alike(cure: dict[str, str]) -> None:
    norms = gradient_norms(**cure)
    assert min(norms) > 0.02 * max(norms)
