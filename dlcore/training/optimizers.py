"""The optimizers, built from a phase's modules.

Weight decay pulls on matrices and filters only: biases and normalisation scales are one-dimensional,
and shrinking them regularises nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from dlcore.errors import UserError
from dlcore.fields import Count, Fraction, NonNegative, Number, Positive
from dlcore.problems import nearest, show
from dlcore.registry import OPTIMIZERS
from dlcore.training import quick_steps
from dlcore.training.muon import QUINTIC, Muon, adam_group, muon_group, settling, sgd_group

Optimizer = torch.optim.Optimizer


def _parameters(modules: Sequence[nn.Module]) -> Iterator[nn.Parameter]:
    seen: set[int] = set()
    for module in modules:
        for parameter in module.parameters():
            if id(parameter) not in seen:  # frozen ones too: a task may free them later
                seen.add(id(parameter))
                yield parameter


def _groups(modules: Sequence[nn.Module], weight_decay: float) -> list[dict[str, Any]]:
    """Two groups, with and without weight decay; an empty one is left out."""
    parameters = list(_parameters(modules))
    decayed = [parameter for parameter in parameters if parameter.ndim >= 2]
    exempt = [parameter for parameter in parameters if parameter.ndim < 2]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": exempt, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _fused(modules: Sequence[nn.Module]) -> bool:
    """One kernel for all tensors instead of several a tensor; offered for floating point on CPU and CUDA.

    Adam's and AdamW's also take weights of which every process holds a part (FSDP2), SGD's does not.
    """
    return all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in _parameters(modules))


@OPTIMIZERS.register()
def sgd(
    modules: Sequence[nn.Module],
    *,
    lr: Positive = 0.1,
    momentum: Fraction = 0.0,
    nesterov: bool = False,
    weight_decay: NonNegative = 0.0,
) -> Optimizer:
    """Stochastic gradient descent, with momentum and Nesterov's look-ahead if wanted.

    Args:
        lr: learning rate.
        momentum: share of the last step that carries on; 0.9 is usual.
        nesterov: take the gradient where momentum leads (Sutskever et al. 2013); needs momentum.
        weight_decay: L2 penalty added to the gradient of matrices and filters.
    """
    return quick_steps.SGD(
        _groups(modules, weight_decay),
        lr=lr,
        momentum=momentum,
        nesterov=nesterov and momentum > 0,
        fused=_fused(modules) and not any(hasattr(p, "placements") for p in _parameters(modules)),
    )


@OPTIMIZERS.register()
def rmsprop(
    modules: Sequence[nn.Module],
    *,
    lr: Positive = 1e-3,
    alpha: Fraction = 0.99,
    momentum: Fraction = 0.0,
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
) -> Optimizer:
    """RMSprop: steps divided by a running root mean square of the gradient (Tieleman and Hinton 2012).

    Args:
        lr: learning rate.
        alpha: how long squared gradients are remembered.
        momentum: share of the last step that carries on.
        eps: keeps the division finite.
        weight_decay: L2 penalty added to the gradient of matrices and filters.
    """
    return torch.optim.RMSprop(_groups(modules, weight_decay), lr=lr, alpha=alpha, momentum=momentum, eps=eps)


@OPTIMIZERS.register()
def adam(
    modules: Sequence[nn.Module],
    *,
    lr: Positive = 1e-3,
    betas: tuple[Fraction, Fraction] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
) -> Optimizer:
    """Adam: momentum and a step size of its own for every weight (Kingma and Ba 2015).

    Args:
        lr: learning rate.
        betas: how long gradients and squared gradients are remembered.
        eps: keeps the division finite.
        weight_decay: L2 penalty added to the gradient; `adamw` decays the weights themselves.
    """
    groups = _groups(modules, weight_decay)
    return quick_steps.Adam(groups, lr=lr, betas=betas, eps=eps, fused=_fused(modules))


@OPTIMIZERS.register()
def adamw(
    modules: Sequence[nn.Module],
    *,
    lr: Positive = 1e-3,
    betas: tuple[Fraction, Fraction] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.01,
) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): the sensible first choice.

    Args:
        lr: learning rate.
        betas: how long gradients and squared gradients are remembered.
        eps: keeps the division finite.
        weight_decay: share of a matrix or filter, times lr, that each step removes.
    """
    groups = _groups(modules, weight_decay)
    return quick_steps.AdamW(groups, lr=lr, betas=betas, eps=eps, fused=_fused(modules))


