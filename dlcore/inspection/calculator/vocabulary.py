"""The words that the calculator knows: layers, functions, methods. What is not listed here cannot be reached."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

_LAYERS = """
    Linear Bilinear Identity Flatten Unflatten
    Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d
    MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d LPPool1d LPPool2d
    AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d
    BatchNorm1d BatchNorm2d BatchNorm3d InstanceNorm1d InstanceNorm2d InstanceNorm3d
    GroupNorm LayerNorm RMSNorm LocalResponseNorm
    ReLU ReLU6 LeakyReLU PReLU ELU SELU CELU GELU SiLU Mish Hardswish Hardsigmoid Hardtanh Sigmoid Tanh Softplus
    Softsign Softmax LogSoftmax GLU
    Dropout Dropout1d Dropout2d Dropout3d AlphaDropout
    Embedding RNN LSTM GRU TransformerEncoderLayer
    Upsample PixelShuffle PixelUnshuffle ChannelShuffle Unfold
    ZeroPad1d ZeroPad2d ZeroPad3d ConstantPad1d ConstantPad2d ReflectionPad1d ReflectionPad2d ReplicationPad1d
    ReplicationPad2d
"""
LAYERS: Mapping[str, type[nn.Module]] = {name: getattr(nn, name) for name in _LAYERS.split()}

_OF_TORCH = """
    relu sigmoid tanh softmax log_softmax exp log log2 log10 log1p sqrt rsqrt sin cos tan abs sign floor ceil round
    square reciprocal clamp erf
    sum mean std var prod max min amax amin argmax argmin norm cumsum cumprod logsumexp topk sort
    matmul mm bmm mv dot outer einsum tensordot addmm baddbmm
    cat concat stack split chunk unbind flatten reshape permute transpose t swapaxes movedim squeeze unsqueeze
    unflatten flip roll repeat_interleave tile broadcast_to where tril triu diagonal
    add sub mul div pow maximum minimum eq ne gt lt ge le
    zeros ones rand randn empty arange eye linspace zeros_like ones_like rand_like randn_like
    cdist cosine_similarity cross
"""
_OF_FUNCTIONAL = """
    gelu silu elu leaky_relu softplus mish glu dropout pad interpolate normalize linear embedding
    conv1d conv2d conv3d max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d layer_norm scaled_dot_product_attention unfold
    cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy
    binary_cross_entropy_with_logits kl_div
"""
FUNCTIONS: Mapping[str, Callable[..., Any]] = {name: getattr(torch, name) for name in _OF_TORCH.split()} | {
    name: getattr(F, name) for name in _OF_FUNCTIONAL.split()
}

_METHODS = """
    view reshape flatten unflatten permute transpose t swapaxes movedim squeeze unsqueeze expand expand_as view_as
    repeat repeat_interleave tile broadcast_to contiguous flip roll narrow chunk split unbind unfold diagonal tril triu
    sum mean std var prod max min amax amin argmax argmin norm cumsum cumprod logsumexp topk sort
    matmul mm bmm mv dot outer add sub mul div pow maximum minimum eq ne gt lt ge le
    relu sigmoid tanh softmax log_softmax exp log sqrt sin cos abs square clamp
    float double half bfloat16 long int bool masked_fill
"""
METHODS = frozenset(_METHODS.split())
ATTRIBUTES = frozenset({"T", "mT", "H", "mH"})
SIZED_BY_REST = frozenset({"view", "reshape", "unflatten", "Unflatten"})  # one size of theirs may be anything

_DERIVABLE = """
    relu sigmoid tanh softmax log_softmax exp log log2 log10 log1p sqrt sin cos tan abs square erf sum mean max min
    prod norm dot matmul gelu silu elu leaky_relu softplus maximum minimum pow
"""
DERIVABLE = frozenset(_DERIVABLE.split())

_STEPS = ["input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"]
_DOCUMENTED = {"LSTM": [*_STEPS, "proj_size"], "GRU": _STEPS, "RNN": [*_STEPS, "nonlinearity"]}
"""Arguments of layers whose constructors take ``*args``."""

REFUSED = frozenset({"device", "dtype", "out", "layout", "pin_memory", "generator"})
"""Arguments with which a function would leave the meta device, and take memory."""

COUNTS = frozenset({"num_layers"})
MOST_LAYERS = 64  # in one recurrent layer: each takes time to build
MOST_PIECES = 10_000  # that a tensor is split into


def parameters(name: str) -> Sequence[str]:
    """The names of a layer's arguments in order."""
    return _DOCUMENTED.get(name) or [
        each for each in inspect.signature(LAYERS[name]).parameters if each not in REFUSED
    ]


def size_from_input(layer: str, parameter: str, shape: Sequence[int], ids: int | None) -> int | None:
    """What an argument must be for an input of this shape; None where the input does not tell.

    Args:
        ids: how many ids an input of ids may name.
    """
    if parameter == "num_embeddings":
        return ids
    axis = _AXES.get(parameter)
    if parameter == "in_channels":
        axis = -1 - int(layer[-2])  # Conv2d: (…, channels, height, width)
    if axis is None or not -len(shape) <= axis < len(shape):
        return None
    return shape[axis]


_AXES = {
    "in_features": -1,
    "num_features": 1,
    "num_channels": 1,
    "normalized_shape": -1,
    "input_size": -1,
    "d_model": -1,
}
