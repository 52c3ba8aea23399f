"""The denoiser of a diffusion model: a small U-Net that tells how much of a picture is noise.

One network serves every amount of noise; an embedding of the time step tells it which. The picture is
narrowed and widened again, with skips that carry the detail across (Ho et al. 2020, arXiv:2006.11239).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.fields import Count, Widths
from dlcore.models.blocks import named
from dlcore.registry import MODELS


@MODELS.register("denoiser", group="generative", inputs=("image",), task="diffusion")
class Denoiser(nn.Module):
    """A small U-Net with a time embedding that predicts the noise in a noisy image.

    Args:
        channels: filters at each size of the image, from the largest on; each further one halves it.
        blocks: residual blocks at each size, on the way down and on the way up.
        time_dim: numbers the time step is told by.
        patch: side of the squares of pixels folded into channels before anything else; 2 makes it all 4 times cheaper.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        channels: Widths = (32, 64),
        blocks: Count = 1,
        time_dim: Count = 64,
        patch: Count = 1,
    ) -> None:
        super().__init__()
        planes, height, width = spec.input_shape
        if not channels:
            raise UserError("channels is empty: give at least one size, such as channels = [32, 64]")
        if height % patch or width % patch:
            raise UserError(f"patch = {patch} does not divide images of {height}×{width}")
        self.patch, self.time_dim = patch, time_dim
        self.time = named(
            hidden=nn.Linear(time_dim, time_dim), activation=nn.SiLU(), output=nn.Linear(time_dim, time_dim)
        )
        folded = planes * patch**2
        self.first = nn.Conv2d(folded, channels[0], 3, padding=1)
        self.down = nn.ModuleList(Level(channel, channel, blocks, time_dim) for channel in channels[:-1])
        self.halve = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in pairwise(channels)
        )
        self.middle = Level(channels[-1], channels[-1], blocks, time_dim)
        self.widen = nn.ModuleList(
            nn.ConvTranspose2d(after, before, 2, stride=2) for before, after in pairwise(channels)
        )
        self.up = nn.ModuleList(Level(2 * channel, channel, blocks, time_dim) for channel in channels[:-1])
        self.last = named(
            norm=nn.GroupNorm(groups(channels[0]), channels[0]),
            activation=nn.SiLU(),
            conv=nn.Conv2d(channels[0], folded, 3, padding=1),
        )

    def forward(self, inputs: Tensor, time: Tensor | None = None) -> Tensor:
        """The noise in ``inputs``.

        Args:
            inputs: (batch, channels, height, width), noisy.
            time: (batch,) how noisy, from 0; None: the least.

        Returns:
            The same shape as the inputs.
        """
        if time is None:
            time = torch.zeros(len(inputs), device=inputs.device)
        moment = self.time(time_embedding(time, self.time_dim))  # (batch, time_dim)
        image = self.first(F.pixel_unshuffle(inputs, self.patch))
        skips = []
        for level, halve in zip(self.down, self.halve, strict=True):
            image = level(image, moment)
            skips.append(image)
            image = halve(image)
        image = self.middle(image, moment)
        for level, widen in zip(reversed(self.up), reversed(self.widen), strict=True):
            skip = skips.pop()
            height, width = skip.shape[2:]
            image = widen(image)[:, :, :height, :width]  # an odd side was rounded up on the way down
            image = level(torch.cat([image, skip], dim=1), moment)
        return F.pixel_shuffle(self.last(image), self.patch)


class Level(nn.Module):
    """The residual blocks at one size."""

    def __init__(self, before: int, after: int, blocks: int, time_dim: int) -> None:
        super().__init__()
        widths = [before, *[after] * blocks]
        self.blocks = nn.ModuleList(ResidualBlock(*pair, time_dim) for pair in pairwise(widths))

    def forward(self, image: Tensor, moment: Tensor) -> Tensor:
        """(batch, before, height, width), (batch, time_dim) -> (batch, after, height, width)."""
        for block in self.blocks:
            image = block(image, moment)
        return image


class ResidualBlock(nn.Module):
    """Two convolutions whose answer is added to the input; the time step shifts the features between them."""

    def __init__(self, before: int, after: int, time_dim: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups(before), before)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.time = nn.Linear(time_dim, after)
        self.norm2 = nn.GroupNorm(groups(after), after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, image: Tensor, moment: Tensor) -> Tensor:
        """(batch, before, height, width), (batch, time_dim) -> (batch, after, height, width)."""
        hidden = self.conv1(F.silu(self.norm1(image)))
        hidden = hidden + self.time(moment)[:, :, None, None]
        return self.shortcut(image) + self.conv2(F.silu(self.norm2(hidden)))


def groups(channels: int) -> int:
    """Groups to normalise channels in: 8 where that works out."""
    return math.gcd(channels, 8)


def time_embedding(time: Tensor, dim: int) -> Tensor:
    """A step as waves of many lengths, as a Transformer writes positions: (batch,) -> (batch, dim)."""
    half = dim // 2
    frequencies = torch.exp(-math.log(10_000.0) * torch.arange(half, device=time.device) / max(1, half))
    angles = time.float()[:, None] * frequencies  # (batch, half)
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    return F.pad(waves, (0, dim - 2 * half))
