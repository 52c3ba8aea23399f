"""A BERT: reads text from both sides and fills in the tokens that were hidden from it.

The same encoder as the classifier's, with an answer at every position instead of one for all. To guess a hidden
token it must learn what words mean and how they go together, from text that nobody has labelled: its weights are
a start for a classifier (Devlin et al. 2019, arXiv:1810.04805).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.fields import Count, Fraction
from dlcore.models.attention import FeedForwardActivation, Norm, TransformerBlock, initialise_transformer
from dlcore.models.tokens import token_embedding, valid_positions
from dlcore.registry import MODELS


@MODELS.register("bert", group="attention", inputs=("tokens",), task="masked_lm")
class BERT(nn.Module):
    """A masked language model: fills in hidden tokens from the text on both sides.

    Args:
        embed_dim: numbers that describe a position; a multiple of heads.
        heads: attentions side by side, each over its share of the numbers.
        layers: blocks on top of each other.
        norm: pre normalises what enters a block's parts, post what comes out, which needs a warm-up.
        activation: what bends the feed-forward layer, which is four times as wide.
        dropout: share of numbers silenced while training.
        fused: use torch's fused attention kernel; the written-out form gives the same, slower.

    Attributes:
        mask_id: the id that stands for a hidden token, one past the vocabulary's last.
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
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.length, self.pad_id = spec.input_shape[0], spec.pad_id
        self.mask_id = len(spec.vocabulary)
        self.embedding = token_embedding(spec, embed_dim)
        self.mask = nn.Parameter(torch.zeros(embed_dim))
        self.positions = nn.Embedding(self.length, embed_dim)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(embed_dim, heads, dropout=dropout, norm=norm, activate=activation, fused=fused)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(embed_dim) if norm == "pre" else nn.Identity()
        self.bias = nn.Parameter(torch.zeros(len(spec.vocabulary)))
        initialise_transformer(self, layers)
        nn.init.normal_(self.mask, std=0.02)

    def forward(self, ids: Tensor, at: Tensor | None = None) -> Tensor:
        """Logits of the token at each position, (batch, time, vocabulary).

        Args:
            ids: (batch, time), with `mask_id` where a token is hidden.
            at: (batch, count) positions to answer for, which spares the others' logits: then
                (batch, count, vocabulary).
        """
        if ids.shape[1] > self.length:
            raise UserError(f"this model knows {self.length} positions, but got a sequence of {ids.shape[1]}")
        mask = None if self.pad_id is None else valid_positions(ids, self.pad_id)[:, None, None, :]
        steps = self.dropout(self.embed(ids))
        for block in self.blocks:
            steps = block(steps, mask)
        if at is not None:
            steps = steps.gather(1, at[:, :, None].expand(-1, -1, steps.shape[2]))
        return F.linear(self.norm(steps), self.embedding.weight, self.bias)

    def embed(self, ids: Tensor) -> Tensor:
        """Each position's vector, (batch, time, embed_dim); a hidden token's is `mask`, whatever it was."""
        hidden = ids == self.mask_id
        content = self.embedding(ids.masked_fill(hidden, 0))
        content = torch.where(hidden[:, :, None], self.mask.to(content.dtype), content)
        return content + self.positions(torch.arange(ids.shape[1], device=ids.device))
