"""Residual networks for small images (He et al. 2015, arXiv:1512.03385, section 4.2).

Each block learns what to add to its input: relu(x + f(x)). The sum gives gradients a straight way down, so a
hundred layers still train. Names of layers follow the widely shared CIFAR-10 weights, which therefore load.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.fields import Widths
from dlcore.registry import MODELS

BlocksPerStage = Annotated[int, Field(ge=1, le=200)]  # 200 is the paper's deepest, ResNet-1202
Shortcut = Literal["A", "B"]


@MODELS.register("resnet", group="images", inputs=("image",), targets=("class", "binary", "number"))
class ResNet(nn.Module):
    """A residual network for small images: ResNet-20, or deeper by 6 layers for each further block a stage.

    Args:
        blocks_per_stage: residual blocks in each stage; 3, 5, 9 and 18 give ResNet-20, 32, 56 and 110.
        widths: channels of each stage; every stage after the first halves the image.
        shortcut: how x is fitted where a stage widens: A pads with zero channels, B learns a 1×1 convolution.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        blocks_per_stage: BlocksPerStage = 3,
        widths: Widths = (16, 32, 64),
        shortcut: Shortcut = "A",
    ) -> None:
        super().__init__()
        check_widths(widths, shortcut)
        self.conv1 = nn.Conv2d(spec.input_shape[0], widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        before = (widths[0], *widths)
        self.stages = [f"layer{number}" for number in range(1, len(widths) + 1)]
        for index, name in enumerate(self.stages):
            self.add_module(name, stage(before[index], widths[index], blocks_per_stage, index > 0, shortcut))
        self.linear = nn.Linear(widths[-1], spec.num_outputs)
        draw_weights(self)

    @property
    def blocks(self) -> nn.ModuleList:
        """All residual blocks, first to last."""
        return nn.ModuleList(block for name in self.stages for block in self.get_submodule(name).children())

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, num_outputs)."""
        features = self.relu(self.bn1(self.conv1(inputs)))  # (batch, widths[0], height, width)
        for name in self.stages:
            features = self.get_submodule(name)(features)  # (batch, widths[i], height / 2^i, width / 2^i)
        return self.linear(features.mean(dim=(2, 3)))  # the mean of every channel: (batch, widths[-1])


class ResidualBlock(nn.Module):
    """relu(f(x) + shortcut(x)), f two 3×3 convolutions: (b, in, h, w) -> (b, out, h/stride, w/stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu2 = nn.ReLU()
        self.shortcut = make_shortcut(in_channels, out_channels, stride, shortcut)

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs plus what the block has learned to add to them."""
        hidden = self.relu1(self.bn1(self.conv1(inputs)))  # (batch, out, h/stride, w/stride)
        return self.relu2(self.bn2(self.conv2(hidden)) + self.shortcut(inputs))


class PadChannels(nn.Module):
    """Shortcut A: every second pixel, and new channels that are zero; no parameters."""

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.before, self.after = extra // 2, extra - extra // 2
        self.stride = stride

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, in, h, w) -> (batch, in + extra, h/stride, w/stride)."""
        kept = inputs[:, :, :: self.stride, :: self.stride]
        return F.pad(kept, (0, 0, 0, 0, self.before, self.after))  # counts axes from the last


def make_shortcut(in_channels: int, out_channels: int, stride: int, shortcut: Shortcut) -> nn.Module:
    """What fits x to the shape of f(x): nothing where the shapes agree already."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if shortcut == "A":
        return PadChannels(out_channels - in_channels, stride)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
    )


def stage(in_channels: int, out_channels: int, blocks: int, halve: bool, shortcut: Shortcut) -> nn.Sequential:
    """Blocks of one width; the first one widens, and halves the image if asked."""
    first = ResidualBlock(in_channels, out_channels, 2 if halve else 1, shortcut)
    rest = (ResidualBlock(out_channels, out_channels, 1, shortcut) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


def check_widths(widths: Widths, shortcut: Shortcut) -> None:
    """Raises UserError for no stages, or for a narrowing stage that shortcut A cannot pad."""
    if not widths:
        raise UserError("widths is empty: give the channels of each stage, such as widths = [16, 32, 64]")
    for before, after in pairwise(widths):
        if after < before and shortcut == "A":
            raise UserError(
                f"shortcut A can only add channels, not go from {before} to {after}: "
                f'let widths grow, or use shortcut = "B"'
            )


def draw_weights(model: nn.Module) -> None:
    """He initialisation of the convolutions: keeps the signal's size through ReLU (arXiv:1502.01852)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
