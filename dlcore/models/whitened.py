"""A small convolutional network that learns photos within seconds, behind a first layer that is computed, not learned.

Neighbouring pixels are nearly equal, so a patch of a photo holds one strong number and many weak ones. The first
layer turns patches into numbers that vary equally and independently of each other: they are *whitened*
(Page 2019, "How to train your ResNet"). What it needs to know are a few thousand training images. The rest is that of
Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (arXiv:2404.00498).
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.fields import Fraction, NonNegative, Widths
from dlcore.models.blocks import Activation, named
from dlcore.models.blocks import activation as make_activation
from dlcore.registry import MODELS

PatchSize = Annotated[int, Field(ge=1, le=8)]

SMALLEST_VARIANCE = 5e-4
"""Added to the variance of every direction, so that the weakest ones are not blown up to noise."""


@MODELS.register("whitened", group="images", inputs=("image",), targets=("class", "binary"))
class WhitenedCNN(nn.Module):
    """A convolutional network behind a layer that whitens patches: groups of two convolutions, then a maximum.

    Args:
        widths: channels of each group; each halves the image while there is something to halve.
        patch: side of the patches that are whitened.
        activation: what bends the output of each convolution.
        norm_momentum: how fast batch norm's averages follow; a training of seconds wants them fast.
        output_scale: what the logits are multiplied by; 0: one over the head's inputs, whose weights begin large.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        widths: Widths = (64, 256, 256),
        patch: PatchSize = 2,
        activation: Activation = "gelu",
        norm_momentum: Fraction = 0.4,
        output_scale: NonNegative = 0.0,
    ) -> None:
        super().__init__()
        channels, height, width = spec.input_shape
        if not widths or min(height, width) < patch:
            raise UserError(
                "widths is empty: give at least one number of channels"
                if not widths
                else f"patches of {patch}×{patch} do not fit into images of {height}×{width}"
            )
        self.output_scale = output_scale or 1 / widths[-1]
        self.whiten = Whitening(channels, patch)
        self.activation = make_activation(activation)
        self.blocks = nn.Sequential()
        planes, size = self.whiten.out_channels, min(height, width) - patch + 1
        for each in widths:
            self.blocks.append(group(planes, each, activation, norm_momentum, halve=size >= 2))
            planes, size = each, max(1, size // 2)
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.head = nn.Linear(planes, spec.num_outputs, bias=False)
        with torch.no_grad():
            self.head.weight /= self.head.weight.std()

    def initialise_from(self, inputs: Tensor) -> None:
        """Whiten patches like those of these training images, (images, channels, height, width)."""
        self.whiten.initialise_from(inputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, num_outputs)."""
        patches = self.activation(self.whiten(inputs))  # (batch, 2 channels patch², height - patch + 1, …)
        features = self.pool(self.blocks(patches)).flatten(1)  # (batch, widths[-1])
        logits: Tensor = self.head(features) * self.output_scale
        return logits


class Whitening(nn.Module):
    """Patches -> numbers that vary equally and independently, and their negation; plus a bias, which alone is learned.

    Until `initialise_from` has seen images the directions are random.

    Attributes:
        out_channels: twice the numbers of a patch: an activation after this one cuts off negative ones.
    """

    def __init__(self, channels: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        numbers = channels * patch**2
        self.out_channels = 2 * numbers
        directions = nn.init.orthogonal_(torch.empty(numbers, numbers)).view(-1, channels, patch, patch)
        self.weight: Tensor
        self.register_buffer("weight", torch.cat([directions, -directions]))
        self.bias = nn.Parameter(torch.empty(self.out_channels).uniform_(-1, 1) / math.sqrt(numbers))

    @torch.no_grad()
    def initialise_from(self, images: Tensor) -> None:
        """Directions from the patches of (images, channels, height, width), the one that varies most first."""
        numbers = self.out_channels // 2
        second_moments = torch.zeros(numbers, numbers, dtype=torch.float64, device=images.device)
        count = 0
        for some in images.split(500):  # the patches of all at once would take 1 GB
            patches = F.unfold(some.float(), self.patch)  # (images, numbers, places)
            patches = patches.transpose(0, 1).flatten(1).double()
            second_moments += patches @ patches.T
            count += patches.shape[1]
        variances, directions = torch.linalg.eigh(
            second_moments / count
        )  # a direction a column, weakest first
        whitening = (directions / (variances + SMALLEST_VARIANCE).sqrt()).T.flip(0)
        filters = whitening.view(numbers, -1, self.patch, self.patch)
        self.weight.copy_(torch.cat([filters, -filters]))

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, out_channels, height - patch + 1, width - patch + 1)."""
        return F.conv2d(images, self.weight, self.bias)

    def extra_repr(self) -> str:
        """As `print(model)` shows it."""
        return f"{self.weight.shape[1]}, {self.out_channels}, patch={self.patch}"


class BiasedNorm(nn.BatchNorm2d):
    """Batch norm that learns a shift and no scale: the convolution after it scales as well."""

    def __init__(self, channels: int, momentum: float) -> None:
        super().__init__(channels, eps=1e-12, momentum=momentum)
        del self.weight
        self.register_buffer("weight", torch.ones(channels))


def group(
    in_channels: int, out_channels: int, activate: Activation, momentum: float, *, halve: bool
) -> nn.Sequential:
    """Conv -> max-pool -> norm -> activation -> conv -> norm -> activation; halves height and width."""
    return named(
        conv1=passing_conv(in_channels, out_channels),
        pool=nn.MaxPool2d(2) if halve else None,
        norm1=BiasedNorm(out_channels, momentum),
        activation1=make_activation(activate),
        conv2=passing_conv(out_channels, out_channels),
        norm2=BiasedNorm(out_channels, momentum),
        activation2=make_activation(activate),
    )


def passing_conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 3×3 convolution whose first filters pass the channels on as they are; the others are drawn."""
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(conv.weight[:in_channels])
    return conv
