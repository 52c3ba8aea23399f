"""How networks that make images answer: a brightness between 0 and 1, in the units of the model's inputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlcore.data.spec import DataSpec


class PixelOutput(nn.Module):
    """Any numbers to pixels as the data has them: a sigmoid for the brightness, then the inputs' normalisation.

    What it answers can thus be put beside an input, or take its place.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        channels = spec.input_shape[0]
        mean, std = (
            torch.tensor(spec.preprocessing.get(key, [neutral] * channels)).view(-1, 1, 1)
            for key, neutral in (("mean", 0.0), ("std", 1.0))
        )
        # Facts of the data, not weights: they are not saved.
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def forward(self, numbers: Tensor) -> Tensor:
        """(batch, channels, height, width) of any numbers -> the same shape, as model inputs."""
        return (numbers.sigmoid() - self.mean) / self.std
