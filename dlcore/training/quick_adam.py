"""Adam and AdamW as torch has them, with a step that goes straight to torch's fused kernel.

``torch.optim`` finds out anew at every step which tensors there are, of which kind and on which device: 20 to 30
microseconds a group, half of what a small network's step takes on a CPU. What does not change is kept here instead.
Wherever anything is out of the ordinary, the step is torch's own; the weights are the same to the last bit either way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import optimizer


@dataclass(frozen=True)
class Group:
    """One parameter group's tensors, in torch's order.

    Attributes:
        settings: torch's own dict of the group, in which the learning rate changes.
    """

    settings: dict[str, Any]
    params: list[Tensor]
    exp_avgs: list[Tensor]
    exp_avg_sqs: list[Tensor]
    steps: list[Tensor]


class QuickStep(torch.optim.Optimizer):
    """Comes before Adam or AdamW among the bases.

    Attributes:
        quick: whether the short way may be taken; off, every step is torch's own.
    """

    kernel: Callable[..., None]
    usual: Callable[..., Any]
    quick = True
    _known: list[Group] | None = None

    def step(self, closure: Any = None) -> Any:
        """Change all weights by their gradients."""
        groups = self._groups() if self.quick and closure is None else None
        if groups is None:
            return self.usual(self, closure)
        with torch.no_grad():
            for group in groups:
                gradients = [param.grad for param in group.params]
                settings = group.settings
                torch._foreach_add_(group.steps, 1)
                self.kernel(
                    group.params, gradients, group.exp_avgs, group.exp_avg_sqs, [], group.steps,
                    lr=settings["lr"], beta1=settings["betas"][0], beta2=settings["betas"][1],
                    weight_decay=settings["weight_decay"], eps=settings["eps"], amsgrad=False, maximize=False,
                )  # fmt: skip
        return None

    step.hooked = True  # type: ignore[attr-defined]  # torch must not wrap it: a record for its profiler takes 10 µs

    def _groups(self) -> list[Group] | None:
        """What the kernel is called with; None where this step is for torch."""
        if self._optimizer_step_pre_hooks or self._optimizer_step_post_hooks or _global_hooks():
            return None
        if getattr(self, "found_inf", None) is not None or getattr(self, "grad_scale", None) is not None:
            return None  # a gradient scaler's, or of a step that may be skipped
        known = self._known
        if known is None or any(
            self.state[group.params[0]].get("step") is not group.steps[0] for group in known
        ):
            known = self._known = self._ordinary()  # at first, and when a state was loaded
        if known is None or len(known) != len(self.param_groups):
            return None
        for group in known:
            if type(group.settings["lr"]) is not float:
                return None
            for param in group.params:
                if param.grad is None:
                    return None
        return known

    def _ordinary(self) -> list[Group] | None:
        """All groups, where each is dense, of one kind, on the CPU and has a state; else None."""
        found = []
        for settings in self.param_groups:
            params = settings["params"]
            unusual = ("amsgrad", "maximize", "capturable", "differentiable")
            if not params or not settings["fused"] or any(settings[name] for name in unusual):
                return None
            states = [self.state.get(param, {}) for param in params]
            if any(type(param) is not nn.Parameter or param.device.type != "cpu" for param in params):
                return None
            if len({param.dtype for param in params}) != 1 or not all(states):
                return None
            columns = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step"))
            found.append(Group(settings, params, *columns))
        return found


def _global_hooks() -> bool:
    """Whether somebody watches the steps of all optimizers."""
    return bool(optimizer._global_optimizer_pre_hooks or optimizer._global_optimizer_post_hooks)


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """As torch calls a step: with the optimizer's hooks, which it puts around it when the first optimizer is made."""
    return step if getattr(step, "hooked", False) else torch.optim.Optimizer.profile_hook_step(step)


class Adam(QuickStep, torch.optim.Adam):
    """`torch.optim.Adam`."""

    kernel = staticmethod(torch._fused_adam_)
    usual = staticmethod(_with_hooks(torch.optim.Adam.step))


class AdamW(QuickStep, torch.optim.AdamW):
    """`torch.optim.AdamW`."""

    kernel = staticmethod(torch._fused_adamw_)
    usual = staticmethod(_with_hooks(torch.optim.AdamW.step))
