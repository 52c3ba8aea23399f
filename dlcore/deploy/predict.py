"""A trained network asked about inputs from outside, in batches, each input answered or refused in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch

from dlcore.deploy.inputs import Item, Unreadable, reader_for
from dlcore.trained import Trained
from dlcore.training.evaluation import evaluation_mode

BATCH = 256


class Answer(NamedTuple):
    """What the network makes of one input.

    Attributes:
        name: of the input.
        content: as the task says it; ``prediction`` is always in it.
    """

    name: str
    content: dict[str, Any]


def predict(trained: Trained, places: Sequence[str]) -> Iterator[Answer | Unreadable]:
    """The answer to every input at every place, in order.

    Args:
        places: paths, ``-``, or inputs themselves, as the run's kind of data has it.

    Raises:
        UserError: the run's network cannot be asked this way.
    """
    reader = reader_for(trained.spec, trained.preset.data.options)
    waiting: list[Item | Unreadable] = []
    for place in places:
        for found in reader.read(place, labelled=False):
            waiting.append(found)
            if len(waiting) == BATCH:
                yield from _answered(trained, waiting)
                waiting = []
    yield from _answered(trained, waiting)


def ask(trained: Trained, inputs: torch.Tensor) -> list[dict[str, Any]]:
    """The task's answers to a batch of model inputs, (batch, *input_shape), on any device."""
    with torch.no_grad(), evaluation_mode(trained.task.model), trained.precision.autocast():
        return trained.task.answers(inputs.to(trained.device))


def _answered(trained: Trained, found: Sequence[Item | Unreadable]) -> Iterator[Answer | Unreadable]:
    items = [each for each in found if isinstance(each, Item)]
    answers = iter(ask(trained, torch.stack([item.inputs for item in items])) if items else ())
    for each in found:
        yield Answer(each.name, next(answers)) if isinstance(each, Item) else each
