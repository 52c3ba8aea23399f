"""A GPT: reads text from left to right and, at every position, says what comes next.

A stack of transformer blocks in which a position sees only itself and what came before (Radford et al. 2018,
2019). One pass answers for every position at once, so a window of 64 tokens is 64 exercises.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.fields import Count, Fraction
from dlcore.models.attention import FeedForwardActivation, TransformerBlock, initialise_transformer
from dlcore.models.tokens import token_embedding
from dlcore.registry import MODELS


@MODELS.register("gpt", group="attention", inputs=("tokens",), targets=("tokens",), task="causal_lm")
class GPT(nn.Module):
    """A causal language model: each position predicts the next token from those before it.

    Args:
        embed_dim: numbers that describe a position; a multiple of heads.
        heads: attentions side by side, each over its share of the numbers.
        layers: blocks on top of each other.
        activation: what bends the feed-forward layer, which is four times as wide.
        dropout: share of numbers silenced while training.
        tied: read a token's vector also as its output weights, which saves a matrix of that size.
        fused: use torch's fused attention kernel; the written-out form gives the same, slower.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        embed_dim: Count = 128,
        heads: Count = 4,
        layers: Count = 4,
        activation: FeedForwardActivation = "gelu",
        dropout: Fraction = 0.0,
        tied: bool = True,
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.length = spec.input_shape[0]
        self.embedding = token_embedding(spec, embed_dim)
        self.positions = nn.Embedding(self.length, embed_dim)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(embed_dim, heads, dropout=dropout, activate=activation, causal=True, fused=fused)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(embed_dim)
        self.head = None if tied else nn.Linear(embed_dim, len(spec.vocabulary), bias=False)
        initialise_transformer(self, layers)

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, time) of ids -> logits of each position's next token, (batch, time, vocabulary)."""
        time = ids.shape[1]
        if time > self.length:
            raise UserError(f"this model knows {self.length} positions, but got a sequence of {time}")
        where = self.positions(torch.arange(time, device=ids.device))
        steps = self.dropout(self.embedding(ids) + where)
        for block in self.blocks:
            steps = block(steps)
        steps = self.norm(steps)
        return F.linear(steps, self.embedding.weight) if self.head is None else self.head(steps)
