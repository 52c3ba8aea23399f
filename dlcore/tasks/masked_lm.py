"""Masked language modelling: which tokens were hidden.

Of the chosen positions 80 % are hidden, 10 % get a random token and 10 % stay as they are, so that the model must
have an opinion about every token it sees, hidden or not (Devlin et al. 2019, arXiv:1810.04805). Invariant: what was
under a hidden position never reaches the model.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.errors import UserError
from dlcore.registry import TASKS
from dlcore.tasks.fitting import require_shape
from dlcore.tasks.language_report import LanguageReport
from dlcore.training.report import Report
from dlcore.training.task import Metrics, Task
from dlcore.vocabulary import Tokenizer, from_plain

NOT_ASKED = -100
"""Target of a position that does not count; what cross-entropy ignores."""

HIDE, SWAP = 0.8, 0.1
"""Shares of the chosen positions that are hidden and that get a random token; the rest stays."""

SHOWN_GUESSES = 3
MOST_GUESSES = 10  # for each hidden token, where somebody asks
HIDDEN_HERE = re.compile(r"▢|\[MASK\]")
"""What stands for a hidden token in a text that is asked about."""

Rate = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class Hidden(NamedTuple):
    """A batch with tokens hidden.

    Attributes:
        ids: (batch, time), as the model sees them.
        at: (batch, count), positions it is asked about.
        targets: (batch, count), what was there; `NOT_ASKED` where a short sequence has fewer.
    """

    ids: Tensor
    at: Tensor
    targets: Tensor


class Guesses(NamedTuple):
    """What the model answered: logits (batch, count, vocabulary), with `Hidden` as the question."""

    logits: Tensor
    ids: Tensor
    at: Tensor
    targets: Tensor


@TASKS.register("masked_lm", targets=("tokens", "class", "binary"))
class MaskedLM(Task):
    """Hidden tokens, learnt with cross-entropy from any token data; its labels are not looked at.

    Args:
        rate: share of each text's tokens that the model is asked about.
    """

    monitor = "val/loss"
    monitor_mode = "min"
    prompted = True

    def __init__(self, model: nn.Module, spec: DataSpec, *, rate: Rate = 0.15) -> None:
        super().__init__(model, spec)
        mask_id = getattr(model, "mask_id", None)
        if not isinstance(mask_id, int):
            raise UserError(
                f"task 'masked_lm' needs a model with a mask_id, such as 'bert'; {type(model).__name__} has none"
            )
        self.rate, self.mask_id = rate, mask_id

    def loss(self, batch: Batch, phase: str) -> tuple[Tensor, Guesses]:
        """Mean cross-entropy of the tokens asked about in nats, (), and the guesses."""
        hidden = hide(
            batch.inputs,
            rate=self.rate,
            mask_id=self.mask_id,
            pad_id=self.spec.pad_id,
            generator=None if self.model.training else _same_each_time(batch),
        )
        logits = self.model(hidden.ids, hidden.at)
        wanted = (*hidden.at.shape, len(self.spec.vocabulary))
        require_shape(logits, wanted, self.model, "at every position asked about a logit for each token")
        loss = F.cross_entropy(logits.flatten(0, 1), hidden.targets.flatten(), ignore_index=NOT_ASKED)
        return loss, Guesses(logits, *hidden)

    def metrics(self) -> Metrics:
        """Loss, perplexity and accuracy over the tokens asked about."""
        return MaskedMetrics()

    def fill(self, text: str) -> dict[str, Any]:
        """The text with the likeliest token for each ``[MASK]`` in it."""
        tokenizer = from_plain(self.spec.preprocessing["tokenizer"])
        first, *rest = map(tokenizer.encode, HIDDEN_HERE.split(text))
        if not rest:
            raise ValueError("hides nothing: write [MASK] where a token is to be guessed")
        ids = first + [token for piece in rest for token in (self.mask_id, *piece)]
        (longest,) = self.spec.input_shape
        if len(ids) > longest:
            raise ValueError(f"has {len(ids)} tokens, and the model reads {longest} at once")
        at = [place for place, token in enumerate(ids) if token == self.mask_id]
        device = next(self.model.parameters()).device
        logits = self.model(torch.tensor([ids], device=device), torch.tensor([at], device=device))[0]
        likely = logits.float().softmax(dim=-1).topk(min(MOST_GUESSES, logits.shape[-1]), dim=-1)
        guesses = [
            {tokenizer.decode([token]): share for token, share in zip(tokens, shares, strict=True)}
            for tokens, shares in zip(likely.indices.tolist(), likely.values.tolist(), strict=True)
        ]
        for place, tokens in zip(at, likely.indices.tolist(), strict=True):
            ids[place] = tokens[0]
        lines = [_listed(each) for each in guesses]
        return {
            "prediction": tokenizer.decode(ids),
            "guesses": guesses,
            "text": "\n".join([tokenizer.decode(ids), *lines]),
        }

    def exported_told(self) -> tuple[str, str]:
        """A guess at each token."""
        return "", f"logits (batch, time, vocabulary) of the token at each place; {self.mask_id} hides one"

    def report(self) -> Report:
        """The hidden tokens that cost most."""
        return HiddenTokenReport(from_plain(self.spec.preprocessing["tokenizer"]), by_position=False)

    def samples(self, batch: Batch, outputs: Guesses) -> list[dict[str, Any]]:
        """Each text with its hidden tokens, the model's likeliest guesses and what was there."""
        tokenizer = from_plain(self.spec.preprocessing["tokenizer"])
        likely = outputs.logits.softmax(dim=-1).topk(min(SHOWN_GUESSES, outputs.logits.shape[-1]), dim=-1)
        rows = []
        for row, index in enumerate(batch.index.tolist()):
            lines = [_shown(tokenizer, outputs.ids[row].tolist(), self.mask_id)]
            for k in outputs.at[row].argsort().tolist():  # in the text's order
                was = int(outputs.targets[row, k])
                if was != NOT_ASKED:
                    guesses = zip(
                        likely.indices[row, k].tolist(), likely.values[row, k].tolist(), strict=True
                    )
                    said = _listed({tokenizer.decode([token]): share for token, share in guesses})
                    lines.append(f"{tokenizer.decode([was])!r}: {said}")
            rows.append({"index": index, "caption": "hidden ▢, and the guesses", "text": "\n".join(lines)})
        return rows


