"""Muon: momentum whose matrix is replaced by the nearest orthogonal one before it is applied.

Source: K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). Everything that
is not a hidden matrix goes through Adam's rule, or SGD's, in the same optimizer, so that one object is stepped,
scheduled and saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients that push singular values towards 1 fastest, at the price of landing in about 0.7 to 1.2."""

TOGETHER = {"cpu": 1 << 18, "other": 1 << 24}
"""Numbers of matrices of one shape that are turned in one call, by device: as many as a CPU's cache holds, or keep a
GPU busy; copies of more are dear and no faster."""


Coefficients = tuple[float, float, float]
Rule = Literal["muon", "adam", "sgd"]


def orthogonalise(matrices: Tensor, iterations: int = 5, coefficients: Coefficients = QUINTIC) -> Tensor:
    """Nearest semi-orthogonal matrices by the quintic Newton-Schulz iteration.

    Args:
        matrices: (..., rows, columns), each on its own.
        iterations: five bring the singular values of a well-scaled matrix near 1.

    Returns:
        (..., rows, columns), same dtype; the work is done in bfloat16 on CUDA, where it is cheap and exact enough.
    """
    a, b, c = coefficients
    rows, columns = matrices.shape[-2:]
    x = matrices.reshape(-1, rows, columns)
    x = x / (torch.linalg.vector_norm(x.float(), dim=(1, 2), keepdim=True) + 1e-7)
    x = x.bfloat16() if x.is_cuda else x.float()
    x = x if rows <= columns else x.mT
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x if rows <= columns else x.mT).to(matrices.dtype).reshape(matrices.shape)


class Muon(torch.optim.Optimizer):
    """Every group has its ``rule``; see `muon_group`, `adam_group` and `sgd_group`. Empty ones are left out.

    The rates may be tensors: nothing here asks the device for a number, so a step can be recorded and replayed.
    """

    def __init__(self, groups: Sequence[dict[str, Any]]) -> None:
        super().__init__([group for group in groups if group["params"]], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = {"muon": self._muon, "adam": self._adam, "sgd": self._sgd}[group["rule"]]
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                update(parameters, group, self._rate(parameters, group))
        return loss

    def _rate(self, parameters: list[Tensor], group: dict[str, Any]) -> float | Tensor:
        """The group's rate; where it is to settle, what its own course has come to, which no schedule changes."""
        rate: float | Tensor = group["lr"]
        if not group.get("settle"):  # checkpoints of earlier versions do not say
            return rate
        made = self._kept("made", parameters, scalar=True)  # tensors: a recorded step counts on
        left = (1 - made[0] / group["settle"]).clamp_(min=0)
        torch._foreach_add_(made, 1)
        return left * group.get("initial_lr", rate)

    def _kept(self, name: str, parameters: list[Tensor], *, scalar: bool = False) -> list[Tensor]:
        """What is remembered of each parameter under a name; zeros at first."""
        for parameter in parameters:
            if name not in self.state[parameter]:
                self.state[parameter][name] = (
                    parameter.new_zeros(()) if scalar else torch.zeros_like(parameter)
                )
        return [self.state[parameter][name] for parameter in parameters]

    def _muon(self, parameters: list[Tensor], group: dict[str, Any], rate: float | Tensor) -> None:
        for alike in _alike(parameters):
            gradients, momenta = _gradients(alike), self._kept("momentum", alike)
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])
            matrices = torch.stack([each.flatten(1) for each in ahead])
            directions = orthogonalise(matrices, group["iterations"], group["coefficients"])
            rows, columns = directions.shape[1:]
            if group["fixed_norm"]:
                torch._foreach_mul_(alike, [rows**0.5 / norm for norm in torch._foreach_norm(alike)])
            if group["weight_decay"]:
                torch._foreach_mul_(alike, 1 - rate * group["weight_decay"])
            # A tall matrix gets longer steps, so that the change of its outputs does not depend on its shape.
            steps = directions * (rate * max(1.0, rows / columns) ** 0.5)
            torch._foreach_sub_(alike, [step.view_as(p) for step, p in zip(steps, alike, strict=True)])

    def _adam(self, parameters: list[Tensor], group: dict[str, Any], rate: float | Tensor) -> None:
        beta1, beta2 = group["betas"]
        gradients, steps = _gradients(parameters), self._kept("steps", parameters, scalar=True)
        means, squares = self._kept("exp_avg", parameters), self._kept("exp_avg_sq", parameters)
        torch._foreach_add_(steps, 1)
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_lerp_(squares, torch._foreach_mul(gradients, gradients), 1 - beta2)
        changes, roots = (
            torch._foreach_div(kept, _shares_seen(beta, steps))
            for kept, beta in ((means, beta1), (squares, beta2))
        )
        torch._foreach_sqrt_(roots)
        torch._foreach_add_(roots, 1e-8)
        torch._foreach_div_(changes, roots)
        torch._foreach_mul_(changes, rate)
        torch._foreach_sub_(parameters, changes)

    def _sgd(self, parameters: list[Tensor], group: dict[str, Any], rate: float | Tensor) -> None:
        gradients, velocities = _gradients(parameters), self._kept("momentum", parameters)
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
        torch._foreach_mul_(velocities, group["momentum"])
        torch._foreach_add_(velocities, gradients)
        steps = torch._foreach_add(gradients, velocities, alpha=group["momentum"])
        torch._foreach_sub_(parameters, list(torch._foreach_mul(steps, rate)))


