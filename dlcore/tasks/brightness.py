"""What tasks that draw images share: brightness of normalised images, pictures for eyes, noise that never changes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.tasks.pictures import shrunk


class Brightness:
    """Model inputs to a brightness between 0 and 1; the constants follow the tensors' device.

    Raises:
        UserError: the data are no images.
    """

    def __init__(self, spec: DataSpec) -> None:
        if spec.input != "image":
            raise UserError(f"this task draws images, but the data's inputs are of kind '{spec.input}'")
        channels = spec.input_shape[0]
        self._mean = torch.tensor(spec.preprocessing.get("mean", [0.0] * channels)).view(-1, 1, 1)
        self._std = torch.tensor(spec.preprocessing.get("std", [1.0] * channels)).view(-1, 1, 1)

    def of(self, inputs: Tensor) -> Tensor:
        """(batch, channels, height, width) of model inputs as brightness."""
        if self._mean.device != inputs.device:
            self._mean, self._std = self._mean.to(inputs.device), self._std.to(inputs.device)
        return (inputs * self._std + self._mean).clamp(0, 1)


def picture(name: str, brightness: Tensor) -> dict[str, Any]:
    """One image, (channels, height, width) in 0..1, as plain data: small, channels of rows in 0..255."""
    levels = shrunk(brightness.detach().float().clamp(0, 1)[None])[0] * 255
    return {"name": name, "pixels": levels.round().byte().tolist()}


def fixed_noise(*shape: int, device: torch.device) -> Tensor:
    """Standard normal numbers that are the same at every call, so that what is made of them can be compared."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
