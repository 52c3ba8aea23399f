"""What of a network can be looked at as a picture: first filters, attention maps, samples as points of a plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.inspection.listening import Listener

if TYPE_CHECKING:
    from dlcore.inspection.looking import Look
    from dlcore.training.task import Task

MOST_FILTERS = 64
MOST_MAPS = 12
"""Attention layers whose maps are kept, evenly over the depth."""

LONGEST = 64
"""Positions of an attention map; of longer sequences the first ones."""


def of_pass(look: Look, task: Task, batch: Batch, listener: Listener, keep: Tensor) -> dict[str, Any]:
    """The views of one heard pass; what a network does not have is left out."""
    found: dict[str, Any] = {}
    filters = first_filters(task.model, task.spec)
    if filters is not None:
        found["filters"] = {"layer": filters[0], "array": look.keep("filters", filters[1])}
    maps = attention_maps(task.model, listener, keep)
    if maps:
        found["attention"] = [
            {"layer": path, "array": look.keep(f"attention.{number}", array)}
            for number, (path, array) in enumerate(maps.items())
        ]
    if listener.embedded is not None and listener.embedded.shape[1] > 1 and len(listener.embedded) > 2:
        points, share = on_a_plane(listener.embedded.float())
        found["embedding"] = {"array": look.keep("embedding", points), "share": share}
        if task.spec.target in ("class", "binary") and batch.targets.dim() == 1:
            found["embedding"]["classes"] = batch.targets.tolist()
    return found


def first_filters(model: nn.Module, spec: DataSpec) -> tuple[str, NDArray[np.float32]] | None:
    """What the first layer looks for: its weights as pictures, (filters, channels, height, width).

    The kernels of a first convolution, or the rows of a linear layer that reads whole images.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            return name, _host(module.weight[:MOST_FILTERS])
        if isinstance(module, nn.Linear):
            if spec.input == "image" and module.in_features == int(np.prod(spec.input_shape)):
                rows = module.weight[:MOST_FILTERS]
                return name or "linear", _host(rows.reshape(len(rows), *spec.input_shape))
            return None
    return None


def attention_maps(model: nn.Module, listener: Listener, keep: Tensor) -> dict[str, NDArray[np.float32]]:
    """Who looks at whom, (samples, heads, queries, keys), of attention layers by path.

    Made anew from what went into each layer: fused attention never has the map in memory.
    """
    paths = list(listener.inputs)
    chosen = [
        paths[at * len(paths) // min(MOST_MAPS, len(paths))] for at in range(min(MOST_MAPS, len(paths)))
    ]
    modules = {name or type(module).__name__: module for name, module in listener.model.named_modules()}
    found = {}
    with torch.no_grad():
        for path in chosen:
            args, kwargs = listener.inputs[path]
            weights = _map_of(modules[path], args, kwargs)
            if weights is not None and weights.dim() == 4 and weights.shape[0] > int(keep.max()):
                found[path] = _host(weights.index_select(0, keep)[:, :, :LONGEST, :LONGEST])
    return found


def _map_of(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Tensor | None:
    """(batch, heads, queries, keys); None for attention that answers with something else."""
    if isinstance(module, nn.MultiheadAttention):
        wanted = {"need_weights": True, "average_attn_weights": False}
        weights: Tensor | None = nn.MultiheadAttention.forward(module, *args[:3], **{**kwargs, **wanted})[1]
        return weights
    answer = module.weights(*args, **kwargs)  # type: ignore[operator]
    return answer if isinstance(answer, Tensor) else None


def on_a_plane(points: Tensor) -> tuple[NDArray[np.float32], float]:
    """Principal components: the two directions in which the points (count, features) differ most.

    Returns:
        (count, 2), and the share of the variance that the plane shows. The larger half of each axis is
        positive, so that pictures of two steps can be compared.
    """
    centred = points - points.mean(0)
    if not bool(centred.isfinite().all()):
        return np.zeros((len(points), 2), np.float32), 0.0
    left, sizes, _ = torch.linalg.svd(centred.cpu(), full_matrices=False)
    plane = left[:, :2] * sizes[:2]
    plane = F.pad(plane, (0, 2 - plane.shape[1]))
    plane = plane * torch.where(plane.pow(3).sum(0) < 0, -1.0, 1.0)
    total = float(sizes.square().sum())
    return plane.numpy(), float(sizes[:2].square().sum()) / total if total > 0 else 0.0


def _host(tensor: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.detach().float().cpu().numpy())
