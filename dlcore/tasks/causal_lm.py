"""Causal language modelling: at every position, which token comes next."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.fields import Count, CountOrZero, NonNegative
from dlcore.registry import TASKS
from dlcore.tasks.fitting import require_shape
from dlcore.tasks.language_report import LanguageReport
from dlcore.training.report import Report
from dlcore.training.task import Metrics, Task
from dlcore.vocabulary import Tokenizer, from_plain

SAMPLE_SEED = 0
"""Every look at a training draws its continuations alike, so that they can be compared."""

MOST_TEXTS = 8


@TASKS.register("causal_lm", targets=("tokens",))
class CausalLM(Task):
    """The next token at every position, learnt with cross-entropy.

    Args:
        temperature: of the samples; below 1 the likelier tokens are drawn yet more often, 0 always takes the likeliest.
        top_k: samples are drawn from the k likeliest tokens only; 0 draws from all.
        prompt: tokens of each sample that are given.
        new_tokens: tokens of each sample that the model writes.
    """

    monitor = "val/loss"
    monitor_mode = "min"
    prompted = True

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        temperature: NonNegative = 0.8,
        top_k: CountOrZero = 0,
        prompt: Count = 32,
        new_tokens: Count = 200,
    ) -> None:
        super().__init__(model, spec)
        self.temperature, self.top_k, self.prompt, self.new_tokens = temperature, top_k, prompt, new_tokens

    def loss(self, batch: Batch, phase: str) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy of the next tokens in nats, (), and logits, (batch, time, vocabulary)."""
        logits = self.model(batch.inputs)
        wanted = (*batch.targets.shape, self.spec.num_outputs)
        require_shape(logits, wanted, self.model, "at every position a logit for each token")
        return F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten()), logits

    def metrics(self) -> Metrics:
        """Loss, perplexity, accuracy and, where tokens give the text back, bits per character."""
        return LanguageMetrics(self.spec.preprocessing.get("characters"))

    def write(self, prompt: str, *, max_tokens: int, temperature: float, top_k: int, seed: int) -> str:
        """The model's continuation of a text."""
        tokenizer = from_plain(self.spec.preprocessing["tokenizer"])
        ids = tokenizer.encode(prompt)
        if not ids:
            raise ValueError("an empty prompt gives nothing to go on from")
        device = next(self.model.parameters()).device
        written = generate(
            self.model,
            torch.tensor([ids], device=device),
            max_tokens,
            length=self.spec.input_shape[0],
            temperature=temperature,
            top_k=top_k,
            generator=torch.Generator(device).manual_seed(seed),
        )
        return tokenizer.separator + tokenizer.decode(written[0].tolist())

    def report(self) -> Report:
        """Loss by position in the window, and the tokens that cost most."""
        return NextTokenReport(from_plain(self.spec.preprocessing["tokenizer"]), by_position=True)

    def samples(self, batch: Batch, outputs: Tensor) -> list[dict[str, Any]]:
        """The beginning of each window, and how the model goes on."""
        prompts = batch.inputs[:MOST_TEXTS, : self.prompt]
        written = generate(
            self.model,
            prompts,
            self.new_tokens,
            length=self.spec.input_shape[0],
            temperature=self.temperature,
            top_k=self.top_k,
            generator=torch.Generator(prompts.device).manual_seed(SAMPLE_SEED),
        )
        tokenizer = from_plain(self.spec.preprocessing["tokenizer"])
        return [
            {"index": int(index), "caption": "prompt ▸ continuation", "text": _marked(tokenizer, given, rest)}
            for index, given, rest in zip(batch.index, prompts.tolist(), written.tolist(), strict=False)
        ]


def _marked(tokenizer: Tokenizer, given: list[int], rest: list[int]) -> str:
    return f"{tokenizer.decode(given)}▸{tokenizer.decode(rest)}"


@torch.no_grad()
def generate(
    model: nn.Module,
    prompts: Tensor,
    new_tokens: int,
    *,
    length: int,
    temperature: float = 1.0,
    top_k: int = 0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Tokens drawn one after the other, each from what the model expects after those before it.

    Args:
        prompts: (batch, time) of ids, at least one each.
        length: the most tokens the model can look back on.
        temperature: divides the logits; 0 takes the likeliest token.
        top_k: draw from the k likeliest only; 0 for all.
        generator: of the draws, on the prompts' device.

    Returns:
        (batch, new_tokens).
    """
    was_training = model.training
    model.eval()
    ids = prompts
    for _ in range(new_tokens):
        logits = model(ids[:, -length:])[:, -1].float()  # (batch, vocabulary)
        if temperature == 0:
            drawn = logits.argmax(dim=1, keepdim=True)
        else:
            if 0 < top_k < logits.shape[1]:
                least = logits.topk(top_k, dim=1).values[:, -1:]
                logits = logits.masked_fill(logits < least, -math.inf)
            drawn = torch.multinomial((logits / temperature).softmax(dim=1), 1, generator=generator)
        ids = torch.cat([ids, drawn], dim=1)
    model.train(was_training)
    return ids[:, prompts.shape[1] :]


class NextTokenReport(LanguageReport):
    """Every position is asked."""

    def update(self, outputs: Tensor, batch: Batch) -> None:
        """Add a batch of logits, (batch, time, vocabulary)."""
        self.add(outputs, batch.targets, torch.ones_like(batch.targets, dtype=torch.bool))


class LanguageMetrics(Metrics):
    """Sums over next tokens.

    Args:
        characters: how many characters each id stands for, or None.
    """

    def __init__(self, characters: list[int] | None) -> None:
        self._lengths = None if characters is None else torch.tensor(characters)
        self._tokens = 0
        self._loss: Tensor | float = 0.0
        self._hits: Tensor | int = 0
        self._characters: Tensor | int = 0

    def update(self, loss: Tensor, outputs: Tensor, batch: Batch) -> None:
        """Add a batch of logits, (batch, time, vocabulary)."""
        count = batch.targets.numel()
        self._tokens += count
        self._loss = self._loss + loss.detach().double() * count
        self._hits = self._hits + (outputs.argmax(dim=-1) == batch.targets).sum()
        if self._lengths is not None:
            self._lengths = self._lengths.to(batch.targets.device)
            self._characters = self._characters + self._lengths[batch.targets].sum()

    def compute(self) -> dict[str, float]:
        """Perplexity is e^loss: among how many equally likely tokens the model hesitates."""
        if not self._tokens:
            return {}
        nats = float(self._loss)
        results = {
            "loss": nats / self._tokens,
            "perplexity": math.exp(min(nats / self._tokens, 700.0)),  # beyond, floats end
            "accuracy": float(self._hits) / self._tokens,
        }
        if self._lengths is not None and self._characters:
            results["bits_per_character"] = nats / math.log(2) / float(self._characters)
        return results
