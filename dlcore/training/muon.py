"""Muon: momentum whose matrix is replaced by the nearest orthogonal one before it is applied.

Source: K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). Everything that
is not a hidden matrix goes through Adam's rule in the same optimizer, so that one object is stepped,
scheduled and saved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients that push singular values towards 1 fastest, at the price of landing in about 0.7 to 1.2."""


def orthogonalise(matrix: Tensor, iterations: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrix by the quintic Newton-Schulz iteration.

    Args:
        matrix: (rows, columns).
        iterations: five bring the singular values of a well-scaled matrix near 1.

    Returns:
        (rows, columns), same dtype; the work is done in bfloat16 on CUDA, where it is cheap and exact enough.
    """
    a, b, c = QUINTIC
    x = matrix.bfloat16() if matrix.is_cuda else matrix.float()
    x = x / (x.norm() + 1e-7)
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide else x.T).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Muon for ``hidden``, AdamW's rule for ``rest``.

    Args:
        hidden: matrices and filters; a filter bank (out, in, height, width) counts as (out, in*height*width).
        rest: biases, normalisation scales, embeddings, output layer.
    """

    def __init__(
        self,
        hidden: Sequence[nn.Parameter],
        rest: Sequence[nn.Parameter],
        *,
        lr: float,
        momentum: float,
        iterations: int,
        weight_decay: float,
        adam_lr: float,
        adam_betas: tuple[float, float],
    ) -> None:
        groups: list[dict[str, Any]] = [
            {"params": list(hidden), "lr": lr, "momentum": momentum, "iterations": iterations, "muon": True},
            {"params": list(rest), "lr": adam_lr, "betas": adam_betas, "muon": False},
        ]
        super().__init__([g for g in groups if g["params"]], {"weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = self._muon if group["muon"] else self._adam
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
        direction = orthogonalise(looked_ahead.flatten(1), group["iterations"]).view_as(parameter)
        # A tall matrix gets longer steps, so that the change of its outputs does not depend on its shape.
        rows, columns = parameter.shape[0], parameter[0].numel()
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(direction, alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)

    def _adam(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        beta1, beta2 = group["betas"]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["step"] += 1
        state["exp_avg"].lerp_(gradient, 1 - beta1)
        state["exp_avg_sq"].lerp_(gradient.square(), 1 - beta2)
        mean = state["exp_avg"] / (1 - beta1 ** state["step"])
        square = state["exp_avg_sq"] / (1 - beta2 ** state["step"])
        parameter.addcdiv_(mean, square.sqrt().add_(1e-8), value=-group["lr"])
