"""U-Net: any size and any depth, what the skips are for, and what one pixel can see."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from dlcore.data.spec import DataSpec
from dlcore.registry import MODELS


def build(shape: tuple[int, ...] = (1, 16, 16), outputs: int = 3, **options: Any) -> nn.Module:
    return MODELS.build("unet", DataSpec("image", shape, "mask", outputs), **options)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 1), (1, 33, 21), (3, 48, 64), (2, 7, 100)])
@pytest.mark.parametrize("channels", [(4,), (4, 8), (4, 8, 8, 8, 16)])
def test_any_size_at_any_depth(shape: tuple[int, ...], channels: tuple[int, ...]) -> None:
    model = build(shape, channels=channels)
    assert model(torch.randn(3, *shape)).shape == (3, 3, *shape[1:])


def test_a_model_made_for_one_size_takes_others() -> None:
    model = build((1, 16, 16)).eval()
    assert model(torch.randn(2, 1, 37, 50)).shape == (2, 3, 37, 50)


def test_the_papers_levels() -> None:
    with torch.device("meta"):
        model = build((3, 64, 64), 2, channels=(64, 128, 256, 512, 1024), batch_norm=False)
    assert sum(p.numel() for p in model.parameters()) == 31_031_810  # as widely published for padded 3×3


def test_one_level_sees_five_pixels_and_more_levels_see_further() -> None:
    def seen(**options: Any) -> int:
        model = build((1, 65, 65), batch_norm=False, activation="tanh", **options).eval()
        image = torch.zeros(1, 1, 65, 65, requires_grad=True)
        model(image)[0, 0, 32, 32].backward()
        return int((image.grad[0, 0, 32] != 0).sum())  # type: ignore[index]

    assert seen(channels=(4,)) == 5
    assert seen(channels=(4, 4)) > 2 * 5
    assert seen(channels=(4, 4, 4)) > 2 * seen(channels=(4, 4))


def test_skips_carry_what_the_way_down_loses() -> None:
    model = build((1, 16, 16), channels=(4, 8)).eval()
    image = torch.randn(1, 1, 16, 16)
    with_skip = model(image)
    model.enlarge[0].weight.data.zero_()  # nothing comes up from below
    model.enlarge[0].bias.data.zero_()
    without = model(image)
    assert not torch.allclose(with_skip, without)
    assert without.std() > 0, "the skip alone still sees the image"
