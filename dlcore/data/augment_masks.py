"""Random changes of images and their masks alike: what moves a pixel moves its class along.

Images are read between their pixels, masks at the nearest: half of class 2 and half of class 4 are no class 3.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from dlcore.data.augment import Move, ResizedCrop, augmentation

MaskAugmentName = Literal["none", "shift", "flip", "resized-crop", "turn", "elastic"]


class Turn:
    """One of the eight ways to lay a square picture down: mirrored or not, turned by quarters.

    Pictures that are not square are mirrored and turned by halves only.
    """

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The way, 0..7, (count,)."""
        return {"turn": torch.randint(0, 8, (count,), generator=generator)}

    def apply(self, inputs: Tensor, params: dict[str, Tensor]) -> Tensor:
        """Turned ``inputs`` (batch, channels, height, width)."""
        way = params["turn"][:, None, None, None]
        inputs = torch.where((way & 1).bool(), inputs.flip(3), inputs)
        inputs = torch.where((way & 2).bool(), inputs.flip(2), inputs)
        if inputs.shape[2] != inputs.shape[3]:
            return inputs
        return torch.where((way & 4).bool(), inputs.transpose(2, 3), inputs)


class Elastic:
    """Pull the picture about as if it were on rubber, and turn it (Simard et al. 2003; U-Net's augmentation).

    Args:
        points: handles along each side that are pulled.
        strength: how far, as a share of the picture's side (standard deviation).
    """

    def __init__(self, points: int = 5, strength: float = 0.03) -> None:
        self.points, self.strength = points, strength
        self.turn = Turn()

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Shift of each handle in both directions, (count, 2, points, points), and the turn."""
        pull = torch.randn(count, 2, self.points, self.points, generator=generator)
        return {"pull": pull * 2 * self.strength, **self.turn.draw(count, generator)}

    def apply(self, inputs: Tensor, params: dict[str, Tensor], mode: str = "bilinear") -> Tensor:
        """Pulled and turned ``inputs`` (batch, channels, height, width)."""
        batch, _, height, width = inputs.shape
        pull = interpolate(
            params["pull"].to(inputs.dtype), (height, width), mode="bicubic", align_corners=True
        )
        rows = (torch.arange(height, device=inputs.device, dtype=inputs.dtype) * 2 + 1) / height - 1
        columns = (torch.arange(width, device=inputs.device, dtype=inputs.dtype) * 2 + 1) / width - 1
        places = torch.stack([columns.expand(height, width), rows[:, None].expand(height, width)], dim=-1)
        grid = places.expand(batch, -1, -1, -1) + pull.movedim(1, -1)  # (batch, height, width, 2)
        pulled = grid_sample(inputs, grid, mode=mode, padding_mode="reflection", align_corners=False)
        return self.turn.apply(pulled, params)


class WithMasks:
    """Does to masks what it does to their images."""

    def __init__(self, change: Move | ResizedCrop | Turn | Elastic) -> None:
        self.change = change

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """As the change draws."""
        return self.change.draw(count, generator)

    def apply(self, inputs: Tensor, params: dict[str, Tensor]) -> Tensor:
        """Changed images (batch, channels, height, width)."""
        return self.change.apply(inputs, params)

    def apply_targets(self, targets: Tensor, params: dict[str, Tensor]) -> Tensor:
        """Masks (batch, height, width) changed in the same way."""
        planes = targets[:, None]
        if isinstance(self.change, ResizedCrop | Elastic):
            return self.change.apply(planes.float(), params, mode="nearest")[:, 0].to(targets.dtype)
        return self.change.apply(planes, params)[:, 0]


def mask_augmentation(name: MaskAugmentName, image_size: int) -> WithMasks | None:
    """The augmentation of a name for images with masks."""
    match name:
        case "turn":
            return WithMasks(Turn())
        case "elastic":
            return WithMasks(Elastic())
        case _:
            change = augmentation(name, image_size)
            return None if change is None else WithMasks(change)
