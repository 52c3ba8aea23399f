"""Vision transformers: patches, sizes they do not divide, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.registry import MODELS


def build(shape: tuple[int, ...] = (1, 8, 8), **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return MODELS.build("vit", DataSpec("image", shape, "class", 10), **options)


def test_vit_base_has_86_million_parameters() -> None:
    with torch.device("meta"):
        spec = DataSpec("image", (3, 224, 224), "class", 1000)
        model = MODELS.build("vit", spec, patch=16, embed_dim=768, heads=12, layers=12)
    assert sum(p.numel() for p in model.parameters()) == 86_567_656  # as torchvision's vit_b_16


def test_patches_are_a_linear_layer_over_squares() -> None:
    model = build(patch=4, dropout=0)
    image = torch.randn(2, 1, 8, 8)
    square = image[:, :, 4:8, 0:4].flatten(1)  # second row, first column
    weight, bias = model.patches.weight.flatten(1), model.patches.bias
    expected = square @ weight.T + bias + model.positions[1 + 2]
    torch.testing.assert_close(model.embed(image)[:, 1 + 2], expected)


@pytest.mark.parametrize("shape", [(3, 5, 9), (1, 28, 28), (2, 4, 4)])
@pytest.mark.parametrize("patch", [1, 3, 4])
def test_any_size(shape: tuple[int, ...], patch: int) -> None:
    model = build(shape, patch=patch, embed_dim=8, layers=1)
    assert model(torch.randn(2, *shape)).shape == (2, 10)


def test_without_places_the_order_of_patches_would_not_matter() -> None:
    model = build((1, 4, 8), patch=4).eval()
    image = torch.randn(1, 1, 4, 8)
    swapped = torch.cat([image[..., 4:], image[..., :4]], dim=3)
    assert not torch.allclose(model(image), model(swapped), atol=1e-6)
    model.positions.data.zero_()
    torch.testing.assert_close(model(image), model(swapped))


@pytest.mark.parametrize(
    ("options", "said"), [({"patch": 9}, "larger than the images"), ({"embed_dim": 10, "heads": 4}, "heads")]
)
def test_impossible_ones_are_one_sentence(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        build(**options)
    assert len(error.value.lines) == 1


def test_an_image_of_another_size_is_one_sentence() -> None:
    with pytest.raises(UserError, match="8×8, but got one of 8×12"):
        build()(torch.randn(1, 1, 8, 12))
