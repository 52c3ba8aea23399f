"""Listening to one forward and backward pass: every layer's output and the gradient that comes back to it.

Layers are modules without children, and activation functions called by hand (``F.relu`` in a ``forward``),
which no module hook hears. Statistics are taken at the moment of the call: a ReLU in place changes the tensor
a moment later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dlcore.inspection.tensors import Statistics, deviation_between, piece, statistics

MOST_CALLS = 4
"""Rows of one layer: a cell that runs over a hundred time steps is the same layer each time."""

MOST_ROWS = 400

RECTIFIERS = ("ReLU", "ReLU6", "relu()", "relu_()", "relu6()")
"""Layers whose units can fall silent for good: the gradient is 0 wherever the output is."""

LIMITS = {
    "Sigmoid": (0.0, 1.0), "sigmoid()": (0.0, 1.0), "sigmoid_()": (0.0, 1.0),
    "Tanh": (-1.0, 1.0), "tanh()": (-1.0, 1.0), "tanh_()": (-1.0, 1.0),
}  # fmt: skip

NEAR = 0.026
"""Share of the range next to a limit where the slope is below a tenth of its largest.

σ'(x) = s(1 - s) < 0.1 · 1/4 where s < 0.0257; tanh is the same curve stretched to twice the range.
"""

FUNCTIONS: tuple[Callable[..., Any], ...] = (
    F.relu, F.relu6, F.leaky_relu, F.gelu, F.silu, F.elu, torch.relu, torch.sigmoid, torch.tanh,
    Tensor.relu, Tensor.sigmoid, Tensor.tanh, torch.relu_, torch.sigmoid_, torch.tanh_,
    Tensor.relu_, Tensor.sigmoid_, Tensor.tanh_,
)  # fmt: skip


@dataclass
class Heard:
    """One call of a layer.

    Attributes:
        path: of the module; for a function, of the module whose code calls it, and the function's name.
        module: None for a function.
        call: 1 for the first call of this layer in the pass.
        activation: statistics, with ``dead``, ``saturated`` and ``spread`` where they mean something.
        kept: a piece of the output and of its gradient, by name.
    """

    path: str
    kind: str
    module: nn.Module | None
    call: int
    shape: tuple[int, ...]
    activation: Statistics
    gradient: Statistics | None = None
    kept: dict[str, NDArray[np.float32]] = field(default_factory=dict)


class Listener(TorchFunctionMode):
    """Hears the calls of a network's layers while it is entered.

    Args:
        model: whose layers are meant.
        keep: positions in the batch whose outputs are kept.
        most: numbers kept of each tensor.
        scale: what the loss is multiplied by before the backward pass.

    Attributes:
        heard: in the order of the calls.
        embedded: what went into the last linear layer, (batch, features), on its device; None without one.
    """

    def __init__(self, model: nn.Module, keep: Tensor, most: int, scale: float = 1.0) -> None:
        super().__init__()
        self.model, self.keep, self.most, self.scale = model, keep, most, scale
        self.heard: list[Heard] = []
        self.embedded: Tensor | None = None
        self.inputs: dict[str, tuple[Any, dict[str, Any]]] = {}  # of attention layers, by path
        self._calls: Counter[str] = Counter()
        self._inside: list[tuple[str, nn.Module]] = []
        self._handles: list[Any] = []
        self._batch = 0

    def listen_to(self, batch: int) -> Listener:
        """The size of the batch that comes: what tells its axis."""
        self._batch = batch
        return self

    def __enter__(self) -> Listener:
        for name, module in self.model.named_modules():
            path = name or type(module).__name__
            self._handles += [
                module.register_forward_pre_hook(self._entering(path), with_kwargs=True),
                module.register_forward_hook(self._leaving(path)),
            ]
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for handle in self._handles:
            handle.remove()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Calls what was called; an activation function outside of a layer of its own is heard."""
        result = func(*args, **(kwargs or {}))
        if func in FUNCTIONS and self._inside and not is_layer(self._inside[-1][1]):
            parent, name = self._inside[-1][0], f"{func.__name__}()"
            self._hear(f"{parent}.{name}", name, None, result)
        return result

    def _entering(self, path: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            self._inside.append((path, module))
            if is_attention(module):
                self.inputs.setdefault(path, (args, kwargs))

        return hook

    def _leaving(self, path: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            self._inside.pop()
            if is_layer(module):
                if isinstance(module, nn.Linear) and args[0].dim() == 2 and args[0].shape[0] == self._batch:
                    self.embedded = args[0].detach()
                self._hear(path, type(module).__name__, module, output)

        return hook

    def _hear(self, path: str, kind: str, module: nn.Module | None, output: Any) -> None:
        if isinstance(output, tuple):  # recurrent layers and attention answer with more than the output
            output = next((each for each in output if isinstance(each, Tensor)), None)
        if not isinstance(output, Tensor) or not output.is_floating_point() or len(self.heard) >= MOST_ROWS:
            return
        self._calls[path] += 1
        if self._calls[path] > MOST_CALLS:
            return
        with torch.no_grad(), torch._C.DisableTorchFunction():  # what is asked here is nobody's call to hear
            heard = Heard(path, kind, module, self._calls[path], tuple(output.shape), describe(kind, output))
            heard.kept["activation"] = self._piece(output)
        self.heard.append(heard)
        if output.requires_grad:
            output.register_hook(self._returning(heard))

    def _returning(self, heard: Heard) -> Callable[[Tensor], None]:
        def hook(gradient: Tensor) -> None:
            with torch.no_grad():
                unscaled = gradient.float() / self.scale if self.scale != 1.0 else gradient
                heard.gradient = statistics(unscaled)
                heard.kept["gradient"] = self._piece(unscaled)

        return hook

    def _piece(self, tensor: Tensor) -> NDArray[np.float32]:
        of_batch = tensor.dim() > 0 and tensor.shape[0] == self._batch
        return piece(tensor, self.most, self.keep if of_batch else None)


def describe(kind: str, output: Tensor) -> Statistics:
    """Statistics of a layer's output, and what only some kinds of layers have.

    Returns:
        As `statistics`, with ``dead`` for rectifiers: share of units that are silent for the whole batch;
        ``saturated`` for sigmoid and tanh: share of values at their limits; ``spread``: how much of the
        deviation is between samples, from 0 (all samples alike) to 1.
    """
    found = statistics(output)
    if kind in RECTIFIERS and output.dim() > 1:
        units = 1 if output.dim() > 3 else output.dim() - 1  # channels of images, else the last axis
        others = [axis for axis in range(output.dim()) if axis != units]
        found["dead"] = float((output.amax(others) <= 0).float().mean())
    if kind in LIMITS:
        found["saturated"] = _share_at_limits(output, *LIMITS[kind])
    if output.dim() > 1 and output.shape[0] > 1 and found["std"] > 0 and not found["nonfinite"]:
        found["spread"] = min(1.0, deviation_between(output) / found["std"])
    return found


def _share_at_limits(output: Tensor, low: float, high: float) -> float:
    """How many values are so near a limit that the slope there is below a tenth of its largest."""
    beyond = (output.float() - (low + high) / 2).abs_().sub_((0.5 - NEAR) * (high - low))
    return float(beyond.sign_().clamp_(min=0).mean())  # a count of booleans takes ten times as long


def is_layer(module: nn.Module) -> bool:
    """Whether a module is heard as a whole: it has no parts, or hides them as attention does."""
    return isinstance(module, nn.MultiheadAttention) or not any(module.children())


def is_attention(module: nn.Module) -> bool:
    """Whether a module can tell who looks at whom."""
    return isinstance(module, nn.MultiheadAttention) or callable(getattr(module, "weights", None))
