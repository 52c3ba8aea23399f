"""The vision transformer: a picture as a sentence of patches (Dosovitskiy et al. 2021, arXiv:2010.11929).

The picture is cut into squares, each described by one vector, as words are in a text. Attention then lets every
patch look at every other, from the first block on: nothing tells it that neighbours matter, it has to learn that.
Trained on few pictures it is therefore behind a convolutional network, on very many ahead of it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.fields import Count, Fraction
from dlcore.models.attention import FeedForwardActivation, TransformerBlock, initialise_transformer
from dlcore.registry import MODELS


@MODELS.register("vit", group="images", inputs=("image",), targets=("class", "binary", "number"))
class ViT(nn.Module):
    """A vision transformer: patches as words, self-attention between them, answered from a [CLS] position.

    Args:
        patch: side of the squares that the picture is cut into, in pixels.
        embed_dim: numbers that describe a patch; a multiple of heads.
        heads: attentions side by side, each over its share of the numbers.
        layers: transformer blocks on top of each other.
        activation: what bends the feed-forward layer, which is four times as wide.
        dropout: share of numbers silenced while training.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        patch: Count = 4,
        embed_dim: Count = 128,
        heads: Count = 4,
        layers: Count = 4,
        activation: FeedForwardActivation = "gelu",
        dropout: Fraction = 0.1,
    ) -> None:
        super().__init__()
        channels, *self.size = spec.input_shape
        self.patch = patch
        if patch > max(self.size):
            raise UserError(
                f"patches of {patch} pixels are larger than the images, {self.size[0]}×{self.size[1]}"
            )
        patches = -(-self.size[0] // patch) * -(-self.size[1] // patch)
        # A convolution that steps by its own size is one linear layer over each patch.
        self.patches = nn.Conv2d(channels, embed_dim, patch, stride=patch)
        self.positions = nn.Parameter(torch.zeros(1 + patches, embed_dim))
        self.cls = nn.Parameter(torch.zeros(embed_dim))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(embed_dim, heads, dropout=dropout, activate=activation) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(embed_dim)
        self.head = nn.Linear(embed_dim, spec.num_outputs)
        initialise_transformer(self, layers)
        for learned in (self.positions, self.cls):
            nn.init.normal_(learned, std=0.02)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, num_outputs)."""
        steps = self.embed(inputs)  # (batch, 1 + patches, embed_dim)
        for block in self.blocks:
            steps = block(steps)
        return self.head(self.norm(steps[:, 0]))

    def embed(self, inputs: Tensor) -> Tensor:
        """[CLS] and a vector for each patch, row by row, its place added: (batch, 1 + patches, embed_dim)."""
        if list(inputs.shape[2:]) != self.size:
            height, width = inputs.shape[2:]
            raise UserError(
                f"this model knows images of {self.size[0]}×{self.size[1]}, but got one of {height}×{width}"
            )
        right, below = (-size % self.patch for size in reversed(self.size))
        squares = self.patches(F.pad(inputs, (0, right, 0, below)))  # (batch, embed_dim, rows, columns)
        content = squares.flatten(2).transpose(1, 2)  # (batch, patches, embed_dim)
        cls = self.cls.expand(inputs.shape[0], 1, -1)  # len() would fix an export to one batch size
        return self.dropout(torch.cat([cls, content], dim=1) + self.positions)
