"""The autoencoder: squeeze an image through a few numbers and draw it again from them.

Nobody says what the numbers mean; whatever helps to draw the image again finds its way into them.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.fields import Count, Widths
from dlcore.models.blocks import Activation, dense_block, flat_features, named
from dlcore.models.pixels import PixelOutput
from dlcore.registry import MODELS


@MODELS.register("autoencoder", group="generative", inputs=("image",), task="autoencoding")
class Autoencoder(nn.Module):
    """An autoencoder: an encoder narrows an image to a short code, a decoder draws it from the code.

    Args:
        widths: units of the encoder's hidden layers; the decoder has them in reverse.
        code: numbers an image is squeezed into.
        activation: what bends the output of each hidden layer.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        widths: Widths = (256, 64),
        code: Count = 16,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        sizes = [flat_features(spec), *widths]
        self.encoder = named(
            flatten=nn.Flatten(),
            hidden=dense_layers(sizes, activation),
            code=nn.Linear(sizes[-1], code),  # no activation: a code may be any number
        )
        self.decoder = named(
            hidden=dense_layers([code, *reversed(widths)], activation),
            output=nn.Linear(widths[0] if widths else code, sizes[0]),
            image=nn.Unflatten(1, spec.input_shape),
            pixels=PixelOutput(spec),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels, height, width) -> the same images, drawn again."""
        code = self.encoder(inputs)  # (batch, code)
        return self.decoder(code)


def dense_layers(sizes: list[int], activate: Activation) -> nn.Sequential:
    """Fully connected layers of these sizes, each with its activation; nothing for a single size."""
    return nn.Sequential(
        *(dense_block(before, after, activate=activate, dropout=0.0) for before, after in pairwise(sizes))
    )
