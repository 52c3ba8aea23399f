"""The network behind a whitening layer: what is computed, what is passed on, what is learned."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.models.whitened import SMALLEST_VARIANCE, BiasedNorm, Whitening, passing_conv
from dlcore.registry import MODELS


def build(shape: tuple[int, ...] = (3, 32, 32), **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return MODELS.build("whitened", DataSpec("image", shape, "class", 10), **options)


def photos(count: int = 600, channels: int = 3) -> torch.Tensor:
    """Smooth pictures: neighbouring pixels are nearly equal, and so are the colours."""
    noise = torch.randn(count, channels, 20, 20, generator=torch.Generator().manual_seed(1))
    smooth = F.avg_pool2d(noise, 5, stride=1)
    return 10 * smooth + 20 * smooth[:, :1] + 0.5 * noise[..., 2:-2, 2:-2]


def whitened_patches(layer: Whitening, images: torch.Tensor) -> torch.Tensor:
    """(numbers, patches), the negated ones and the bias left out."""
    answers = layer(images) - layer.bias[:, None, None]
    return answers[:, : layer.out_channels // 2].transpose(0, 1).flatten(1).detach()


@pytest.mark.parametrize(("channels", "patch"), [(3, 2), (1, 3)])
def test_whitened_patches_vary_equally_and_independently(channels: int, patch: int) -> None:
    images, layer = photos(channels=channels), Whitening(channels, patch)
    layer.initialise_from(images)
    seen = whitened_patches(layer, images)
    raw = F.unfold(images, patch).transpose(0, 1).flatten(1)
    assert torch.linalg.cond(raw @ raw.T) > 20  # or there would be nothing to whiten
    variances = torch.linalg.eigvalsh(raw @ raw.T / raw.shape[1]).flip(0)
    expected = torch.diag(variances / (variances + SMALLEST_VARIANCE))  # the identity, but for what is added
    torch.testing.assert_close(seen @ seen.T / seen.shape[1], expected, rtol=0, atol=2e-3)
    torch.testing.assert_close(expected, torch.eye(len(expected)), rtol=0, atol=1e-2)


def test_each_direction_comes_with_its_negation_the_strongest_first() -> None:
    images, layer = photos(), Whitening(3, 2)
    layer.initialise_from(images)
    directions, negated = layer.weight.chunk(2)
    assert torch.equal(directions, -negated)
    strength = directions.flatten(1).norm(dim=1)  # 1/√variance
    assert (strength.diff() > 0).all()


def test_the_recipe_for_photos_has_1_97_million_weights_to_learn() -> None:
    model = build()
    filters = 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256)
    shifts = 24 + 2 * 64 + 4 * 256
    assert sum(p.numel() for p in model.parameters()) == filters + shifts + 256 * 10
    assert "whiten.weight" in model.state_dict()
    assert "whiten.weight" not in dict(model.named_parameters())


def test_a_fresh_convolution_passes_its_channels_on() -> None:
    inputs = torch.randn(2, 4, 6, 6)
    outputs = passing_conv(4, 7)(inputs)
    assert torch.equal(outputs[:, :4], inputs)
    assert not outputs[:, 4:].eq(0).any()


def test_batch_norm_learns_a_shift_only() -> None:
    norm = BiasedNorm(5, 0.4)
    assert [name for name, _ in norm.named_parameters()] == ["bias"]
    inputs = torch.randn(8, 5, 3, 3) * 7 + 2
    outputs = norm(inputs)
    torch.testing.assert_close(outputs.mean((0, 2, 3)), torch.zeros(5), rtol=0, atol=1e-5)
    torch.testing.assert_close(norm.running_mean, 0.4 * inputs.mean((0, 2, 3)))


def test_the_head_has_deviation_one_and_its_logits_are_scaled() -> None:
    small, large = build(output_scale=1 / 256).eval(), build(output_scale=1.0).eval()
    assert small.head.weight.std().item() == pytest.approx(1)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(small(images) * 256, large(images))


@pytest.mark.parametrize("shape", [(1, 2, 2), (1, 3, 40), (3, 17, 9), (4, 64, 64)])
def test_any_image_size(shape: tuple[int, ...]) -> None:
    assert build(shape)(torch.randn(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"widths": ()}, "widths is empty"), ({"patch": 8}, "patches of 8×8 do not fit into images of 6×7")],
)
def test_what_cannot_be_is_one_sentence(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        build((3, 6, 7), **options)
