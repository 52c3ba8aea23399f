"""The example that a network is traced with, and which of its sizes may change."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dlcore.deploy.exporting import Options, Subject
from dlcore.training.around import Unnamed


def example(subject: Subject, options: Options) -> tuple[Tensor, ...]:
    """One sample; two where the batch may be of any size, since a size of 1 would be taken for a constant."""
    return tuple(tensor[: 2 if options.dynamic else 1].clone() for tensor in subject.inputs)


def sizes(subject: Subject) -> tuple[dict[int, Any], ...]:
    """The batch's size of every argument, under one name."""
    batch = torch.export.Dim("batch", min=1, max=65536)
    return tuple({0: batch} for _ in subject.inputs)


def traceable(subject: Subject) -> nn.Module:
    """The network, with a plain tuple in place of a named one that it answers with."""
    with torch.no_grad():
        outputs = subject.network(*subject.inputs)
    named = hasattr(outputs, "_fields") and len(subject.inputs) == 1
    return Unnamed(subject.network).eval() if named else subject.network
