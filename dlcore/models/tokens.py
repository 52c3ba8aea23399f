"""What models of token ids share: a vector for each token, and which positions are real.

Short sequences are filled up with the data's padding id. Invariant: padding never changes an answer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError


def token_embedding(spec: DataSpec, embed_dim: int) -> nn.Embedding:
    """A learned vector for each token; the padding's stays 0."""
    if not spec.vocabulary:
        raise UserError("token inputs need the data's vocabulary, but this data set gives none")
    return nn.Embedding(len(spec.vocabulary), embed_dim, padding_idx=spec.pad_id)


def valid_lengths(ids: Tensor, pad_id: int) -> Tensor:
    """Steps up to the last that is no padding, at least 1: (batch, time) -> (batch,)."""
    position = torch.arange(1, ids.shape[1] + 1, device=ids.device)
    return ((ids != pad_id) * position).amax(dim=1).clamp(min=1)


def valid_positions(ids: Tensor, pad_id: int) -> Tensor:
    """True up to each sequence's last token that is no padding: (batch, time)."""
    position = torch.arange(ids.shape[1], device=ids.device)
    return position < valid_lengths(ids, pad_id)[:, None]
