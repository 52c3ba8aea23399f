"""Models that draw: shapes for any image, and what each promises beyond what every model must keep."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.models.diffusion import time_embedding
from dlcore.models.pixels import PixelOutput
from dlcore.registry import MODELS


def image_spec(*shape: int) -> DataSpec:
    facts = {"kind": "image", "scale": 255.0, "mean": [0.25] * shape[0], "std": [0.5] * shape[0]}
    return DataSpec("image", shape, "none", 0, preprocessing=facts)


SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 9, 13)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def test_pixels_are_brightness_in_the_units_of_the_inputs() -> None:
    numbers = torch.tensor([-50.0, 0.0, 50.0]).view(1, 1, 1, 3)
    drawn = PixelOutput(image_spec(1, 1, 3))(numbers)
    torch.testing.assert_close(drawn.flatten(), (torch.tensor([0.0, 0.5, 1.0]) - 0.25) / 0.5)


@every_shape
def test_an_autoencoder_gives_back_the_shape_through_its_code(shape: tuple[int, ...]) -> None:
    model = MODELS.build("autoencoder", image_spec(*shape), widths=(20,), code=3)
    images = torch.randn(2, *shape)
    assert model.encoder(images).shape == (2, 3)
    assert model(images).shape == images.shape


@every_shape
def test_a_vae_answers_logits_and_a_distribution(shape: tuple[int, ...]) -> None:
    model = MODELS.build("vae", image_spec(*shape), hidden=20, latent=3)
    output = model(torch.randn(2, *shape))
    assert output.logits.shape == (2, *shape)
    assert output.mean.shape == output.log_variance.shape == (2, 3)


def test_a_vae_draws_its_code_in_training_only() -> None:
    model = MODELS.build("vae", image_spec(1, 8, 8))
    images = torch.randn(2, 1, 8, 8)
    assert not torch.equal(model(images).logits, model(images).logits)
    model.eval()
    output = model(images)
    assert torch.equal(output.logits, model.decoder(output.mean))


def test_a_vaes_code_is_mean_and_deviation_times_noise() -> None:
    model = MODELS.build("vae", image_spec(1, 8, 8), latent=4)
    images, noise = torch.randn(2, 1, 8, 8), torch.randn(2, 4)
    output = model(images, noise)
    code = output.mean + output.log_variance.exp().sqrt() * noise
    torch.testing.assert_close(output.logits, model.decoder(code))


@every_shape
@pytest.mark.parametrize("name", ["gan", "dcgan"])
def test_a_generator_draws_images_like_those_given(name: str, shape: tuple[int, ...]) -> None:
    model = MODELS.build(name, image_spec(*shape))
    output = model(torch.randn(2, *shape))
    assert output.generated.shape == (2, *shape)
    assert output.real.shape == output.fake.shape == (2,)
    brightness = output.generated * 0.5 + 0.25
    assert brightness.min() >= 0 and brightness.max() <= 1


def test_the_dense_pair_has_the_teaching_widths() -> None:
    model = MODELS.build("gan", image_spec(1, 28, 28))
    widths = {
        part: [m.out_features for m in getattr(model, part).modules() if isinstance(m, torch.nn.Linear)]
        for part in ("generator", "discriminator")
    }
    assert widths == {"generator": [256, 512, 784], "discriminator": [512, 256, 1]}


@every_shape
@pytest.mark.parametrize("options", [{}, {"channels": (8, 16, 24), "blocks": 2}, {"channels": (6,)}], ids=str)
def test_a_denoiser_answers_with_noise_of_the_same_shape(
    shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    model = MODELS.build("denoiser", image_spec(*shape), **options)
    assert model(torch.randn(2, *shape), torch.tensor([0, 150])).shape == (2, *shape)


def test_a_denoiser_with_patches_answers_with_the_same_shape() -> None:
    model = MODELS.build("denoiser", image_spec(3, 28, 20), patch=4)
    assert model(torch.randn(2, 3, 28, 20)).shape == (2, 3, 28, 20)


def test_a_denoiser_depends_on_the_time() -> None:
    model, images = MODELS.build("denoiser", image_spec(1, 8, 8)), torch.randn(1, 1, 8, 8)
    answers = [model(images, torch.tensor([time])) for time in (0, 5, 199)]
    assert not torch.allclose(answers[0], answers[1]) and not torch.allclose(answers[1], answers[2])
    assert torch.equal(model(images), answers[0])


@pytest.mark.parametrize("dim", [1, 5, 8])
def test_every_step_has_an_embedding_of_its_own(dim: int) -> None:
    embedded = time_embedding(torch.arange(300), dim)
    assert embedded.shape == (300, dim)
    if dim > 1:
        assert len(embedded.unique(dim=0)) == 300


@pytest.mark.parametrize(
    ("name", "options", "what"),
    [
        ("dcgan", {"channels": (8, 8, 8, 8)}, "halve an image of 8×8"),
        ("dcgan", {"channels": ()}, "channels is empty"),
        ("denoiser", {"patch": 3}, "patch = 3 does not divide"),
        ("denoiser", {"channels": ()}, "channels is empty"),
    ],
)
def test_what_cannot_be_is_a_sentence(name: str, options: dict[str, Any], what: str) -> None:
    with pytest.raises(UserError, match=what):
        MODELS.build(name, image_spec(1, 8, 8), **options)
