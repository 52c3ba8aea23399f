"""Layers and rules that several architectures share.

Every function returns ordinary `torch.nn` modules, so that each layer shows up under its own name in the
shape table and in the weights' keys.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from torch import nn

from dlcore.data.spec import DataSpec

Activation = Literal["relu", "leaky_relu", "gelu", "silu", "tanh", "sigmoid", "softmax"]
Init = Literal["default", "he", "xavier"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,  # max(0, x)
    "leaky_relu": nn.LeakyReLU,  # x for x > 0, else 0.01 x: never entirely flat
    "gelu": nn.GELU,  # x Φ(x), Φ the normal distribution function (Hendrycks & Gimpel 2016)
    "silu": nn.SiLU,  # x σ(x), also called swish
    "tanh": nn.Tanh,  # -1 … 1
    "sigmoid": nn.Sigmoid,  # σ(x) = 1 / (1 + e^-x), 0 … 1, slope at most 1/4
    "softmax": lambda: nn.Softmax(dim=1),  # over features or channels: positive, sums to 1
}

MONOTONE = frozenset({"relu", "leaky_relu", "tanh", "sigmoid"})
"""Activations that never fall as their input grows, so that max(f(a), f(b)) = f(max(a, b))."""


def activation(name: Activation) -> nn.Module:
    """A fresh activation layer for (batch, features, ...)."""
    return ACTIVATIONS[name]()


def flat_features(spec: DataSpec) -> int:
    """How many numbers one sample has once it is flattened."""
    return math.prod(spec.input_shape)


def named(**layers: nn.Module | None) -> nn.Sequential:
    """A chain of layers under the given names; a layer that is None is left out."""
    return nn.Sequential(OrderedDict((name, layer) for name, layer in layers.items() if layer is not None))


def dropout_layer(rate: float) -> nn.Dropout | None:
    """Dropout, or None at rate 0."""
    return nn.Dropout(rate) if rate > 0 else None


def dense_block(
    in_features: int, out_features: int, *, activate: Activation, dropout: float, batch_norm: bool = False
) -> nn.Sequential:
    """Linear -> [batch norm] -> activation -> [dropout]: (batch, in_features) -> (batch, out_features)."""
    return named(
        # Batch norm subtracts the mean, so a bias before it would have no effect and no gradient.
        linear=nn.Linear(in_features, out_features, bias=not batch_norm),
        norm=nn.BatchNorm1d(out_features) if batch_norm else None,
        activation=activation(activate),
        dropout=dropout_layer(dropout),
    )


def initialise(module: nn.Module, scheme: Init) -> None:
    """Draw the weights of every linear and convolutional layer inside `module` anew; biases become 0.

    Args:
        scheme: ``default`` leaves PyTorch's draw, uniform ±1/√fan_in, which shrinks a ReLU signal by about
            √6 a layer. ``he``: normal with variance 2/fan_in, which keeps its size through ReLU layers
            (He et al. 2015, arXiv:1502.01852). ``xavier``: uniform with variance 2/(fan_in + fan_out), which
            keeps it through tanh and other activations of slope 1 at 0 (Glorot & Bengio 2010).
    """
    if scheme == "default":
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            if scheme == "he":
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
