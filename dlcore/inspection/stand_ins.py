"""What stands in for a model's weights and for its inputs while a pass is traced, on meta tensors or real ones.

Invariant: the model's own parameters and buffers keep their numbers, whatever the pass does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from dlcore.inspection.facts import Bounds


def stand_ins(model: nn.Module, *, meta: bool) -> dict[str, Tensor]:
    """What a pass uses for parameters and buffers, by name: meta ones, or the real ones with copied buffers.

    Names that share one tensor keep sharing one, so that tied weights count once.
    """
    made: dict[int, Tensor] = {}
    named: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if meta and id(parameter) not in made:
            made[id(parameter)] = nn.Parameter(to_meta(parameter), requires_grad=parameter.requires_grad)
        named[name] = made.get(id(parameter), parameter)
    for name, buffer in model.named_buffers(remove_duplicate=False):
        if id(buffer) not in made:
            made[id(buffer)] = to_meta(buffer) if meta else buffer.clone()
        named[name] = made[id(buffer)]
    return named


def to_meta(tensor: Tensor) -> Tensor:
    """The same shape and type without numbers."""
    return torch.empty_like(tensor, device="meta", requires_grad=False)


def to_real(tensor: Tensor, device: torch.device, bounds: Bounds | None) -> Tensor:
    """Random numbers in the place of a meta tensor; for ids the largest allowed one, for lengths 1."""
    if not tensor.is_meta:
        return tensor.to(device)
    if tensor.is_floating_point():
        return torch.randn(tensor.shape, dtype=tensor.dtype, device=device)
    number = bounds[1] if bounds else int(tensor.dim() == 1)
    return torch.full(tensor.shape, number, dtype=tensor.dtype, device=device)


def device_of(model: nn.Module) -> torch.device:
    """Where the model's first weight is; the CPU if it has none."""
    return next((tensor.device for tensor in model.parameters()), torch.device("cpu"))


def has_lazy(model: nn.Module) -> bool:
    """Whether a size of the model is settled by its first batch only."""
    return any(is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers()))


def has_meta(model: nn.Module) -> bool:
    """Whether some of the model's weights have no numbers."""
    return any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
