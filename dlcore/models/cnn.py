"""The classic convolutional network: conv-pool blocks that look, then dense layers that decide.

Each block slides small filters over the image and halves it, so later filters see more of the picture.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.fields import CountOrZero, Fraction, Widths
from dlcore.models.blocks import MONOTONE, Activation, activation, dense_block, dropout_layer, named
from dlcore.registry import MODELS

Padding = Literal["same", "valid"]


@MODELS.register("cnn", group="images", inputs=("image",), targets=("class", "binary", "number"))
class CNN(nn.Module):
    """A convolutional network for small images: conv-pool blocks, then a dense head.

    Args:
        channels: filters of each block, first to last; each block halves the image.
        kernels: side of each block's filters; the last one given goes for all further blocks.
        strides: step of each block's filters, the last given for all further ones; 2 is a quarter of the work.
        pools: side of the squares of which each block keeps the maximum, likewise; 1 keeps everything.
        padding: same keeps the image's size through a convolution, valid lets it shrink by the kernel less 1.
        crop: pixels cut off every side of the image first, where they tell nothing.
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
        strides: Widths = (1,),
        pools: Widths = (2,),
        padding: Padding = "same",
        crop: CountOrZero = 0,
        hidden: CountOrZero | Widths = 128,
        dropout: Fraction = 0.5,
        batch_norm: bool = False,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        plan = plan_of_blocks(spec.input_shape[0], channels, kernels, strides, pools, padding)
        height, width = size_after_blocks(cropped(spec.input_shape, crop), plan)
        self.crop = Crop(crop) if crop else None
        self.blocks = nn.Sequential(*(conv_block(block, batch_norm, activation) for block in plan))
        widths = hidden if isinstance(hidden, tuple) else (hidden,) if hidden else ()
        features = (channels[-1] if channels else spec.input_shape[0]) * height * width
        self.head = dense_head(features, widths, spec.num_outputs, activate=activation, dropout=dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, num_outputs)."""
        if self.crop is not None:
            inputs = self.crop(inputs)
        features = self.blocks(inputs)  # (batch, channels[-1], height / 2^blocks, width / 2^blocks)
        return self.head(features)


class Crop(nn.Module):
    """Cuts off so many pixels of every side."""

    def __init__(self, margin: int) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, channels, height - 2 margin, width - 2 margin)."""
        return inputs[:, :, self.margin : -self.margin, self.margin : -self.margin]

    def extra_repr(self) -> str:
        """As `print(model)` shows it."""
        return str(self.margin)


class Block(NamedTuple):
    """What one block is made of, see the options of `CNN`."""

    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    pool: int
    padding: Padding

    @property
    def margin(self) -> int:
        """Zeros around the image."""
        return self.kernel // 2 if self.padding == "same" else 0

    def after(self, size: int) -> int:
        """Pixels of a height or width of so many that are left; 0 or less: it is too small."""
        return ((size + 2 * self.margin - self.kernel) // self.stride + 1) // self.pool


def conv_block(block: Block, batch_norm: bool, activate: Activation) -> nn.Sequential:
    """Conv -> [batch norm] -> activation and max-pool, which rounds height and width down."""
    conv = nn.Conv2d(
        block.in_channels, block.out_channels, block.kernel,
        stride=block.stride, padding=block.margin, bias=not batch_norm,
    )  # fmt: skip
    norm = nn.BatchNorm2d(block.out_channels) if batch_norm else None
    pool = nn.MaxPool2d(block.pool) if block.pool > 1 else None
    # The maximum commutes with an activation that never falls: pooling first gives the same numbers and
    # leaves the activation a quarter of the work. GELU and SiLU dip below zero and softmax mixes channels:
    # they go first.
    if activate in MONOTONE:
        return named(conv=conv, norm=norm, pool=pool, activation=activation(activate))
    return named(conv=conv, norm=norm, activation=activation(activate), pool=pool)


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


def plan_of_blocks(
    in_channels: int, channels: Widths, kernels: Widths, strides: Widths, pools: Widths, padding: Padding
) -> list[Block]:
    """One block for each number of channels.

    Raises:
        UserError: too many or no sizes, or an even kernel that "same" padding cannot centre.
    """
    kernels, strides, pools = (
        one_a_block(name, sizes, len(channels))
        for name, sizes in (("kernels", kernels), ("strides", strides), ("pools", pools))
    )
    even = [kernel for kernel in kernels if kernel % 2 == 0]
    if even and padding == "same":
        raise UserError(f'kernel {even[0]} is even and has no centre: use an odd one, or padding = "valid"')
    sizes = zip((in_channels, *channels), channels, kernels, strides, pools, strict=False)
    return [Block(*numbers, padding) for numbers in sizes]


def one_a_block(name: str, sizes: Widths, blocks: int) -> tuple[int, ...]:
    """The sizes, the last one repeated.

    Raises:
        UserError: too many or none.
    """
    if not sizes:
        raise UserError(f"{name} is empty: give at least one size, such as {name} = [3]")
    if len(sizes) > max(blocks, 1):
        raise UserError(f"{name} has {len(sizes)} sizes but channels has {blocks} blocks: give one a block")
    return sizes + sizes[-1:] * (blocks - len(sizes))


def cropped(image: tuple[int, ...], crop: int) -> tuple[int, ...]:
    """(channels, height, width) of which ``crop`` pixels are cut off every side.

    Raises:
        UserError: nothing would be left.
    """
    planes, height, width = image
    if min(height, width) <= 2 * crop:
        raise UserError(f"crop = {crop} leaves nothing of images of {height}×{width}: cut off less")
    return planes, height - 2 * crop, width - 2 * crop


def size_after_blocks(image: tuple[int, ...], plan: list[Block]) -> tuple[int, int]:
    """(height, width) that the last block leaves of a (channels, height, width) image.

    Raises:
        UserError: the image is too small, naming the block where nothing would be left.
    """
    planes, height, width = image
    for number, block in enumerate(plan, start=1):
        if min(block.after(height), block.after(width)) < 1:
            remedy = 'padding = "same"' if block.padding == "valid" and block.kernel > 1 else "larger images"
            if block.pool > max(2, block.kernel):
                remedy = "smaller pools"
            needs = f"{block.kernel}×{block.kernel} convolution"
            if block.pool > 1:
                needs += f" and {block.pool}×{block.pool} pooling"
            raise UserError(
                f"block {number} of {len(plan)} gets images of {planes}×{height}×{width}, too small for "
                f"its {needs}: use fewer blocks or {remedy}"
            )
        planes, height, width = block.out_channels, block.after(height), block.after(width)
    return height, width
