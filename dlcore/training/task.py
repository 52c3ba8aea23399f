"""What the loop asks of a learning problem.

A task owns the network and says what is optimised. The loop knows nothing else: no callbacks, no hooks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.errors import UserError
from dlcore.training.report import Report


class Phase(NamedTuple):
    """One loss and the modules that its optimizer changes; most tasks have one, a GAN has two.

    Attributes:
        repeats: optimizer steps over each batch, where it is dear to get, such as episodes played for PPO.
    """

    name: str
    modules: tuple[nn.Module, ...]
    repeats: int = 1


class Metrics(ABC):
    """Sums over an evaluation, kept on the device; exact for batches of unequal size."""

    @abstractmethod
    def update(self, loss: Tensor, outputs: Any, batch: Batch) -> None:
        """Add one batch.

        Args:
            loss: (), the mean over the batch.
            outputs: what the task's `loss` gave with it, in float32.
            batch: what went in.
        """

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """The figures so far, by name without a prefix (``loss``, ``accuracy``)."""

    def details(self) -> dict[str, Any]:
        """Further results as plain data, such as the confusion matrix."""
        return {}


class Task(ABC):
    """One learning problem: its loss, metrics and samples.

    Attributes:
        model: the network; everything with weights is reachable from it.
        spec: the data's shape and meaning.
        phases: what is optimised, in order.
        monitor: the metric that decides which weights are best.
        monitor_mode: whether more or less of it is better.
        prompted: asked with a text as it is, by `write` or `fill`, instead of an input read from a file.
    """

    monitor: str = "val/loss"
    monitor_mode: Literal["min", "max"] = "min"
    prompted: bool = False

    def __init__(self, model: nn.Module, spec: DataSpec) -> None:
        self.model = model
        self.spec = spec
        self.phases: tuple[Phase, ...] = (Phase("main", (model,)),)

    @abstractmethod
    def loss(self, batch: Batch, phase: str) -> tuple[Tensor, Any]:
        """Mean loss of a batch, (), and the outputs it was made from: a tensor, or a dict or tuple of them."""

    @abstractmethod
    def metrics(self) -> Metrics:
        """Fresh, empty sums."""

    def report(self) -> Report:
        """Fresh, empty: what an evaluation says besides the metrics."""
        return Report()

    def answers(self, inputs: Tensor) -> list[dict[str, Any]]:
        """What the network makes of inputs without a target, for a person and for scripts.

        Args:
            inputs: (batch, *input_shape), on the network's device.

        Returns:
            One plain dict a sample. ``prediction`` is always in it; ``probability`` and ``probabilities`` (by name)
            where there are any; ``picture`` (nested lists of 0..255) where the answer is one.

        Raises:
            UserError: this task has nothing to say to an input.
        """
        instead = ""
        if type(self).create is not Task.create:
            instead = "; --count 16 draws new pictures"
        raise UserError(f"task {type(self).__name__} has no answer to an input{instead}")

    def exported(self, inputs: Tensor) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """The network that is taken away, and what it is called with.

        Args:
            inputs: a batch of real model inputs, (batch, *input_shape).

        Returns:
            The network and its arguments, (batch, ...) each.
        """
        return self.model, (inputs,)

    def exported_told(self) -> tuple[str, str]:
        """What goes into the exported network and what comes out, in words; empty where the data's kind says it."""
        return "", ""

    def verdicts(self, outputs: Any, batch: Batch) -> dict[str, Tensor]:
        """What samples can be sorted and filtered by, (batch,) each; empty where nothing suits.

        ``target``, ``prediction`` (codes of classes) and ``confidence`` of what names a class; else ``error``,
        more being worse.

        Args:
            outputs: what `loss` gave, in float32.
        """
        return {}

    def answer_units(self) -> dict[str, Any]:
        """How standardised numbers of the exported network get the data's units; empty where it has other answers.

        ``scale`` and ``offset``, a list each with a number an output: multiply, then add; where ``log``, take
        the exponential then.
        """
        return {}

    def create(self, count: int, *, seed: int) -> Tensor:
        """New pictures out of noise, (count, 1 or 3, height, width) in 0..1; the same for the same seed.

        Raises:
            UserError: this task draws nothing.
        """
        raise UserError(f"task {type(self).__name__} draws nothing; name inputs to predict")

    def episodes(self, seeds: Sequence[int], *, framed: bool) -> list[dict[str, Any]]:
        """New episodes, one a seed: ``return`` and ``length`` of each.

        Args:
            framed: and ``frames``, texts, one a moment.

        Raises:
            UserError: this task plays nothing.
        """
        raise UserError(f"task {type(self).__name__} plays nothing; name inputs to predict")

    def write(self, prompt: str, *, max_tokens: int, temperature: float, top_k: int, seed: int) -> str:
        """What comes after a text.

        Args:
            temperature: below 1 the likelier tokens are drawn yet more often; 0 always takes the likeliest.
            top_k: tokens are drawn from the k likeliest; 0 for all.

        Raises:
            UserError: this task writes nothing.
            ValueError: there is nothing in the prompt to go on from.
        """
        raise UserError(f"task {type(self).__name__} writes nothing; name inputs to predict")

    def fill(self, text: str) -> dict[str, Any] | None:
        """What belongs where a text hides something, as `answers` says it; None: the task writes instead.

        Raises:
            ValueError: it hides nothing, or is too long.
        """
        return None

    def start_epoch(self, epoch: int) -> None:  # noqa: B027  (most tasks have nothing to do)
        """Called before the first step of ``epoch`` (from 0) and after every resume within it.

        What it sets, such as which weights are frozen, may depend on ``epoch`` only.
        """

    @abstractmethod
    def samples(self, batch: Batch, outputs: Any) -> list[dict[str, Any]]:
        """What a person would look at, one plain dict a sample of the batch."""


def mapped(outputs: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Outputs of the same structure with every tensor changed."""
    if isinstance(outputs, Tensor):
        return change(outputs)
    if isinstance(outputs, dict):
        return {key: mapped(value, change) for key, value in outputs.items()}
    if isinstance(outputs, tuple) and hasattr(outputs, "_fields"):
        return type(outputs)(*(mapped(value, change) for value in outputs))
    if isinstance(outputs, list | tuple):
        return type(outputs)(mapped(value, change) for value in outputs)
    return outputs


def as_float(outputs: Any) -> Any:
    """Outputs with tensors of a shorter float type made float32; ids and masks stay as they are."""
    return mapped(outputs, lambda tensor: tensor.float() if tensor.is_floating_point() else tensor)
