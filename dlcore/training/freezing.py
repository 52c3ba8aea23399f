"""Layers that do not learn for a while, and layers that learn more slowly than others.

Which ones is told by names: a layer's path, a parameter's own name, or "loaded" for everything that weights were
loaded into. A frozen layer does not change at all: its batch norm, too, keeps the averages that it came with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import torch
from torch import nn

from dlcore.errors import UserError
from dlcore.model_options import LOADED
from dlcore.problems import nearest, show

COUNTERS = ("num_batches_tracked",)


class Freezing:
    """Freezes named layers, for some epochs or the whole training, and parameters whose rate has come to nothing.

    Args:
        model: the network.
        layers: paths of layers, names of parameters, or "loaded".
        epochs: how many epochs they stay frozen; 0: all of them.
        loaded: names of the tensors that weights were loaded into.

    Raises:
        UserError: a name that there is nothing of, or nothing is left to learn.
    """

    def __init__(
        self, model: nn.Module, layers: Sequence[str] = (), epochs: int = 0, loaded: Collection[str] = ()
    ) -> None:
        self.model, self.epochs = model, epochs
        if epochs and not layers:
            raise UserError("model.freeze_epochs says for how long, but model.freeze names no layers")
        names: set[str] = set()
        for layer in layers:
            names |= tensors_of(model, layer, loaded, option="freeze")
        learning = {name: p for name, p in _parameters(model) if p.requires_grad}
        self._learning = set(learning.values())
        self.parameters = list(dict.fromkeys(p for name, p in learning.items() if name in names))
        if len(self.parameters) == len(self._learning):
            raise UserError("model.freeze leaves nothing to learn: every layer is frozen")
        self.layers = [
            m for path, m in model.named_modules(remove_duplicate=False) if _all_in(path, m, names)
        ]
        self._at_first = bool(layers)
        self._settled: dict[nn.Parameter, int] = {}

    def settle(self, settled: Mapping[nn.Parameter, int]) -> None:
        """Also freeze parameters whose rate has come to nothing, each from its epoch on.

        It saves their gradients, and what is computed for these alone; what the others learn is the same.

        Raises:
            UserError: in the end nothing would be left to learn.
        """
        self._settled = {
            parameter: first for parameter, first in settled.items() if parameter in self._learning
        }
        for_ever = set() if self.epochs else set(self.parameters)
        if self._learning == self._settled.keys() | for_ever:
            raise UserError("optimizer.settle leaves nothing to learn in the end: name fewer layers")

    def frozen(self, epoch: int) -> bool:
        """A mark of what is frozen in an epoch, counted from 0: it turns round wherever that changes."""
        changes = {*self._settled.values(), *([self.epochs] if self.epochs else [])}
        return self._at_first ^ bool(sum(change <= epoch for change in changes) % 2)

    def start_epoch(self, epoch: int) -> None:
        """Freeze or free them; depends on the epoch only, so that a resumed training does the same."""
        frozen = self._at_first and (not self.epochs or epoch < self.epochs)
        for parameter in self.parameters:
            parameter.requires_grad_(not frozen)
        for parameter, first in self._settled.items():
            parameter.requires_grad_(epoch < first and not (frozen and parameter in set(self.parameters)))
        for layer in self.layers:
            layer.training = self.model.training and not frozen


def and_settled(
    freezing: Freezing | None,
    model: nn.Module,
    optimizers: Mapping[str, torch.optim.Optimizer],
    steps_per_epoch: int,
) -> Freezing | None:
    """What is frozen besides, because an optimizer lets it learn for so many steps only (a group's ``settle``)."""
    settled = {
        parameter: -(-group["settle"] // steps_per_epoch)
        for optimizer in optimizers.values()
        for group in optimizer.param_groups
        for parameter in group["params"]
        if group.get("settle")
        and not hasattr(parameter, "placements")  # FSDP2 keeps its own account of gradients
    }
    if settled:
        freezing = freezing or Freezing(model)
        freezing.settle(settled)
    return freezing


def _parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """By every name: a matrix that two layers share has two."""
    return model.named_parameters(remove_duplicate=False)


def _all_in(path: str, layer: nn.Module, names: Collection[str]) -> bool:
    """Whether a layer has tensors of its own and all of them are named."""
    own = [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
    paths = [f"{path}.{name}" if path else name for name, _ in own if name not in COUNTERS]
    return bool(paths) and all(each in names for each in paths)


def tensors_of(model: nn.Module, layer: str, loaded: Collection[str], *, option: str) -> set[str]:
    """Names of the parameters and buffers that a name stands for.

    Raises:
        UserError: there are none; says the nearest layer.
    """
    known = [name for name, _ in [*_parameters(model), *model.named_buffers(remove_duplicate=False)]]
    if layer == LOADED:
        if not loaded:
            raise UserError(f"model.{option} says 'loaded', but model.weights names nothing to load")
        return set(known) & set(loaded)
    found = {name for name in known if name == layer or name.startswith(f"{layer}.")}
    if not found:
        close = nearest(layer, [LOADED, *(path for path, _ in model.named_modules() if path), *known])
        hint = f"; did you mean '{close}'?" if close else ""
        children = ", ".join(name for name, _ in model.named_children())
        raise UserError(
            f"model.{option}: this model has no layer {show(layer)}{hint} (its layers: {children})"
        )
    return found


def rates_of(
    model: nn.Module, rates: Mapping[str, float], loaded: Collection[str] = ()
) -> dict[nn.Parameter, float]:
    """The share of the learning rate of every parameter that has one of its own; the longest name decides.

    Raises:
        UserError: a name that there is nothing of.
    """
    parameters = dict(_parameters(model))
    shares: dict[nn.Parameter, float] = {}
    # "loaded" first: any name of a layer says more.
    for layer in sorted(rates, key=lambda name: (name != LOADED, len(name))):
        for name in tensors_of(model, layer, loaded, option="rates") & parameters.keys():
            shares[parameters[name]] = rates[layer]
    return {parameter: share for parameter, share in shares.items() if share != 1}


def apply_rates(optimizer: torch.optim.Optimizer, rates: Mapping[nn.Parameter, float]) -> None:
    """Split the optimizer's groups so that each parameter learns at its share of the group's rate.

    The order depends on names only: a checkpoint's state finds its parameters again.
    """
    groups = []
    for group in optimizer.param_groups:
        shares = [rates.get(parameter, 1.0) for parameter in group["params"]]
        # The full rate first: that is the one shown as the training's.
        for share in sorted(set(shares), reverse=True):
            members = [p for p, own in zip(group["params"], shares, strict=True) if own == share]
            groups.append({**group, "params": members, "lr": group["lr"] * share})
    optimizer.param_groups[:] = groups
