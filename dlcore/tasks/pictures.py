"""What a network was shown and what it made of it, as pictures for a person: plain lists of 0..255.

They are shown small, so they are made small: a few thousand numbers a sample instead of a hundred thousand.
"""

from __future__ import annotations

import colorsys
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dlcore.data.spec import DataSpec

MOST_SIDE = 64
"""Pixels of the longer side; a terminal shows fewer."""

# Okabe and Ito's colours, which people with any colour vision can tell apart; class 0 stays as it is.
COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


def as_pixels(spec: DataSpec, inputs: Tensor) -> Tensor:
    """Images as they were before they were normalised.

    Args:
        inputs: (batch, channels, height, width) as the model sees them, of any device.

    Returns:
        uint8 (batch, 1 or 3, height, width) on the CPU, the longer side at most `MOST_SIDE`.
    """
    images = inputs.detach().float().cpu()
    facts = spec.preprocessing
    if "mean" in facts and "std" in facts and len(facts["mean"]) == images.shape[1]:
        mean, std = (torch.tensor(facts[key]).view(-1, 1, 1) for key in ("mean", "std"))
        images = images * std + mean
    else:  # made by somebody else: stretch each to the whole range
        low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
        images = (images - low) / (high - low).clamp(min=1e-9)
    if images.shape[1] not in (1, 3):
        images = images[:, :1]
    return shrunk(images.nan_to_num().clamp(0, 1) * 255).round().byte()


def shrunk(images: Tensor, mode: str = "area") -> Tensor:
    """Float images (batch, channels, height, width) whose longer side is at most `MOST_SIDE`."""
    height, width = images.shape[2:]
    longest = max(height, width)
    if longest <= MOST_SIDE:
        return images
    size = [max(1, round(side * MOST_SIDE / longest)) for side in (height, width)]
    return F.interpolate(images, size=size, mode=mode)


def painted(pixels: Tensor, mask: Tensor) -> Tensor:
    """Classes as colours over pictures.

    Args:
        pixels: uint8 (batch, 1 or 3, height, width), from `as_pixels`.
        mask: int64 (batch, height', width') of class indices, of the pictures' full size; below 0: not judged.

    Returns:
        uint8 (batch, 3, height, width): class 0 shows the picture, dimmed.
    """
    size = list(pixels.shape[2:])
    small = F.interpolate(mask.detach().cpu()[:, None].float(), size=size, mode="nearest")[:, 0].long()
    colours = torch.tensor([colour_of(code) for code in range(max(1, int(small.max()) + 1))])
    flat = colours[small.clamp(min=0)].permute(0, 3, 1, 2).float()
    share = torch.where(small > 0, 0.75, 0.0)[:, None]
    return (pixels.float() * 0.6 * (1 - share) + flat * share).round().byte()


def colour_of(code: int) -> tuple[int, int, int]:
    """Red, green and blue of a class."""
    if code == 0:
        return (0, 0, 0)
    if code <= len(COLOURS):
        return COLOURS[code - 1]
    red, green, blue = colorsys.hsv_to_rgb(code * 0.618 % 1, 0.6, 0.9)  # golden ratio: neighbours differ
    return round(red * 255), round(green * 255), round(blue * 255)


def with_pixels(
    rows: list[dict[str, Any]], spec: DataSpec, inputs: Tensor, most: int
) -> list[dict[str, Any]]:
    """Samples of image data that have no picture of their own yet get that of their input, the first ``most``."""
    if spec.input != "image" or any("pixels" in row or "pictures" in row for row in rows):
        return rows
    pixels = as_pixels(spec, inputs[:most])
    return [row | {"pixels": pixels[at].tolist()} if at < len(pixels) else row for at, row in enumerate(rows)]
