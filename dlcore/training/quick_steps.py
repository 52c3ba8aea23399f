"""SGD, Adam and AdamW as torch has them, with a step that goes straight to torch's fused kernel.

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

UNUSUAL = ("amsgrad", "maximize", "capturable", "differentiable")


@dataclass(frozen=True)
class Group:
    """One parameter group's tensors, in torch's order.

    Attributes:
        settings: torch's own dict of the group, in which the learning rate changes.
        kept: what the optimizer remembers of each parameter, a list for each of `QuickStep.KEPT`.
    """

    settings: dict[str, Any]
    params: list[Tensor]
    kept: tuple[list[Tensor], ...]


class QuickStep(torch.optim.Optimizer):
    """Comes before torch's optimizer among the bases.

    Attributes:
        quick: whether the short way may be taken; off, every step is torch's own.
        usual: torch's own step.
    """

    KEPT: tuple[str, ...]
    usual: Callable[..., Any]
    quick = True
    _begun = False
    _known: list[Group] | None = None

    def step(self, closure: Any = None) -> Any:
        """Change all weights by their gradients."""
        groups = self._groups() if self.quick and closure is None else None
        if groups is None:
            self._begun = True  # torch has looked at the gradients and made what it remembers of them
            return self.usual(self, closure)
        with torch.no_grad():
            for group in groups:
                self._change(group, [param.grad for param in group.params], group.settings)
        return None

    step.hooked = True  # type: ignore[attr-defined]  # torch must not wrap it: a record for its profiler takes 10 µs

    def _change(self, group: Group, gradients: list[Any], settings: dict[str, Any]) -> None:
        """Call the kernel."""
        raise NotImplementedError

    def _groups(self) -> list[Group] | None:
        """What the kernel is called with; None where this step is for torch."""
        if self._optimizer_step_pre_hooks or self._optimizer_step_post_hooks or _global_hooks():
            return None
        if getattr(self, "found_inf", None) is not None or getattr(self, "grad_scale", None) is not None:
            return None  # a gradient scaler's, or of a step that may be skipped
        known = self._known
        if known is None or not all(map(self._holds, known)):
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

    def _holds(self, group: Group) -> bool:
        """Whether these are still the tensors that the optimizer remembers."""
        return not group.kept or self.state[group.params[0]].get(self.KEPT[0]) is group.kept[0][0]

    def _remembered(self, settings: dict[str, Any]) -> tuple[str, ...]:
        """Names of what is remembered of each parameter of a group."""
        return self.KEPT

    def _ordinary(self) -> list[Group] | None:
        """All groups, where each is dense, of one kind, on the CPU and has a state; else None."""
        if not self._begun:
            return None
        found = []
        for settings in self.param_groups:
            params, names = settings["params"], self._remembered(settings)
            if not params or not settings["fused"] or any(settings.get(name) for name in UNUSUAL):
                return None
            if any(type(param) is not nn.Parameter or param.device.type != "cpu" for param in params):
                return None
            states = [self.state.get(param, {}) for param in params]
            if len({param.dtype for param in params}) != 1 or any(
                state.get(name) is None for state in states for name in names
            ):
                return None
            kept = tuple([state[name] for state in states] for name in names)
            found.append(Group(settings, params, kept))
        return found


class QuickAdam(QuickStep):
    """What Adam and AdamW share."""

    KEPT = ("exp_avg", "exp_avg_sq", "step")
    kernel: Callable[..., None]

    def _change(self, group: Group, gradients: list[Any], settings: dict[str, Any]) -> None:
        averages, squares, steps = group.kept
        torch._foreach_add_(steps, 1)
        self.kernel(
            group.params, gradients, averages, squares, [], steps,
            lr=settings["lr"], beta1=settings["betas"][0], beta2=settings["betas"][1],
            weight_decay=settings["weight_decay"], eps=settings["eps"], amsgrad=False, maximize=False,
        )  # fmt: skip


def _global_hooks() -> bool:
    """Whether somebody watches the steps of all optimizers."""
    return bool(optimizer._global_optimizer_pre_hooks or optimizer._global_optimizer_post_hooks)


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """As torch calls a step: with the optimizer's hooks, which it puts around it when the first optimizer is made."""
    return step if getattr(step, "hooked", False) else torch.optim.Optimizer.profile_hook_step(step)


class Adam(QuickAdam, torch.optim.Adam):
    """`torch.optim.Adam`."""

    kernel = staticmethod(torch._fused_adam_)
    usual = staticmethod(_with_hooks(torch.optim.Adam.step))


class AdamW(QuickAdam, torch.optim.AdamW):
    """`torch.optim.AdamW`."""

    kernel = staticmethod(torch._fused_adamw_)
    usual = staticmethod(_with_hooks(torch.optim.AdamW.step))


class SGD(QuickStep, torch.optim.SGD):
    """`torch.optim.SGD`."""

    KEPT = ("momentum_buffer",)
    usual = staticmethod(_with_hooks(torch.optim.SGD.step))

    def _remembered(self, settings: dict[str, Any]) -> tuple[str, ...]:
        return self.KEPT if settings["momentum"] else ()

    def _init_group(self, group: dict[str, Any], *lists: list[Any]) -> Any:
        """Momentum begins at zero, which gives the same first step.

        Torch has the fused kernel fill it in the first step, and where that one is skipped, as fp16's first ones often
        are, goes on with whatever was in that memory.
        """
        if group["fused"] and group["momentum"] and not group["dampening"]:
            for param in group["params"]:
                if param.grad is not None and self.state[param].get("momentum_buffer") is None:
                    self.state[param]["momentum_buffer"] = torch.zeros_like(param)
        return super()._init_group(group, *lists)

    def _change(self, group: Group, gradients: list[Any], settings: dict[str, Any]) -> None:
        torch._fused_sgd_(
            group.params, gradients, group.kept[0] if group.kept else [],
            weight_decay=settings["weight_decay"], momentum=settings["momentum"], lr=settings["lr"],
            dampening=settings["dampening"], nesterov=settings["nesterov"], maximize=False, is_first_step=False,
        )  # fmt: skip
