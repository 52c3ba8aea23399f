"""A few samples of a part as one batch, without an epoch, a loader or a random number."""

from __future__ import annotations

import torch

from dlcore.data.spec import Batch, Part, TensorPart


def pick(part: Part, indices: list[int], device: torch.device | str) -> Batch:
    """The samples at these positions, prepared as a model sees them and never augmented."""
    index = torch.tensor(indices, dtype=torch.int64)
    if isinstance(part, TensorPart):
        where = index.to(part.inputs.device)
        inputs, targets = part.inputs[where], part.targets[where]
    else:
        pairs = [part.dataset[(0, position)] for position in indices]
        inputs, targets = (torch.stack([torch.as_tensor(pair[at]) for pair in pairs]) for at in (0, 1))
    inputs, targets = inputs.to(device), targets.to(device)
    return Batch(part.prepare(inputs) if part.prepare is not None else inputs, targets, index)


def spread(length: int, count: int) -> list[int]:
    """At most ``count`` positions evenly over ``length``: classes that lie in order are all met."""
    count = min(count, length)
    return [at * length // count for at in range(count)]
