"""The convolutional network: sizes, variants, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.registry import MODELS


def build(shape: tuple[int, ...] = (1, 28, 28), **options: Any) -> nn.Module:
    return MODELS.build("cnn", DataSpec("image", shape, "class", 10), **options)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_default_has_421_642_parameters_on_mnist() -> None:
    assert count(build()) == 421_642


def test_three_blocks_for_colour_images() -> None:
    model = build((3, 32, 32), channels=(32, 64, 128), hidden=256)
    convs = (3 * 9 + 1) * 32 + (32 * 9 + 1) * 64 + (64 * 9 + 1) * 128
    assert count(model) == convs + (128 * 4 * 4 + 1) * 256 + (256 + 1) * 10


def test_the_fast_mnist_recipe_flattens_to_800() -> None:
    model = build(channels=(24, 32), kernels=(5, 3), padding="valid", hidden=256, dropout=0)
    assert model.head.hidden1.linear.in_features == 800
    assert count(model) == (25 + 1) * 24 + (24 * 9 + 1) * 32 + (800 + 1) * 256 + (256 + 1) * 10
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_strides_pools_and_a_crop_say_what_each_block_looks_at() -> None:
    model = build(channels=(24, 32), kernels=(5, 3), strides=(2, 1), pools=(1, 2), padding="valid", crop=2)
    first, second = model.blocks
    assert list(dict(first.named_children())) == ["conv", "activation"]
    assert (first.conv.stride, second.conv.stride, second.pool.kernel_size) == ((2, 2), (1, 1), 2)
    assert model.head.hidden1.linear.in_features == 32 * 4 * 4  # 28 -> 24 -> 10 -> 8 -> 4


def test_what_is_cropped_does_not_count() -> None:
    model = build(crop=2).eval()
    inputs = torch.randn(1, 1, 28, 28)
    framed = inputs.clone()
    framed[:, :, :2], framed[:, :, -2:], framed[..., :2], framed[..., -2:] = 1, 2, 3, 4
    assert torch.equal(model(framed), model(inputs))


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 5, 31), (1, 29, 17), (2, 64, 4), (4, 33, 33)])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_any_image_size(shape: tuple[int, ...], batch_norm: bool) -> None:
    assert build(shape, batch_norm=batch_norm)(torch.randn(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize(("padding", "size"), [("same", 2), ("valid", 10)])
def test_the_smallest_image_works_and_one_pixel_less_is_refused(padding: str, size: int) -> None:
    blocks = {"same": 1, "valid": 2}[padding]  # valid: 10 -> 8 -> 4 -> 2 -> 1
    options: dict[str, Any] = {"channels": (4,) * blocks, "padding": padding}
    assert build((1, size, size), **options)(torch.zeros(1, 1, size, size)).shape == (1, 10)
    with pytest.raises(UserError, match=f"block {blocks} of {blocks} gets images of"):
        build((1, size - 1, size), **options)


@pytest.mark.parametrize(("hidden", "layers"), [(0, 1), (64, 2), ((64, 32), 3), ((), 1)])
def test_any_number_of_hidden_layers(hidden: Any, layers: int) -> None:
    model = build(hidden=hidden)
    assert sum(isinstance(module, nn.Linear) for module in model.head.modules()) == layers
    assert sum(isinstance(module, nn.Dropout) for module in model.head.modules()) == max(1, layers - 1)


def test_pooling_before_a_monotone_activation_gives_the_same_outputs() -> None:
    torch.manual_seed(0)
    model, inputs = build(dropout=0), torch.randn(4, 1, 28, 28)
    hidden = inputs
    for block in model.blocks:
        assert list(dict(block.named_children())) == ["conv", "pool", "activation"]
        hidden = block.pool(block.activation(block.conv(hidden)))
    assert torch.equal(model.head(hidden), model(inputs))


@pytest.mark.parametrize("activation", ["gelu", "silu", "softmax"])
def test_other_activations_come_before_the_pooling(activation: str) -> None:
    (block, _) = build(activation=activation, batch_norm=True).blocks
    assert list(dict(block.named_children())) == ["conv", "norm", "activation", "pool"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"channels": (8,) * 5}, "block 5 of 5 gets images of 8×1×1, too small"),
        ({"channels": (8, 8, 8), "kernels": (9,), "padding": "valid"}, 'or padding = "same"'),
        ({"kernels": (4,)}, "kernel 4 is even"),
        ({"kernels": ()}, "kernels is empty"),
        ({"kernels": (3, 3, 3)}, "3 sizes but channels has 2 blocks"),
        ({"strides": (1, 2, 1)}, "strides has 3 sizes but channels has 2 blocks"),
        ({"pools": ()}, "pools is empty"),
        (
            {"pools": (20,)},
            "too small for its 3×3 convolution and 20×20 pooling: use fewer blocks or smaller pools",
        ),
        ({"crop": 14}, "crop = 14 leaves nothing of images of 28×28"),
    ],
)
def test_impossible_blocks_are_one_sentence(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        build(**options)
    (line,) = error.value.lines
    assert said in line


def test_all_wrong_options_are_told_at_once() -> None:
    with pytest.raises(UserError) as error:
        build(channels=[-1], dropout=1.0, padding="reflect", chanels=[3])
    assert len(error.value.lines) == 4
