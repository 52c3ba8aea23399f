"""U-Net: what is in the picture, told for every pixel (Ronneberger et al. 2015, arXiv:1505.04597).

The way down halves the image again and again, so that its filters see more and more of it; the way up brings the
size back. On the way down it is lost where exactly things are: each step up is handed what the step down of the
same size saw (a skip), so that outlines stay sharp. Invariant: outputs have the height and width of the inputs,
whatever these are.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.fields import Count, Fraction
from dlcore.models.blocks import Activation, activation, dropout_layer, named
from dlcore.registry import MODELS

Levels = Annotated[tuple[Count, ...], Field(min_length=1, max_length=20)]


@MODELS.register("unet", group="images", inputs=("image",), targets=("mask",))
class UNet(nn.Module):
    """U-Net for segmentation: down to a coarse view, up again to every pixel, with skips between.

    Args:
        channels: filters of each level, from full size down; every further level halves the image.
        batch_norm: normalise each channel over the batch after every convolution.
        dropout: share of the lowest level's numbers silenced at random while training.
        activation: what bends the output of each convolution.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        channels: Levels = (16, 32, 64, 128),
        batch_norm: bool = True,
        dropout: Fraction = 0.0,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        widths = (spec.input_shape[0], *channels)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)  # a last odd row is kept, and 1 pixel stays 1
        self.down = nn.ModuleList(
            double_conv(before, after, batch_norm=batch_norm, activate=activation)
            for before, after in zip(widths, channels, strict=False)
        )
        self.dropout = dropout_layer(dropout) or nn.Identity()
        upwards = list(zip(channels[:0:-1], channels[-2::-1], strict=True))  # (128, 64), (64, 32), (32, 16)
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(deep, flat, 2, stride=2) for deep, flat in upwards)
        self.up = nn.ModuleList(
            double_conv(2 * flat, flat, batch_norm=batch_norm, activate=activation) for _, flat in upwards
        )
        self.head = nn.Conv2d(channels[0], spec.num_outputs, 1)

    @property
    def blocks(self) -> nn.ModuleList:
        """Every pair of convolutions, in the order of the forward pass."""
        return nn.ModuleList([*self.down, *self.up])

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, num_outputs, height, width)."""
        features, skips = inputs, []
        for level, block in enumerate(self.down):
            features = block(self.pool(features) if level else features)  # (batch, channels[i], h/2^i, w/2^i)
            skips.append(features)
        features = self.dropout(skips.pop())
        for enlarge, block in zip(self.enlarge, self.up, strict=True):
            skip = skips.pop()
            height, width = skip.shape[2:]
            features = enlarge(features)[:, :, :height, :width]  # an odd size was rounded up on the way down
            features = block(torch.cat([skip, features], dim=1))
        return self.head(features)


def double_conv(
    in_channels: int, out_channels: int, *, batch_norm: bool, activate: Activation
) -> nn.Sequential:
    """Twice 3×3 convolution -> [batch norm] -> activation; height and width stay."""
    layers: dict[str, nn.Module | None] = {}
    for number, before in ((1, in_channels), (2, out_channels)):
        # Batch norm subtracts the mean, so a bias before it would have no effect and no gradient.
        layers[f"conv{number}"] = nn.Conv2d(before, out_channels, 3, padding=1, bias=not batch_norm)
        layers[f"norm{number}"] = nn.BatchNorm2d(out_channels) if batch_norm else None
        layers[f"activation{number}"] = activation(activate)
    return named(**layers)
