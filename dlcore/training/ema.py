"""An exponential moving average of the weights, often better than the last ones (Polyak and Juditsky 1992)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dlcore.training.parted import parted_like


class EMA:
    """Averaged copy of a module's floating-point state.

    The decay starts low, ``(1 + n) / (10 + n)`` after n updates, so that the first average is not the
    initialisation. Buffers that are not floating point (counters) are taken over as they are.

    Args:
        module: whose weights are followed.
        decay: share of the old average kept at each update, such as 0.999.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay, self.updates = module, decay, 0
        live = module.state_dict()
        self.average = {name: value.detach().clone() for name, value in live.items()}
        # The live tensors are changed in place by optimizers and load_state_dict, so these lists stay true.
        averaged = [name for name, value in live.items() if value.is_floating_point()]
        # One call for all tensors; those that processes hold parts of want a call of their own.
        alike = [
            [n for n in averaged if hasattr(live[n], "placements") == parted] for parted in (False, True)
        ]
        self._averaged = [
            ([self.average[n] for n in names], [live[n] for n in names]) for names in alike if names
        ]
        self._counters = [(self.average[n], live[n]) for n in live if not live[n].is_floating_point()]

    @property
    def share(self) -> float:
        """How far the next update goes towards the weights."""
        return 1 - min(self.decay, (2 + self.updates) / (11 + self.updates))

    def update(self) -> None:
        """Move the average towards the weights as they are now."""
        self.move(self.share)
        self.updates += 1

    @torch.no_grad()
    def move(self, share: float | Tensor) -> None:
        """Go a share of the way towards the weights, without counting; a tensor, (), is read on its device."""
        for averages, values in self._averaged:
            if isinstance(share, float):
                torch._foreach_lerp_(averages, values, share)
            elif share.is_cpu:
                torch._foreach_lerp_(averages, values, [share.to(each.dtype) for each in averages])
            else:  # of which CUDA would make a kernel a tensor
                way = torch._foreach_sub(values, averages)
                torch._foreach_mul_(way, share)
                torch._foreach_add_(averages, way)
        for average, value in self._counters:
            average.copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module carries the averaged weights inside the block, its own again after it."""
        own = {name: value.detach().clone() for name, value in self.module.state_dict().items()}
        self.module.load_state_dict(self.average)
        try:
            yield
        finally:
            self.module.load_state_dict(own)

    def load(self, average: dict[str, Tensor], updates: int) -> None:
        """Take over a saved average."""
        for name, value in average.items():
            self.average[name].copy_(parted_like(value, self.average[name]))
        self.updates = updates
