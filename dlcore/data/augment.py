"""Random changes of whole batches of prepared images, drawn once an epoch for every sample.

What a sample undergoes is a row of what was drawn, so it does not depend on the batch it falls into. Pixels
are moved by one gather a batch, whatever was drawn: no per-sample Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

AugmentName = Literal["none", "shift", "flip", "flip-crop", "alternating-flip-crop", "resized-crop"]


class Move:
    """Shift by whole pixels in both directions, and mirror left to right half of the time.

    Args:
        pixels: the largest shift; 0 for none.
        flip: mirror.
        edge: what comes in from outside: the border pixel again (``repeat``), or the picture mirrored there.
    """

    def __init__(self, pixels: int, *, flip: bool, edge: Literal["repeat", "mirror"]) -> None:
        self.pixels, self.flip, self.edge = pixels, flip, edge

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Row and column shift (count, 2) and flip (count,)."""
        reach = self.pixels
        shift = torch.randint(-reach, reach + 1, (count, 2), generator=generator)
        flip = torch.randint(0, 2, (count,), generator=generator, dtype=torch.bool)
        return {"shift": shift, "flip": flip if self.flip else torch.zeros_like(flip)}

    def apply(self, inputs: Tensor, params: dict[str, Tensor]) -> Tensor:
        """Moved ``inputs`` (batch, channels, height, width)."""
        batch, channels, height, width = inputs.shape
        rows = self._source(height, params["shift"][:, 0])  # (batch, height)
        columns = self._source(width, params["shift"][:, 1])
        columns = torch.where(params["flip"][:, None], columns.flip(1), columns)
        place = (rows[:, :, None] * width + columns[:, None, :]).view(batch, 1, -1)
        flat = inputs.reshape(batch, channels, height * width)
        return flat.gather(2, place.expand(-1, channels, -1)).view_as(inputs)

    def _source(self, size: int, shift: Tensor) -> Tensor:
        """Where each of ``size`` pixels comes from, (batch, size)."""
        source = torch.arange(size, device=shift.device) + shift[:, None]
        if self.edge == "mirror" and size > 1:
            period = 2 * (size - 1)
            source = source.remainder(period)
            return torch.minimum(source, period - source)
        return source.clamp_(0, size - 1)


class AlternatingMove(Move):
    """Shift anew each epoch; mirror half of the pictures in even epochs and the other half in odd ones.

    So two epochs in a row show every picture from both sides (Jordan 2024, arXiv:2404.00498), where chance would show
    half of the pictures from the same side again.
    """

    def __init__(self, pixels: int, *, edge: Literal["repeat", "mirror"]) -> None:
        super().__init__(pixels, flip=True, edge=edge)

    def draw_in(
        self, epoch: int, count: int, generator_of: Callable[[int], torch.Generator]
    ) -> dict[str, Tensor]:
        """Shifts of this epoch, and flips of the first one, turned round in odd epochs."""
        first = self.draw(count, generator_of(0))["flip"]
        return {**self.draw(count, generator_of(epoch)), "flip": first ^ bool(epoch % 2)}


class ResizedCrop:
    """A random part of the picture, enlarged to its full size (bilinear), and mirrored half of the time.

    Args:
        area: the smallest and largest share of the picture's area that is kept.
        stretch: the largest ratio of the part's width to its height, or height to width.
    """

    def __init__(self, area: tuple[float, float] = (0.35, 1.0), stretch: float = 4 / 3) -> None:
        self.area, self.stretch = area, stretch

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Affine maps (count, 2, 3) from output to input positions in -1..1."""
        numbers = torch.rand(count, 5, generator=generator)
        low, high = self.area
        area = low + (high - low) * numbers[:, 0]
        ratio = self.stretch ** (numbers[:, 1] * 2 - 1)
        size = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], 1).clamp_(
            max=1.0
        )  # of width, height
        centre = (numbers[:, 2:4] * 2 - 1) * (1 - size)
        maps = torch.zeros(count, 2, 3)
        maps[:, 0, 0] = size[:, 0] * torch.where(numbers[:, 4] < 0.5, -1.0, 1.0)
        maps[:, 1, 1] = size[:, 1]
        maps[:, :, 2] = centre
        return {"map": maps}

    def apply(self, inputs: Tensor, params: dict[str, Tensor], mode: str = "bilinear") -> Tensor:
        """Parts of ``inputs`` (batch, channels, height, width), each as large as the whole."""
        grid = affine_grid(params["map"].to(inputs.dtype), list(inputs.shape), align_corners=False)
        return grid_sample(inputs, grid, mode=mode, padding_mode="border", align_corners=False)


def augmentation(name: AugmentName, image_size: int) -> Move | ResizedCrop | None:
    """The augmentation of a name; shifts are 1/8 of the image for crops, 1/16 if the flip alternates, 1/14 plain."""
    match name:
        case "none":
            return None
        case "shift":
            return Move(max(1, image_size // 14), flip=False, edge="repeat")
        case "flip":
            return Move(0, flip=True, edge="repeat")
        case "flip-crop":
            return Move(max(1, image_size // 8), flip=True, edge="mirror")
        case "alternating-flip-crop":
            return AlternatingMove(max(1, image_size // 16), edge="mirror")
        case "resized-crop":
            return ResizedCrop()
