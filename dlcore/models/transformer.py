"""The transformer encoder as a classifier: tokens look at each other, one extra position answers.

A learned vector, [CLS], stands before the first token. It has no token of its own to speak for, so training turns
it into a summary of the whole sequence (Devlin et al. 2019, arXiv:1810.04805). Attention knows no order: what
stands where is told by a learned vector for each position, added to the token's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.fields import Count, Fraction
from dlcore.models.attention import FeedForwardActivation, Norm, TransformerBlock, initialise_transformer
from dlcore.models.tokens import token_embedding, valid_positions
from dlcore.registry import MODELS


@MODELS.register(
    "transformer", group="attention", inputs=("tokens", "sequence"), targets=("class", "binary", "number")
)
class Transformer(nn.Module):
    """A transformer encoder: self-attention blocks over all positions, answered from a [CLS] position.

    Args:
        embed_dim: numbers that describe a position; a multiple of heads.
        heads: attentions side by side, each over its share of the numbers.
        layers: blocks on top of each other.
        norm: pre normalises what enters a block's parts, post what comes out, which needs a warm-up.
        activation: what bends the feed-forward layer, which is four times as wide.
        dropout: share of numbers silenced while training.
        token_dropout: share of the tokens' vectors silenced whole while training, as if the words were missing.
        fused: use torch's fused attention kernel; the written-out form gives the same, slower.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        embed_dim: Count = 128,
        heads: Count = 8,
        layers: Count = 2,
        norm: Norm = "pre",
        activation: FeedForwardActivation = "gelu",
        dropout: Fraction = 0.1,
        token_dropout: Fraction = 0.0,
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.length, self.pad_id, self.token_dropout = spec.input_shape[0], spec.pad_id, token_dropout
        self.embedding: nn.Module
        if spec.input == "tokens":
            self.embedding = token_embedding(spec, embed_dim)
        else:
            self.embedding = nn.Linear(spec.input_shape[1], embed_dim)
        self.positions = nn.Embedding(self.length, embed_dim)
        self.cls = nn.Parameter(torch.zeros(embed_dim))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(embed_dim, heads, dropout=dropout, norm=norm, activate=activation, fused=fused)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(embed_dim) if norm == "pre" else nn.Identity()
        self.head = nn.Linear(embed_dim, spec.num_outputs)
        initialise_transformer(self, layers)
        nn.init.normal_(self.cls, std=0.02)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, time) of ids or (batch, time, features) -> (batch, num_outputs); time up to the data's."""
        steps, mask = self.embed(inputs)  # (batch, 1 + time, embed_dim)
        for block in self.blocks:
            steps = block(steps, mask)
        return self.head(self.norm(steps[:, 0]))

    def embed(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """[CLS] and the positions' vectors, and the mask of what may be looked at, (batch, 1, 1, 1 + time)."""
        batch, time = inputs.shape[:2]
        if time > self.length:
            raise UserError(f"this model knows {self.length} positions, but got a sequence of {time}")
        content = self.embedding(inputs)
        if self.training and self.token_dropout:
            keep = torch.rand(batch, time, 1, device=content.device) >= self.token_dropout
            content = content * keep
        where = self.positions(torch.arange(time, device=inputs.device))
        cls = self.cls.expand(batch, 1, -1)
        steps = self.dropout(torch.cat([cls, content + where], dim=1))
        if self.pad_id is None or inputs.dim() == 3:
            return steps, None
        valid = valid_positions(inputs, self.pad_id)
        valid = torch.cat([valid.new_ones(batch, 1), valid], dim=1)  # [CLS] always
        return steps, valid[:, None, None, :]