def _listed(guesses: dict[str, float]) -> str:
    return ", ".join(f"{token!r} {share:.0%}" for token, share in list(guesses.items())[:SHOWN_GUESSES])


def hide(
    ids: Tensor, *, rate: float, mask_id: int, pad_id: int | None, generator: torch.Generator | None = None
) -> Hidden:
    """Choose positions of each sequence at random and hide most of them.

    The same number of positions for each row, `NOT_ASKED` beyond the row's own share, so that all shapes are
    known without waiting for the device.

    Args:
        ids: (batch, time).
        rate: share of the tokens that are no padding; at least one of each sequence.
        generator: on the CPU; None for the device's own.
    """
    batch, time = ids.shape
    valid = torch.ones_like(ids, dtype=torch.bool) if pad_id is None else ids != pad_id
    place = "cpu" if generator is not None else ids.device
    # Three draws: which positions, what happens to each, and which random token it gets.
    scores, fate, other = torch.rand(3, batch, time, generator=generator, device=place).to(ids.device)
    count = max(1, round(rate * time))
    at = scores.masked_fill(~valid, -1.0).topk(count, dim=1).indices  # (batch, count)
    asked = (valid.sum(1, keepdim=True) * rate).round().clamp(min=1)
    counts = torch.arange(count, device=ids.device) < asked  # (batch, count)
    counts = counts & valid.gather(1, at)
    was, fate, other = ids.gather(1, at), fate.gather(1, at), other.gather(1, at)
    lowest = 0 if pad_id is None else pad_id + 1  # padding is the first id
    swapped = (lowest + other * (mask_id - lowest)).long().clamp(max=mask_id - 1)
    seen = torch.where(fate < HIDE, torch.full_like(was, mask_id), was)
    seen = torch.where((fate >= HIDE) & (fate < HIDE + SWAP), swapped, seen)
    seen = torch.where(counts, seen, was)
    return Hidden(ids.scatter(1, at, seen), at, was.masked_fill(~counts, NOT_ASKED))


def _same_each_time(batch: Batch) -> torch.Generator:
    """Evaluations ask the same questions each time: the figures of two epochs can be compared."""
    return torch.Generator().manual_seed(int(batch.index[0]))


def _shown(tokenizer: Tokenizer, ids: list[int], mask_id: int) -> str:
    """The text with ▢ for each hidden token."""
    pieces: list[str] = []
    run: list[int] = []
    for token in [*ids, mask_id]:
        if token != mask_id:
            run.append(token)
            continue
        pieces.append(tokenizer.decode(run))
        run = []
    return f"{tokenizer.separator}▢{tokenizer.separator}".join(pieces).strip()


class HiddenTokenReport(LanguageReport):
    """Only hidden tokens are asked about."""

    def update(self, outputs: Guesses, batch: Batch) -> None:
        """Add a batch of guesses."""
        self.add(outputs.logits, outputs.targets, outputs.targets != NOT_ASKED)


class MaskedMetrics(Metrics):
    """Sums over the tokens asked about."""

    def __init__(self) -> None:
        self._asked: Tensor | int = 0
        self._loss: Tensor | float = 0.0
        self._hits: Tensor | int = 0

    def update(self, loss: Tensor, outputs: Guesses, batch: Batch) -> None:
        """Add a batch; its mean loss is over the tokens asked about."""
        asked = (outputs.targets != NOT_ASKED).sum()
        self._asked = self._asked + asked
        self._loss = self._loss + loss.detach().double() * asked
        self._hits = self._hits + (outputs.logits.argmax(dim=-1) == outputs.targets).sum()

    def compute(self) -> dict[str, float]:
        """Perplexity is e^loss: among how many equally likely tokens the model hesitates."""
        asked = float(self._asked)
        if not asked:
            return {}
        mean = float(self._loss) / asked
        return {
            "loss": mean,
            "perplexity": math.exp(min(mean, 700.0)),
            "accuracy": float(self._hits) / asked,
        }