@OPTIMIZERS.register()
def muon(
    modules: Sequence[nn.Module],
    *,
    lr: Positive = 0.02,
    momentum: Fraction = 0.95,
    iterations: Count = 5,
    coefficients: tuple[Number, Number, Number] = QUINTIC,
    weight_decay: NonNegative = 0.0,
    fixed_norm: bool = False,
    rest: Literal["adam", "sgd"] = "adam",
    adam_lr: Positive = 1e-3,
    adam_betas: tuple[Fraction, Fraction] = (0.9, 0.95),
    sgd_lr: Positive = 0.1,
    sgd_head_lr: NonNegative = 0.0,
    sgd_momentum: Fraction = 0.9,
    sgd_decay: Fraction = 0.0,
    settle: dict[str, Count] | None = None,
) -> Optimizer:
    """Muon on hidden matrices and filters, Adam or SGD on embeddings, biases and the head (Jordan et al. 2024).

    Args:
        lr: learning rate of the orthogonalised steps.
        momentum: Nesterov momentum before orthogonalising.
        iterations: Newton-Schulz iterations.
        coefficients: of the iteration's polynomial a x + b x³ + c x⁵.
        weight_decay: decoupled decay of the matrices.
        fixed_norm: bring every matrix to the norm of an orthogonal one before each step, in place of decay.
        rest: rule for everything that is not a hidden matrix; the two sets of options below are one for each.
        adam_lr: learning rate of the rest.
        adam_betas: Adam's memories.
        sgd_lr: learning rate of the rest.
        sgd_head_lr: of the output layer; 0 for the same.
        sgd_momentum: Nesterov momentum of the rest.
        sgd_decay: L2 penalty of the rest, as the share of it that each step at the full rate feeds to the momentum.
        settle: layers that learn for so many steps only, such as { "whiten.bias" = 75 }: whatever the schedule, their
            rate falls in a straight line to 0 over these; from the next epoch on they are frozen.
    """
    apart = {
        id(p)
        for m in modules
        for layer in m.modules()
        if isinstance(layer, nn.Embedding)
        for p in layer.parameters()
    }
    # The output layer is the last matrix a module declares: its rows are classes, not directions.
    heads = {id(found[-1]) for m in modules if (found := [p for p in m.parameters() if p.ndim >= 2])}
    parameters = list(_parameters(modules))
    hidden = [p for p in parameters if p.ndim >= 2 and id(p) not in apart | heads]
    others = [p for p in parameters if p.ndim < 2 or id(p) in apart | heads]
    groups = [
        muon_group(
            hidden, lr=lr, momentum=momentum, iterations=iterations, coefficients=coefficients,
            weight_decay=weight_decay, fixed_norm=fixed_norm,
        )
    ]  # fmt: skip
    if rest == "adam":
        groups.append(adam_group(others, lr=adam_lr, betas=adam_betas))
    else:
        for members, rate in (
            ([p for p in others if id(p) not in heads], sgd_lr),
            ([p for p in others if id(p) in heads], sgd_head_lr or sgd_lr),
        ):
            groups.append(sgd_group(members, lr=rate, momentum=sgd_momentum, weight_decay=sgd_decay / rate))
    return Muon(settling(groups, _named(modules, settle or {})))


def _named(modules: Sequence[nn.Module], values: Mapping[str, int]) -> dict[nn.Parameter, int]:
    """The value of each parameter that has one, by the paths of layers or its own; the longest name decides.

    Raises:
        UserError: a name that there is nothing of.
    """
    known = {name: p for m in modules for name, p in m.named_parameters(remove_duplicate=False)}
    found: dict[nn.Parameter, int] = {}
    for layer in sorted(values, key=len):
        members = [p for name, p in known.items() if name == layer or name.startswith(f"{layer}.")]
        if not members:
            close = nearest(layer, known)
            hint = f"; did you mean '{close}'?" if close else ""
            raise UserError(f"optimizer.settle: this model has no layer {show(layer)}{hint}")
        found |= dict.fromkeys(members, values[layer])
    return found
