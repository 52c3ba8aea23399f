"""What flows through a network at one moment: statistics of activations, gradients and weights, layer by layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dlcore.data.spec import Batch
from dlcore.training.evaluation import evaluation_mode
from dlcore.training.task import Task


def statistics(tensor: Tensor) -> dict[str, float | int | list[int]]:
    """Mean, deviation, extremes, share of zeros and count of non-finite values.

    Mean to extremes are of the finite values only; all 0 where there is none.
    """
    values = tensor.detach().float().flatten()
    finite = values[values.isfinite()]
    if finite.numel() == 0:
        return {"mean": 0.0, "std": 0.0, "min": 0.0, "max": 0.0, "zeros": 0.0, "nonfinite": values.numel()}
    return {
        "mean": float(finite.mean()),
        "std": float(finite.std(correction=0)),
        "min": float(finite.min()),
        "max": float(finite.max()),
        "zeros": float((finite == 0).float().mean()),
        "nonfinite": values.numel() - finite.numel(),
    }


def inspect_layers(task: Task, batch: Batch) -> list[dict[str, Any]]:
    """Statistics of every layer that made an output, in the order of the forward pass.

    One forward and backward pass in evaluation mode, so that dropout, batch norm's averages, the random
    generators and the gradients of the training are left as they are.

    Returns:
        One dict a layer call: ``path``, ``type``, ``shape``, ``activation``, ``gradient`` (of the activation, null
        where none reached it) and per parameter ``{weight, gradient}`` with ``norm`` added.
    """
    model = task.model
    calls: list[tuple[str, nn.Module, Tensor]] = []
    handles = [
        module.register_forward_hook(_collect(calls, name or type(module).__name__))
        for name, module in model.named_modules()
        if not any(module.children())
    ]
    devices = [batch.inputs.device] if batch.inputs.is_cuda else []
    try:
        with evaluation_mode(model), torch.random.fork_rng(devices=devices), torch.enable_grad():
            loss, _ = task.loss(batch, task.phases[0].name)
            wanted = [output for _, _, output in calls if output.requires_grad]
            named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
            gradients = torch.autograd.grad(loss, wanted + [p for _, p in named], allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    of_output = {id(o): g for o, g in zip(wanted, gradients[: len(wanted)], strict=True)}
    of_parameter: dict[str, Tensor | None] = {
        n: g for (n, _), g in zip(named, gradients[len(wanted) :], strict=True)
    }
    return [
        _row(path, module, output, of_output.get(id(output)), of_parameter) for path, module, output in calls
    ]


def _collect(calls: list[tuple[str, nn.Module, Tensor]], path: str) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if isinstance(first, Tensor):
            calls.append((path, module, first))

    return hook


def _row(
    path: str,
    module: nn.Module,
    output: Tensor,
    gradient: Tensor | None,
    of_parameter: dict[str, Tensor | None],
) -> dict[str, Any]:
    weights = {}
    for name, parameter in module.named_parameters(recurse=False):
        own = of_parameter.get(f"{path}.{name}")
        weights[name] = {
            "weight": statistics(parameter) | {"norm": float(parameter.detach().norm())},
            "gradient": None if own is None else statistics(own) | {"norm": float(own.norm())},
        }
    return {
        "path": path,
        "type": type(module).__name__,
        "shape": list(output.shape),
        "activation": statistics(output),
        "gradient": None if gradient is None else statistics(gradient),
        "parameters": weights,
    }
