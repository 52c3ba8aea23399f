"""Recurrent networks: read a sequence step by step, keep what matters in a state, answer from the last one.

Images are read row by row, feature sequences step by step, token ids through an embedding. Invariant: steps
that only pad a short sequence never touch the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.fields import Count, Fraction
from dlcore.models.blocks import dropout_layer
from dlcore.models.tokens import token_embedding, valid_lengths
from dlcore.registry import MODELS

Cell = Callable[..., nn.RNNBase]
Layers = Annotated[int, Field(ge=1, le=100)]
Pool = Literal["last", "mean", "max"]
INPUTS = ("image", "sequence", "tokens")
TARGETS = ("class", "binary", "number")


class RecurrentLayer(nn.Module):
    """One layer over all steps, and with `bidirectional` a second one that reads from the other end.

    Each direction is a network of its own over dense tensors, the backward one over reversed sequences.
    Packed sequences would need the lengths on the CPU: a wait for the GPU on every forward pass.
    """

    def __init__(self, cell: Cell, features: int, hidden: int, bidirectional: bool, **options: str) -> None:
        super().__init__()
        self.ahead = cell(features, hidden, batch_first=True, **options)
        self.back = cell(features, hidden, batch_first=True, **options) if bidirectional else None

    def forward(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """(batch, time, features) -> (batch, time, hidden), or 2·hidden when bidirectional."""
        ahead, _ = self.ahead(steps)
        if self.back is None:
            return ahead
        back, _ = self.back(reverse(steps, lengths))
        return torch.cat([ahead, reverse(back, lengths)], dim=2)


class Recurrent(nn.Module):
    """Layers of recurrent cells and a linear head on the last valid state, or on a summary of all.

    Args:
        cell: nn.RNN, nn.LSTM or nn.GRU.
        pool: which states answer.
        options: further arguments of the cell.
    """

    def __init__(
        self,
        cell: Cell,
        spec: DataSpec,
        hidden: int,
        layers: int,
        bidirectional: bool,
        dropout: float,
        embed_dim: int,
        pool: Pool,
        **options: str,
    ) -> None:
        super().__init__()
        if dropout > 0 and layers == 1 and spec.input != "tokens":
            raise UserError(
                "dropout lies between layers, but there is only one: use layers = 2, or dropout = 0"
            )
        self.pool = pool
        self.hidden = hidden
        self.pad_id = spec.pad_id
        self.embedding = token_embedding(spec, embed_dim) if spec.input == "tokens" else None
        features = embed_dim if self.embedding else step_features(spec)
        width = 2 * hidden if bidirectional else hidden
        self.blocks = nn.ModuleList(
            RecurrentLayer(cell, features if layer == 0 else width, hidden, bidirectional, **options)
            for layer in range(layers)
        )
        self.dropout = dropout_layer(dropout)
        self.head = nn.Linear(width, spec.num_outputs)
        open_forget_gates(self)
        if self.embedding is not None:
            begin_small(self.embedding)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, *input_shape) -> (batch, num_outputs)."""
        steps, lengths = self.as_steps(inputs)  # (batch, time, features), (batch,) or None
        drop_ends = self.embedding is not None  # words are many and texts few: hide some of what is known
        for number, layer in enumerate(self.blocks):
            if self.dropout is not None and (number > 0 or drop_ends):
                steps = self.dropout(steps)
            steps = layer(steps, lengths)  # (batch, time, width)
        summary = self.final_state(steps, lengths) if self.pool == "last" else self.pooled(steps, lengths)
        if self.dropout is not None and drop_ends:
            summary = self.dropout(summary)
        return self.head(summary)

    def as_steps(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Any input as (batch, time, features), with valid lengths (batch,) where sequences are padded."""
        if self.embedding is not None:
            lengths = None if self.pad_id is None else valid_lengths(inputs, self.pad_id)
            return self.embedding(inputs), lengths
        if inputs.dim() == 4:  # (batch, channels, height, width): a step is one row of all channels
            return inputs.transpose(1, 2).flatten(2), None
        return inputs, None

    def final_state(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """(batch, width): each direction where it has read all: ahead at the last valid step, back at 0."""
        if lengths is None:
            ahead = steps[:, -1, : self.hidden]
        else:
            last = (lengths - 1).view(-1, 1, 1).expand(-1, 1, self.hidden)
            ahead = steps.gather(1, last).squeeze(1)
        return torch.cat([ahead, steps[:, 0, self.hidden :]], dim=1)

    def pooled(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """(batch, width): the mean or the maximum of each number over the valid steps."""
        if lengths is None:
            return steps.mean(1) if self.pool == "mean" else steps.amax(1)
        valid = torch.arange(steps.shape[1], device=steps.device) < lengths[:, None]  # (batch, time)
        if self.pool == "mean":
            return (steps * valid[:, :, None]).sum(1) / lengths[:, None]
        return steps.masked_fill(~valid[:, :, None], -torch.inf).amax(1)


def step_features(spec: DataSpec) -> int:
    """Numbers in one step: a row of every channel for images, else the sequence's features."""
    if spec.input == "image":
        channels, _, width = spec.input_shape
        return channels * width
    return spec.input_shape[-1]


def reverse(steps: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn each sequence around within its valid length; padding stays at the end."""
    if lengths is None:
        return steps.flip(1)
    time = torch.arange(steps.shape[1], device=steps.device)  # (time,)
    source = lengths[:, None] - 1 - time  # (batch, time): the last valid step first
    source = torch.where(source < 0, time, source)
    return steps.gather(1, source[:, :, None].expand_as(steps))


def open_forget_gates(model: nn.Module) -> None:
    """Set the forget gates' bias of every LSTM to 1, so that it remembers until it learns to forget.

    PyTorch starts near 0, which halves the memory at every step (Gers et al. 2000; Jozefowicz et al. 2015).
    """
    for module in model.modules():
        if isinstance(module, nn.LSTM):
            forget = slice(module.hidden_size, 2 * module.hidden_size)  # gates lie in the order i, f, g, o
            with torch.no_grad():
                module.get_parameter("bias_ih_l0")[forget] = 1.0
                module.get_parameter("bias_hh_l0")[forget] = 0.0


def begin_small(embedding: nn.Embedding) -> None:
    """Draw token vectors with deviation 0.1 in place of PyTorch's 1; the padding's stays 0.

    At 1 the gates are driven by noise as strong as anything learned later, and rare words keep most of it.
    """
    with torch.no_grad():
        embedding.weight.mul_(0.1)


@MODELS.register("rnn", group="sequences", inputs=INPUTS, targets=TARGETS)
def rnn(
    spec: DataSpec,
    *,
    hidden: Count = 128,
    layers: Layers = 1,
    bidirectional: bool = False,
    dropout: Fraction = 0.0,
    activation: Literal["tanh", "relu"] = "tanh",
    embed_dim: Count = 64,
    pool: Pool = "last",
) -> nn.Module:
    """A plain recurrent network: state = tanh(input and last state, mixed); forgets within a few dozen steps.

    Args:
        hidden: numbers in the state.
        layers: recurrent layers on top of each other.
        bidirectional: read each sequence from both ends.
        dropout: share of numbers silenced between layers while training; of tokens' vectors and the answer, too.
        activation: what bends the state at every step.
        embed_dim: numbers in a token's vector; for token inputs only.
        pool: answer from the last valid state, or from the mean or the maximum over all of them.
    """
    return Recurrent(
        nn.RNN, spec, hidden, layers, bidirectional, dropout, embed_dim, pool, nonlinearity=activation
    )


@MODELS.register("lstm", group="sequences", inputs=INPUTS, targets=TARGETS)
def lstm(
    spec: DataSpec,
    *,
    hidden: Count = 128,
    layers: Layers = 1,
    bidirectional: bool = False,
    dropout: Fraction = 0.0,
    embed_dim: Count = 64,
    pool: Pool = "last",
) -> nn.Module:
    """A long short-term memory: gates decide what its memory keeps, takes in and shows (Hochreiter 1997).

    Args:
        hidden: numbers in the state and in the memory.
        layers: recurrent layers on top of each other.
        bidirectional: read each sequence from both ends.
        dropout: share of numbers silenced between layers while training; of tokens' vectors and the answer, too.
        embed_dim: numbers in a token's vector; for token inputs only.
        pool: answer from the last valid state, or from the mean or the maximum over all of them.
    """
    return Recurrent(nn.LSTM, spec, hidden, layers, bidirectional, dropout, embed_dim, pool)


@MODELS.register("gru", group="sequences", inputs=INPUTS, targets=TARGETS)
def gru(
    spec: DataSpec,
    *,
    hidden: Count = 128,
    layers: Layers = 1,
    bidirectional: bool = False,
    dropout: Fraction = 0.0,
    embed_dim: Count = 64,
    pool: Pool = "last",
) -> nn.Module:
    """A gated recurrent unit: an LSTM with two gates instead of three and no separate memory (Cho 2014).

    Args:
        hidden: numbers in the state.
        layers: recurrent layers on top of each other.
        bidirectional: read each sequence from both ends.
        dropout: share of numbers silenced between layers while training; of tokens' vectors and the answer, too.
        embed_dim: numbers in a token's vector; for token inputs only.
        pool: answer from the last valid state, or from the mean or the maximum over all of them.
    """
    return Recurrent(nn.GRU, spec, hidden, layers, bidirectional, dropout, embed_dim, pool)
