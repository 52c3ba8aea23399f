"""What an evaluation says of a language model: how its loss falls with context, and which tokens cost most."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dlcore.training.report import Report, Section, table
from dlcore.vocabulary import Tokenizer

COSTLIEST = 20
FIRST_STRETCH = 1
"""Positions are grouped in stretches that double: 0, 1, 2-3, 4-7, ... since context helps most at first."""


class LanguageReport(Report):
    """Nats summed by token and by position.

    Args:
        tokenizer: to show tokens as text.
        by_position: whether earlier positions know less than later ones.
    """

    def __init__(self, tokenizer: Tokenizer, *, by_position: bool) -> None:
        self.tokenizer, self.by_position = tokenizer, by_position
        size = len(tokenizer.vocabulary)
        self._nats, self._times = torch.zeros(size).double(), torch.zeros(size, dtype=torch.int64)
        self._at: list[tuple[Tensor, Tensor]] = []  # (positions,) nats and counts, a pair a batch

    def add(self, logits: Tensor, targets: Tensor, asked: Tensor) -> None:
        """Add a batch.

        Args:
            logits: (batch, time, vocabulary).
            targets: (batch, time).
            asked: (batch, time), false where there is nothing to judge.
        """
        nats = F.cross_entropy(logits.flatten(0, 1), targets.clamp(min=0).flatten(), reduction="none")
        nats = (nats.view(targets.shape) * asked).double().cpu()
        asked = asked.cpu()
        seen = targets.cpu()[asked]
        self._nats.index_add_(0, seen, nats[asked])
        self._times += torch.bincount(seen, minlength=len(self._times))[: len(self._times)]
        self._at.append((nats.sum(0), asked.sum(0)))

    def sections(self) -> dict[str, Section]:
        """Loss by position where that means something, and the tokens that most of the loss is spent on."""
        if not self._at:
            return {}
        found = {"tokens": self._costliest()}
        if self.by_position:
            found = {"positions": self._positions(), **found}
        return found

    def _positions(self) -> Section:
        nats, times = (torch.stack(each).sum(0) for each in zip(*self._at, strict=True))
        rows, low = [], 0
        while low < len(nats):
            high = min(max(low * 2, low + FIRST_STRETCH), len(nats))
            count = int(times[low:high].sum())
            if count:
                mean = float(nats[low:high].sum()) / count
                label = str(low + 1) if high == low + 1 else f"{low + 1} to {high}"
                rows.append((label, count, mean, math.exp(min(mean, 700.0))))
            low = high
        note = "the more a model has read, the better it should guess"
        return table("by position in the window", ("token", "guesses", "loss", "perplexity"), rows, note=note)

    def _costliest(self) -> Section:
        total = float(self._nats.sum()) or 1.0
        top = self._nats.topk(min(COSTLIEST, len(self._nats))).indices.tolist()
        rows = [
            (
                repr(self.tokenizer.decode([token])),
                int(self._times[token]),
                float(self._nats[token]) / int(self._times[token]),
                float(self._nats[token]) / total,
            )
            for token in top
            if self._times[token]
        ]
        return table("costliest tokens", ("token", "times", "loss each", "share of the loss"), rows)
