"""Generative adversarial networks: one network draws, another tells drawings from real images.

The generator never sees an image; all it learns comes through the discriminator's gradient (Goodfellow et
al. 2014, arXiv:1406.2661). The convolutional pair follows DCGAN (Radford et al. 2015, arXiv:1511.06434).
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.fields import Count, Fraction, Widths
from dlcore.models.blocks import dropout_layer, flat_features, named
from dlcore.models.pixels import PixelOutput
from dlcore.registry import MODELS

SLOPE = 0.2
"""Of leaky ReLUs below 0: a discriminator that is sure still passes a gradient on."""


class GANOutput(NamedTuple):
    """A look at both networks.

    Attributes:
        real: (batch,) logits of the given images being real.
        fake: (batch,) logits of the drawn ones being real.
        generated: (batch, channels, height, width), drawn from noise, in the units of model inputs.
    """

    real: Tensor
    fake: Tensor
    generated: Tensor


class AdversarialPair(nn.Module):
    """A generator, (batch, latent) -> images, and a discriminator, images -> (batch, 1) logits."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, latent: int) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.latent = latent

    def forward(self, inputs: Tensor, noise: Tensor | None = None) -> GANOutput:
        """Draw as many images as are given, and judge both.

        Args:
            inputs: (batch, channels, height, width) real images.
            noise: (batch, latent) to draw from; None makes some.
        """
        if noise is None:
            noise = torch.randn(len(inputs), self.latent, device=inputs.device)
        generated = self.generator(noise)
        return GANOutput(
            self.discriminator(inputs).squeeze(1), self.discriminator(generated).squeeze(1), generated
        )


@MODELS.register("gan", group="generative", inputs=("image",), task="gan")
def gan(
    spec: DataSpec,
    *,
    latent: Count = 64,
    generator: Widths = (256, 512),
    discriminator: Widths = (512, 256),
    dropout: Fraction = 0.3,
) -> nn.Module:
    """A generator and a discriminator of fully connected layers, each the other's opponent.

    Args:
        latent: random numbers an image is drawn from.
        generator: units of the generator's hidden layers.
        discriminator: units of the discriminator's hidden layers.
        dropout: share of the discriminator's hidden units silenced while training, lest it learns images by heart.
    """
    pixels = flat_features(spec)
    layers = [latent, *generator]
    draws = named(
        hidden=nn.Sequential(*(leaky(nn.Linear(before, after)) for before, after in pairwise(layers))),
        output=nn.Linear(layers[-1], pixels),
        image=nn.Unflatten(1, spec.input_shape),
        pixels=PixelOutput(spec),
    )
    layers = [pixels, *discriminator]
    judges = named(
        flatten=nn.Flatten(),
        hidden=nn.Sequential(
            *(leaky(nn.Linear(before, after), dropout=dropout) for before, after in pairwise(layers))
        ),
        output=nn.Linear(layers[-1], 1),
    )
    return AdversarialPair(draws, judges, latent)


@MODELS.register("dcgan", group="generative", inputs=("image",), task="gan")
def dcgan(
    spec: DataSpec, *, latent: Count = 64, channels: Widths = (32, 64), dropout: Fraction = 0.0
) -> nn.Module:
    """A convolutional generator that enlarges noise step by step, and a discriminator that mirrors it.

    Args:
        latent: random numbers an image is drawn from.
        channels: filters of the discriminator's blocks, each of which halves the image; the generator has them
            in reverse.
        dropout: share of the discriminator's last features silenced while training.
    """
    planes, height, width = spec.input_shape
    if not channels:
        raise UserError("channels is empty: give at least one block, such as channels = [32, 64]")
    if min(height, width) < 2 ** len(channels):
        raise UserError(
            f"{len(channels)} blocks halve an image of {height}×{width} to nothing: give fewer channels"
        )
    shrink = 2 ** len(channels)
    smallest = (channels[-1], -(-height // shrink), -(-width // shrink))  # what the generator starts from
    upward = list(reversed(channels))
    draws = named(
        seed=nn.Linear(latent, smallest[0] * smallest[1] * smallest[2], bias=False),
        image=nn.Unflatten(1, smallest),
        norm=nn.BatchNorm2d(smallest[0]),
        activation=nn.ReLU(),
        blocks=nn.Sequential(*(doubling(before, after) for before, after in pairwise(upward))),
        output=nn.ConvTranspose2d(channels[0], planes, 4, stride=2, padding=1),
        cut=Cut(height, width),
        pixels=PixelOutput(spec),
    )
    downward = [planes, *channels]
    sides = [side // shrink for side in (height, width)]
    judges = named(
        # No norm on the first block: it would hide the brightness of the image as a whole.
        blocks=nn.Sequential(
            *(
                halving(before, after, norm=number > 0)
                for number, (before, after) in enumerate(pairwise(downward))
            )
        ),
        flatten=nn.Flatten(),
        dropout=dropout_layer(dropout),
        output=nn.Linear(channels[-1] * sides[0] * sides[1], 1),
    )
    for layer in (*draws.modules(), *judges.modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=0.02)  # as DCGAN starts
    return AdversarialPair(draws, judges, latent)


def leaky(layer: nn.Module, *, dropout: float = 0.0) -> nn.Sequential:
    """A layer with a leaky ReLU behind it, and dropout if wanted."""
    return named(layer=layer, activation=nn.LeakyReLU(SLOPE), dropout=dropout_layer(dropout))


def doubling(before: int, after: int) -> nn.Sequential:
    """(batch, before, height, width) -> (batch, after, 2·height, 2·width)."""
    # A kernel of 4 is a multiple of the stride: a smaller or odd one leaves a chequered pattern.
    conv = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)
    return named(conv=conv, norm=nn.BatchNorm2d(after), activation=nn.ReLU())


def halving(before: int, after: int, *, norm: bool) -> nn.Sequential:
    """(batch, before, height, width) -> (batch, after, height / 2, width / 2), rounded down."""
    return named(
        conv=nn.Conv2d(before, after, 4, stride=2, padding=1, bias=not norm),
        norm=nn.BatchNorm2d(after) if norm else None,
        activation=nn.LeakyReLU(SLOPE),
    )


class Cut(nn.Module):
    """The upper left of an image that was enlarged to more than was wanted."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, image: Tensor) -> Tensor:
        """(batch, channels, at least height, at least width) -> (batch, channels, height, width)."""
        return image[:, :, : self.height, : self.width]
