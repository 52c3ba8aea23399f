"""One batch through the network as it was drawn: loss, output, who gets a gradient, how large the inputs are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.training.task import Task

PASSING = (
    "View",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Select",
    "Transpose",
    "Permute",
    "Clone",
    "Alias",
    "Slice",
    "ToCopy",
)
"""Operations that change no number: the one before them made the output."""

NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm)
MOST_NAMES = 20


def first_batch(task: Task, batch: Batch) -> dict[str, Any]:
    """Figures of one forward and backward pass in training mode.

    Returns:
        ``loss``; ``output``: the operation that made it, its extremes and how far its rows are from summing to
        1; ``unused`` and ``frozen``: names of parameters, with their ``share`` of all.
    """
    parameters = dict(task.model.named_parameters())
    trainable = {
        name: p for name, p in parameters.items() if p.requires_grad
    }  # a loss may freeze the opponent
    unused = set(trainable)
    answer: list[Tensor] = []
    losses: list[float] = []
    handle = task.model.register_forward_hook(lambda *call: answer.append(call[-1]))
    try:
        for phase in task.phases:
            loss, _ = task.loss(batch, phase.name)
            losses.append(float(loss.detach()))
            now = {name: p for name, p in trainable.items() if p.requires_grad}
            if loss.requires_grad and now:
                found = torch.autograd.grad(loss, list(now.values()), allow_unused=True)
                unused -= {name for name, gradient in zip(now, found, strict=True) if gradient is not None}
    finally:
        handle.remove()
    total = sum(p.numel() for p in parameters.values())
    frozen = [name for name in parameters if name not in trainable]
    return {
        "loss": losses[0],
        "output": _output(answer[0]) if answer and isinstance(answer[0], Tensor) else {},
        "parameters": total,
        "unused": _named(sorted(unused), parameters, total),
        "frozen": _named(frozen, parameters, total),
    }


def _named(names: list[str], parameters: dict[str, nn.Parameter], total: int) -> dict[str, Any]:
    count = sum(parameters[name].numel() for name in names)
    return {"names": names[:MOST_NAMES], "count": len(names), "share": count / total if total else 0.0}


def _output(output: Tensor) -> dict[str, Any]:
    values = output.detach().float()
    found: dict[str, Any] = {
        "made_by": made_by(output),
        "shape": list(output.shape),
        "min": float(values.min()),
        "max": float(values.max()),
    }
    if values.dim() > 1 and values.shape[1] > 1:
        found["rows_off_one"] = float((values.sum(1) - 1).abs().max())
    return found


def made_by(output: Tensor) -> str:
    """Name of the operation that made a tensor, such as ``Softmax``; "" without a graph."""
    node = output.grad_fn
    while node is not None:
        name = type(node).__name__.removesuffix("Backward0").removesuffix("Backward1").strip("_")
        if not name.startswith(PASSING) or not node.next_functions or node.next_functions[0][0] is None:
            return name
        node = node.next_functions[0][0]
    return ""


def inputs_of(batch: Batch, spec: DataSpec, model: nn.Module) -> dict[str, Any]:
    """How large the inputs are, as the model sees them, feature by feature where they are vectors.

    Returns:
        ``mean, rms``; ``normalised_first``: the first layer with weights normalises; ``largest`` and ``smallest``
        feature with name and root mean square, features of two values (one-hot, flags) and constant ones left out.
    """
    if not batch.inputs.is_floating_point():
        return {}
    values = batch.inputs.detach().float().cpu()
    found: dict[str, Any] = {
        "mean": float(values.mean()),
        "rms": float(values.square().mean().sqrt()),
        "normalised_first": _normalises_first(model),
        "nonfinite": int((~values.isfinite()).sum()),
    }
    if spec.input in ("vector", "sequence"):
        rows = values.reshape(-1, values.shape[-1])
        sizes = rows.square().mean(0).sqrt()
        judged = [at for at in range(rows.shape[1]) if len(rows[:, at].unique()) > 2]
        if judged:
            large, small = (pick(judged, key=lambda at: float(sizes[at])) for pick in (max, min))
            found["largest"] = {"name": _feature(spec, large), "rms": float(sizes[large])}
            found["smallest"] = {"name": _feature(spec, small), "rms": float(sizes[small])}
    return found


def _feature(spec: DataSpec, at: int) -> str:
    return spec.feature_names[at] if at < len(spec.feature_names) else f"feature {at}"


def _normalises_first(model: nn.Module) -> bool:
    first = next((m for m in model.modules() if next(m.parameters(recurse=False), None) is not None), None)
    return isinstance(first, NORMS)
