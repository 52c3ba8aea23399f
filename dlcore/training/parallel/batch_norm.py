"""Batch norm over the batch of all processes: means and variances of a part would make another network of it.

torch.nn.SyncBatchNorm does the same on GPUs only.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dlcore.training.parallel.group import Group


def share_batch_norm(model: nn.Module, group: Group) -> int:
    """Make every batch norm of a model look at all processes' samples while they train; how many there are."""
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for layer in layers:
        layer.forward = partial(_shared, layer, layer.forward, group)  # type: ignore[method-assign]
    return len(layers)


def _shared(layer: _BatchNorm, alone: Any, group: Group, inputs: Tensor) -> Tensor:
    if not (layer.training and group.learning):
        return alone(inputs)
    axes = [0, *range(2, inputs.dim())]
    shape = [1, -1] + [1] * (inputs.dim() - 2)
    values = inputs.float()
    # A stand-in's numbers must not count.
    weight = float(group.counts)
    numbers = weight * values.numel() / values.shape[1]
    sums = torch.cat([values.sum(axes) * weight, values.new_tensor([numbers])])
    total = _Sum.apply(sums)
    count = total[-1].detach()
    mean = total[:-1] / count
    centred = values - mean.view(shape)
    variance = _Sum.apply(centred.square().sum(axes) * weight) / count
    output = centred * (variance + layer.eps).rsqrt().view(shape)
    if layer.affine:
        output = output * layer.weight.view(shape) + layer.bias.view(shape)
    _remember(layer, mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
    return output.to(inputs.dtype)


@torch.no_grad()
def _remember(layer: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Running averages, as `torch.nn.functional.batch_norm` moves them."""
    if not layer.track_running_stats or layer.running_mean is None or layer.running_var is None:
        return
    assert layer.num_batches_tracked is not None
    layer.num_batches_tracked.add_(1)
    factor = layer.momentum if layer.momentum is not None else 1.0 / float(layer.num_batches_tracked)
    layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), factor)
    layer.running_var.lerp_(variance.to(layer.running_var.dtype), factor)


class _Sum(torch.autograd.Function):
    """Sum over processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total
