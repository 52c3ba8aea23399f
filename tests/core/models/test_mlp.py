"""The multilayer perceptron and the layers it shares with others."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.models.blocks import ACTIVATIONS, MONOTONE, Activation, activation
from dlcore.registry import MODELS


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("inputs", "widths", "outputs", "parameters"),
    [
        (784, (256, 256), 10, 269_322),
        (784, (128,), 10, 101_770),
        (10, (5,), 2, 67),
        (10, (5,), 1, 61),
        (10, (), 3, 33),
    ],
)
def test_parameter_counts(inputs: int, widths: tuple[int, ...], outputs: int, parameters: int) -> None:
    model = MODELS.build("mlp", DataSpec("vector", (inputs,), "class", outputs), widths=widths)
    assert count(model) == parameters


def test_default_on_mnist_is_784_256_256_10() -> None:
    assert count(MODELS.build("mlp", DataSpec("image", (1, 28, 28), "class", 10))) == 269_322


def test_every_activation_can_be_named_and_no_other() -> None:
    assert set(get_args(Activation)) == set(ACTIVATIONS)
    with pytest.raises(UserError, match="must be one of relu, leaky_relu"):
        MODELS.build("mlp", DataSpec("vector", (4,), "class", 2), activation="swish")


@pytest.mark.parametrize("name", get_args(Activation))
def test_every_activation_trains(name: Activation) -> None:
    model = MODELS.build("mlp", DataSpec("vector", (4,), "class", 3), widths=(8, 8), activation=name)
    model(torch.randn(16, 4)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize("name", get_args(Activation))
def test_monotone_activations_are_those_that_never_fall(name: Activation) -> None:
    values = torch.linspace(-8, 8, 1001)[:, None]
    outputs = activation(name)(values)
    never_falls = bool((outputs[1:] >= outputs[:-1]).all())
    assert never_falls == (name in MONOTONE) or name == "softmax"  # softmax looks at its neighbours


def test_no_bias_before_batch_norm() -> None:
    model = MODELS.build("mlp", DataSpec("vector", (4,), "class", 3), widths=(8,), batch_norm=True)
    assert model.blocks[0].linear.bias is None
    assert count(model) == 4 * 8 + 2 * 8 + 8 * 3 + 3


def test_dropout_acts_in_training_only() -> None:
    model = MODELS.build("mlp", DataSpec("vector", (4,), "class", 3), dropout=0.5)
    inputs = torch.randn(8, 4)
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))


@pytest.mark.parametrize(("init", "activation"), [("he", "relu"), ("xavier", "tanh")])
def test_init_keeps_the_signal_through_ten_layers_and_the_default_loses_it(
    init: str, activation: Activation
) -> None:
    def signal(init: str) -> float:
        """How much the samples still differ after ten layers."""
        torch.manual_seed(0)
        spec = DataSpec("vector", (256,), "class", 2)
        model = MODELS.build("mlp", spec, widths=[256] * 10, init=init, activation=activation)
        return model.blocks(torch.randn(64, 256)).std(dim=0).mean().item()

    assert signal(init) > 0.1
    assert signal("default") < 0.01
