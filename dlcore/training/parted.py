"""Tensors of which every process may hold a part, as FSDP2 leaves them: made whole, and cut again.

torch's module for them takes half a second to import: who has no such tensor does not pay for it.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor


def whole(tensor: Tensor) -> Tensor:
    """A tensor of which every process may hold a part, whole; all of them must ask."""
    parted: Any = tensor
    return parted.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def parted_like(tensor: Tensor, model: Tensor) -> Tensor:
    """The part of a whole tensor that belongs into this process, as another tensor is parted."""
    if not hasattr(model, "placements") or hasattr(tensor, "placements") or tensor.shape != model.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    parted: Any = model
    return distribute_tensor(tensor.to(model.device), parted.device_mesh, parted.placements)
