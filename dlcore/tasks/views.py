"""Test-time augmentation: a network is asked about several views of a picture, and its answers are averaged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.training.around import Around

Views = Literal["none", "flip", "flip-shift"]


def over_views(network: Callable[[Tensor], Tensor], images: Tensor, views: Views) -> Tensor:
    """Mean logits, (batch, outputs), of (batch, channels, height, width).

    Args:
        views: ``flip``: the picture and its mirror image. ``flip-shift``: these count one half; both shifted by a pixel
            to the upper left and to the lower right, with the border mirrored, count the other half (Jordan 2024,
            arXiv:2404.00498): six passes.
    """
    if views == "none":
        return network(images)
    plain = _mirrored(network, images)
    if views == "flip":
        return plain
    height, width = images.shape[-2:]
    framed = F.pad(images, (1, 1, 1, 1), mode="reflect")
    shifted = (framed[..., :height, :width], framed[..., 2:, 2:])
    first, second = (_mirrored(network, each) for each in shifted)
    return 0.5 * plain + 0.25 * first + 0.25 * second


def _mirrored(network: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return 0.5 * network(images) + 0.5 * network(images.flip(-1))


class OverViews(Around):
    """A network that answers with the mean over several views; a file of weights alone does without them."""

    def __init__(self, core: nn.Module, views: Views) -> None:
        super().__init__(core)
        self.views: Views = views

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, outputs)."""
        return over_views(self.core, images, self.views)
