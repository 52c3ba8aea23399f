"""From a classifier's logits to classes and probabilities."""

from __future__ import annotations

import torch
from torch import Tensor


def class_probabilities(logits: Tensor) -> Tensor:
    """Probabilities, (batch, classes), of logits (batch, classes), or (batch, 1) for yes or no."""
    if logits.shape[1] == 1:
        yes = logits.float().sigmoid()
        return torch.cat([1 - yes, yes], dim=1)
    return logits.float().softmax(dim=1)


def predicted_classes(logits: Tensor) -> Tensor:
    """The likeliest class, int64 (batch,), of logits (batch, classes), or (batch, 1) for yes or no."""
    return (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(1)
