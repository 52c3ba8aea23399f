"""The classic convolutional network: conv-pool blocks that look, then dense layers that decide.

Each block slides small filters over the image and halves it, so later filters see more of the picture.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.fields import CountOrZero, Fraction, Widths
from dlcore.models.blocks import MONOTONE, Activation, activation, dense_block, dropout_layer, named
from dlcore.registry import MODELS

Padding = Literal["same", "valid"]
POOL = 2


@MODELS.register("cnn", group="images", inputs=("image",), targets=("class", "binary", "number"))
class CNN(nn.Module):
    """A convolutional network for small images: conv-pool blocks, then a dense head.

    Args:
        channels: filters of each block, first to last; each block halves the image.
        kernels: side of each block's filters; the last one given goes for all further blocks.
        padding: same keeps the image's size through a convolution, valid lets it shrink by the kernel less 1.
        hidden: units of the head's hidden layer; 0 for none, a list for several layers.
        dropout: share of the head's hidden units silenced at random while training.
        batch_norm: normalise each channel over the batch after every convolution.
        activation: what bends the output of each convolution and hidden layer.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        channels: Widths = (32, 64),
        kernels: Widths = (3,),
        padding: Padding = "same",
        hidden: CountOrZero | Widths = 128,
        dropout: Fraction = 0.5,
        batch_norm: bool = False,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        kernels = kernel_of_each_block(channels, kernels, padding)
        height, width = size_after_blocks(spec.input_shape, channels, kernels, padding)
        planes = [spec.input_shape[0], *channels]
        self.blocks = nn.Sequential(
            *(
                conv_block(before, after, kernel, padding=padding, batch_norm=batch_norm, activate=activation)
                for before, after, kernel in zip(planes, channels, kernels, strict=False)
            )
        )
        widths = hidden if isinstance(hidden, tuple) else (hidden,) if hidden else ()
        self.head = dense_head(
            planes[-1] * height * width, widths, spec.num_outputs, activate=activation, dropout=dropout
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, num_outputs)."""
        features = self.blocks(inputs)  # (batch, channels[-1], height / 2^blocks, width / 2^blocks)
        return self.head(features)


def conv_block(
    in_channels: int,
    out_channels: int,
    kernel: int,
    *,
    padding: Padding,
    batch_norm: bool,
    activate: Activation,
) -> nn.Sequential:
    """Conv -> [batch norm] -> activation and 2×2 max-pool; halves height and width, rounding down."""
    margin = kernel // 2 if padding == "same" else 0
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding=margin, bias=not batch_norm)
    norm = nn.BatchNorm2d(out_channels) if batch_norm else None
    # The maximum commutes with an activation that never falls: pooling first gives the same numbers and
    # leaves the activation a quarter of the work. GELU and SiLU dip below zero and softmax mixes channels:
    # they go first.
    if activate in MONOTONE:
        return named(conv=conv, norm=norm, pool=nn.MaxPool2d(POOL), activation=activation(activate))
    return named(conv=conv, norm=norm, activation=activation(activate), pool=nn.MaxPool2d(POOL))


def dense_head(
    in_features: int, widths: Widths, num_outputs: int, *, activate: Activation, dropout: float
) -> nn.Sequential:
    """Flatten -> hidden layers, each with dropout -> outputs; no hidden layer: dropout on the features."""
    sizes = [in_features, *widths]
    hidden = {
        f"hidden{number}": dense_block(before, after, activate=activate, dropout=dropout)
        for number, (before, after) in enumerate(zip(sizes, widths, strict=False), start=1)
    }
    return named(
        flatten=nn.Flatten(),
        dropout=None if widths else dropout_layer(dropout),
        **hidden,
        output=nn.Linear(sizes[-1], num_outputs),
    )


def kernel_of_each_block(channels: Widths, kernels: Widths, padding: Padding) -> tuple[int, ...]:
    """One kernel a block, the last given one repeated.

    Raises:
        UserError: too many or no kernels, or an even one that "same" padding cannot centre.
    """
    if not kernels:
        raise UserError("kernels is empty: give at least one size, such as kernels = [3]")
    if len(kernels) > max(len(channels), 1):
        raise UserError(
            f"kernels has {len(kernels)} sizes but channels has {len(channels)} blocks: give one a block"
        )
    even = [kernel for kernel in kernels if kernel % 2 == 0]
    if even and padding == "same":
        raise UserError(f'kernel {even[0]} is even and has no centre: use an odd one, or padding = "valid"')
    return kernels + kernels[-1:] * (len(channels) - len(kernels))


def size_after_blocks(
    image: tuple[int, ...], channels: Widths, kernels: tuple[int, ...], padding: Padding
) -> tuple[int, int]:
    """(height, width) that the last block leaves of a (channels, height, width) image.

    Raises:
        UserError: the image is too small, naming the block where nothing would be left.
    """
    planes, height, width = image
    for number, (out_channels, kernel) in enumerate(zip(channels, kernels, strict=False), start=1):
        lost = kernel - 1 if padding == "valid" else 0
        if min(height, width) - lost < POOL:
            remedy = 'padding = "same"' if lost else "larger images"
            raise UserError(
                f"block {number} of {len(channels)} gets images of {planes}×{height}×{width}, too small for "
                f"its {kernel}×{kernel} convolution and 2×2 pooling: use fewer blocks or {remedy}"
            )
        planes, height, width = out_channels, (height - lost) // POOL, (width - lost) // POOL
    return height, width