def _shares_seen(beta: float, steps: list[Tensor]) -> list[Tensor]:
    """What share of a full average the gradients of so many steps make up: 1 - beta**steps."""
    shares = list(torch._foreach_pow(beta, steps))
    torch._foreach_neg_(shares)
    torch._foreach_add_(shares, 1)
    return shares


def _gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _alike(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Parameters of one shape, type and place at a time, `TOGETHER` numbers at most."""
    shapes: dict[Any, list[Tensor]] = {}
    for parameter in parameters:
        shapes.setdefault((parameter.shape, parameter.dtype, parameter.device), []).append(parameter)
    for alike in shapes.values():
        most = TOGETHER.get(alike[0].device.type, TOGETHER["other"])
        count = max(1, most // alike[0].numel())
        yield from (alike[at : at + count] for at in range(0, len(alike), count))


def settling(groups: Sequence[dict[str, Any]], settle: Mapping[nn.Parameter, int]) -> list[dict[str, Any]]:
    """The groups, with the parameters that learn for so many steps only in groups of their own, behind the others.

    The rate of these falls in a straight line from its full value to nothing over the steps.
    """
    parted = []
    for group in groups:
        for steps in sorted({settle.get(parameter, 0) for parameter in group["params"]}):
            members = [parameter for parameter in group["params"] if settle.get(parameter, 0) == steps]
            parted.append({**group, "params": members, "settle": steps})
    return parted


def muon_group(
    parameters: Sequence[nn.Parameter],
    *,
    lr: float,
    momentum: float,
    iterations: int = 5,
    coefficients: Coefficients = QUINTIC,
    weight_decay: float = 0.0,
    fixed_norm: bool = False,
) -> dict[str, Any]:
    """Hidden matrices and filters; a filter bank (out, in, height, width) counts as (out, in*height*width).

    Args:
        fixed_norm: before each step every matrix is brought to norm sqrt(out), that of orthonormal rows.
    """
    return {
        "params": list(parameters), "rule": "muon", "lr": lr, "momentum": momentum, "iterations": iterations,
        "coefficients": coefficients, "weight_decay": weight_decay, "fixed_norm": fixed_norm, "settle": 0,
    }  # fmt: skip


def adam_group(
    parameters: Sequence[nn.Parameter], *, lr: float, betas: tuple[float, float]
) -> dict[str, Any]:
    """Adam's rule, without decay."""
    return {
        "params": list(parameters), "rule": "adam", "lr": lr, "betas": betas, "weight_decay": 0.0, "settle": 0
    }  # fmt: skip


def sgd_group(
    parameters: Sequence[nn.Parameter], *, lr: float, momentum: float, weight_decay: float = 0.0
) -> dict[str, Any]:
    """SGD with Nesterov momentum and an L2 penalty, which goes through the momentum too."""
    return {
        "params": list(parameters), "rule": "sgd", "lr": lr, "momentum": momentum, "weight_decay": weight_decay,
        "settle": 0,
    }  # fmt: skip
