"""Muon: momentum whose matrix is replaced by the nearest orthogonal one before it is applied.

Source: K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). Everything that
is not a hidden matrix goes through Adam's rule, or SGD's, in the same optimizer, so that one object is stepped,
scheduled and saved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients that push singular values towards 1 fastest, at the price of landing in about 0.7 to 1.2."""


Coefficients = tuple[float, float, float]
Rule = Literal["muon", "adam", "sgd"]


def orthogonalise(matrix: Tensor, iterations: int = 5, coefficients: Coefficients = QUINTIC) -> Tensor:
    """Nearest semi-orthogonal matrix by the quintic Newton-Schulz iteration.

    Args:
        matrix: (rows, columns).
        iterations: five bring the singular values of a well-scaled matrix near 1.

    Returns:
        (rows, columns), same dtype; the work is done in bfloat16 on CUDA, where it is cheap and exact enough.
    """
    a, b, c = coefficients
    x = matrix.bfloat16() if matrix.is_cuda else matrix.float()
    x = x / (x.norm() + 1e-7)
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide else x.T).to(matrix.dtype)


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
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update(parameter, group)
        return loss

    def _muon(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(gradient, 1 - group["momentum"])
        looked_ahead = gradient.lerp(state["momentum"], group["momentum"])
        direction = orthogonalise(looked_ahead.flatten(1), group["iterations"], group["coefficients"])
        # A tall matrix gets longer steps, so that the change of its outputs does not depend on its shape.
        rows, columns = parameter.shape[0], parameter[0].numel()
        if group["fixed_norm"]:
            parameter.mul_(rows**0.5 / parameter.norm())
        _decay(parameter, group)
        parameter.sub_(direction.view_as(parameter) * (group["lr"] * max(1.0, rows / columns) ** 0.5))

    def _adam(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        beta1, beta2 = group["betas"]
        if not state:
            state["steps"] = parameter.new_zeros(())  # a tensor: a recorded step counts on
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["steps"] += 1
        state["exp_avg"].lerp_(gradient, 1 - beta1)
        state["exp_avg_sq"].lerp_(gradient.square(), 1 - beta2)
        mean = state["exp_avg"] / (1 - beta1 ** state["steps"])
        square = state["exp_avg_sq"] / (1 - beta2 ** state["steps"])
        parameter.sub_(mean / square.sqrt().add_(1e-8) * group["lr"])

    def _sgd(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        if group["weight_decay"]:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        velocity = state["momentum"].mul_(group["momentum"]).add_(gradient)
        parameter.sub_(gradient.add(velocity, alpha=group["momentum"]) * group["lr"])


def _decay(parameter: nn.Parameter, group: dict[str, Any]) -> None:
    if group["weight_decay"]:
        parameter.mul_(1 - group["lr"] * group["weight_decay"])


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
        "coefficients": coefficients, "weight_decay": weight_decay, "fixed_norm": fixed_norm,
    }  # fmt: skip


def adam_group(
    parameters: Sequence[nn.Parameter], *, lr: float, betas: tuple[float, float]
) -> dict[str, Any]:
    """Adam's rule, without decay."""
    return {"params": list(parameters), "rule": "adam", "lr": lr, "betas": betas, "weight_decay": 0.0}


def sgd_group(
    parameters: Sequence[nn.Parameter], *, lr: float, momentum: float, weight_decay: float = 0.0
) -> dict[str, Any]:
    """SGD with Nesterov momentum and an L2 penalty, which goes through the momentum too."""
    return {
        "params": list(parameters), "rule": "sgd", "lr": lr, "momentum": momentum, "weight_decay": weight_decay
    }  # fmt: skip
