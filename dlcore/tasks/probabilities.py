"""From a classifier's logits to probabilities."""

from __future__ import annotations

import torch
from torch import Tensor


def class_probabilities(logits: Tensor) -> Tensor:
    """Probabilities, (batch, classes), of logits (batch, classes), or (batch, 1) for yes or no."""
    if logits.shape[1] == 1:
        yes = logits.float().sigmoid()
        return torch.cat([1 - yes, yes], dim=1)
    return logits.float().softmax(dim=1)
