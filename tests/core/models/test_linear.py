"""The single linear layer and the single neuron."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.registry import MODELS


def vector(target: Any, num_outputs: int) -> DataSpec:
    return DataSpec("vector", (4,), target, num_outputs)


def test_linear_is_one_weight_an_input_and_answer_plus_biases() -> None:
    model = MODELS.build("linear", DataSpec("image", (1, 8, 8), "class", 10))
    assert sum(p.numel() for p in model.parameters()) == 64 * 10 + 10


def test_linear_predicts_several_numbers() -> None:
    assert MODELS.build("linear", vector("number", 3))(torch.zeros(2, 4)).shape == (2, 3)


def test_perceptron_is_the_weighted_sum() -> None:
    model, inputs = MODELS.build("perceptron", vector("binary", 1)), torch.randn(5, 4)
    weight, bias = model.neuron.weight[0], model.neuron.bias[0]
    torch.testing.assert_close(model(inputs)[:, 0], (inputs * weight).sum(1) + bias)


@pytest.mark.parametrize(
    ("target", "outputs", "said"),
    [("class", 3, "asks for 3 classes"), ("number", 2, "asks for 2 numbers"), ("class", 2, "two classes")],
)
def test_perceptron_refuses_more_than_one_answer(target: str, outputs: int, said: str) -> None:
    with pytest.raises(UserError) as error:
        MODELS.build("perceptron", vector(target, outputs))
    (line,) = error.value.lines
    assert said in line
    assert 'use model "linear"' in line
