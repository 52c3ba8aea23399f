"""Self-attention and the transformer block, the parts of every transformer here.

Every position looks at every other: it asks with a query, the others answer with a key, and it takes a mean of
their values, weighed by how well query and key agree (Vaswani et al. 2017, arXiv:1706.03762). Invariant: batch
is always the first dimension, (batch, time, embed_dim), so samples never see each other.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.errors import UserError
from dlcore.models.blocks import activation, dropout_layer, named

Norm = Literal["pre", "post"]
FeedForwardActivation = Literal["gelu", "relu", "silu"]


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float = 0.0) -> Tensor:
    """Softmax(query · keyᵀ / √width) · value, written out.

    What `F.scaled_dot_product_attention` computes, which never holds the weights of all pairs in memory: its
    memory grows with time, this one's with time².

    Args:
        query, key, value: (batch, heads, time, width).
        mask: True where a query may look at a key, broadcast to (batch, heads, time, time); None for everywhere.
        dropout: share of the weights silenced.

    Returns:
        (batch, heads, time, width).
    """
    weights = attention_weights(query, key, mask)
    return F.dropout(weights, dropout, training=dropout > 0) @ value


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """How much each position takes of each other, (batch, heads, time, time); every row sums to 1.

    Scores are sums of `width` products, so their spread grows with √width; divided by it, the softmax stays
    where it has a slope.
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(dim=-1)


def causal_mask(time: int, device: torch.device) -> Tensor:
    """(time, time), True where a position (row) may look: at itself and what came before."""
    return torch.ones(time, time, dtype=torch.bool, device=device).tril()


class SelfAttention(nn.Module):
    """Several heads of attention side by side, each over its own share of the numbers.

    Args:
        heads: how many; they divide `embed_dim`.
        dropout: share of the attention weights silenced while training.
        causal: a position looks only at itself and what came before.
        fused: use torch's fused kernel; else the written-out form, equal but slower.
    """

    def __init__(
        self, embed_dim: int, heads: int, *, dropout: float = 0.0, causal: bool = False, fused: bool = True
    ) -> None:
        super().__init__()
        if embed_dim % heads:
            raise UserError(
                f"embed_dim {embed_dim} cannot be shared out among {heads} heads: use a multiple of {heads}"
            )
        self.heads, self.dropout, self.causal, self.fused = heads, dropout, causal, fused
        self.qkv = nn.Linear(embed_dim, 3 * embed_dim)
        self.out = nn.Linear(embed_dim, embed_dim)

    def forward(self, steps: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, time, embed_dim) -> the same.

        Args:
            mask: (batch, 1, 1, time), True at the positions that may be looked at; None for all.
        """
        query, key, value = self.split(steps)
        dropout = self.dropout if self.training else 0.0
        if not self.fused:
            mixed = attention(query, key, value, self._whole_mask(steps, mask), dropout)
        elif mask is None:  # is_causal needs no mask in memory
            mixed = F.scaled_dot_product_attention(
                query, key, value, dropout_p=dropout, is_causal=self.causal
            )
        else:
            whole = self._whole_mask(steps, mask)
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=whole, dropout_p=dropout)
        return self.out(mixed.transpose(1, 2).flatten(2))  # heads side by side: (batch, time, embed_dim)

    def split(self, steps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value of every head, each (batch, heads, time, embed_dim / heads)."""
        query, key, value = self.qkv(steps).unflatten(2, (3, self.heads, -1)).unbind(2)
        return query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)

    def weights(self, steps: Tensor, mask: Tensor | None = None) -> Tensor:
        """Who looks at whom, (batch, heads, time, time): what an attention map shows."""
        query, key, _ = self.split(steps)
        return attention_weights(query, key, self._whole_mask(steps, mask))

    def _whole_mask(self, steps: Tensor, mask: Tensor | None) -> Tensor | None:
        if not self.causal:
            return mask
        causal = causal_mask(steps.shape[1], steps.device)
        return causal if mask is None else causal & mask


class TransformerBlock(nn.Module):
    """Attention mixes the positions, then a small network works on each; both are added to what was there.

    The sums are a path on which the gradient reaches the first block unchanged. Where the norm stands decides how
    hard training is: before each part (``pre``, GPT-2) the path stays clean and deep stacks train at once; after
    the sum (``post``, the original) they need a warm-up (Xiong et al. 2020, arXiv:2002.04745).
    """

    def __init__(
        self,
        embed_dim: int,
        heads: int,
        *,
        dropout: float = 0.0,
        norm: Norm = "pre",
        activate: FeedForwardActivation = "gelu",
        causal: bool = False,
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.pre = norm == "pre"
        self.norm1 = nn.LayerNorm(embed_dim)
        self.attention = SelfAttention(embed_dim, heads, dropout=dropout, causal=causal, fused=fused)
        self.norm2 = nn.LayerNorm(embed_dim)
        self.feed_forward = named(
            expand=nn.Linear(embed_dim, 4 * embed_dim),
            activation=activation(activate),
            dropout=dropout_layer(dropout),
            contract=nn.Linear(4 * embed_dim, embed_dim),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, steps: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, time, embed_dim) -> the same; mask as in `SelfAttention.forward`."""
        if self.pre:
            steps = steps + self.dropout(self.attention(self.norm1(steps), mask))
            return steps + self.dropout(self.feed_forward(self.norm2(steps)))
        steps = self.norm1(steps + self.dropout(self.attention(steps, mask)))
        return self.norm2(steps + self.dropout(self.feed_forward(steps)))


def initialise_transformer(model: nn.Module, layers: int) -> None:
    """Draw all weights as GPT-2 does: normal with deviation 0.02, biases 0.

    What enters the running sum is made smaller by √(2·layers), since so many parts add to it: the sum keeps its
    size however deep the stack.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            into_sum = name.endswith(("attention.out", "feed_forward.contract"))
            nn.init.normal_(module.weight, std=0.02 / math.sqrt(2 * layers) if into_sum else 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
            if module.padding_idx is not None:
                with torch.no_grad():
                    module.weight[module.padding_idx].zero_()
