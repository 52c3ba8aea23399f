"""How far a step moves the weights, relative to their size: the figure by which a learning rate is judged."""

from __future__ import annotations

import statistics

import torch
from torch import Tensor, nn

TINY = 1e-12


class UpdateWatch:
    """Compares the weights before and after a step; a copy of them lives for that one step.

    Attributes:
        ratios: length of the last watched step over the length of the weights, by the parameter's name.
        typical: the middle one of all matrices and filters that moved; None while nothing was watched.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.ratios: dict[str, float] = {}
        self.typical: float | None = None
        self._before: list[Tensor] = []
        self._watched: dict[str, nn.Parameter] = {}
        self._compared: Tensor | None = None  # (parameters,)

    @torch.no_grad()
    def before(self) -> None:
        """Takes the copy."""
        self._watched = dict(self.model.named_parameters())
        self._before = [parameter.detach().clone() for parameter in self._watched.values()]

    @torch.no_grad()
    def after(self) -> None:
        """Compares and lets go of the copy, without waiting for the device."""
        now = [parameter.detach() for parameter in self._watched.values()]
        if now:
            sizes = torch.stack(torch._foreach_norm(self._before))
            torch._foreach_sub_(self._before, now)
            moved = torch.stack(torch._foreach_norm(self._before))
            # A weight that is zero has no size to compare with: biases at the start.
            self._compared = torch.where(sizes > TINY, moved / sizes.clamp(min=TINY), torch.nan)
        self._before = []

    def read(self) -> None:
        """Fetches what was compared; waits for the device once."""
        if self._compared is not None:
            self.ratios = dict(zip(self._watched, self._compared.tolist(), strict=True))
            moving = [self.ratios[name] for name, each in self._watched.items() if each.dim() > 1]
            moving = [ratio for ratio in moving if ratio > 0]
            self.typical = statistics.median(moving) if moving else None
        self._compared, self._watched = None, {}
