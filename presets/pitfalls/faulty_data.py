"""Data with one mistake each."""

from __future__ import annotations

import time
from dataclasses import replace

import torch
from sklearn.datasets import load_wine
from torch import Tensor
from torch.utils.data import Dataset

from dlcore.data.bundled import digits
from dlcore.data.spec import Data, DataContext, DatasetPart, DataSpec, TensorPart


def raw_wine(context: DataContext) -> Data:
    """The wines with their measures as they are: from 0.1 to 1,700."""
    bunch = load_wine()
    inputs, targets = torch.tensor(bunch.data, dtype=torch.float32), torch.tensor(bunch.target)
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(context.seed))
    train, val = order[:140], order[140:]
    spec = DataSpec(
        "vector", (13,), "class", 3,
        class_names=tuple(map(str, bunch.target_names)), feature_names=tuple(bunch.feature_names),
    )  # fmt: skip
    return Data(spec, *(TensorPart(inputs[rows], targets[rows]) for rows in (train, val)))  # the mistake


def rare_zero(context: DataContext) -> Data:
    """Is it a zero? One sample in a hundred is."""
    data = digits(context)

    def thinned(part: TensorPart) -> TensorPart:
        zero = part.targets == 0
        few = torch.cumsum(zero.long(), 0) <= len(part) // 100  # the mistake: nearly all are something else
        rows = ~zero | few
        return replace(part, inputs=part.inputs[rows], targets=(part.targets[rows] == 0).long())

    train, val = thinned(data.train), thinned(data.val)
    counts = tuple(int((train.targets == code).sum()) for code in (0, 1))
    spec = replace(
        data.spec, target="binary", num_outputs=1, class_names=("other", "zero"), class_counts=counts
    )
    return Data(spec, train, val)


def leaking_digits(context: DataContext) -> Data:
    """A third of the validation images are training images."""
    data = digits(context)
    rows = torch.arange(len(data.val) // 2)
    val = replace(
        data.val,
        inputs=torch.cat([data.val.inputs, data.train.inputs[rows]]),  # the mistake
        targets=torch.cat([data.val.targets, data.train.targets[rows]]),
    )
    return Data(data.spec, data.train, val)


def shuffled_answers(context: DataContext) -> Data:
    """Images and answers that no longer belong together."""
    data = digits(context)
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(1))
    return Data(data.spec, replace(data.train, targets=data.train.targets[order]), data.val)  # the mistake


class Glare:
    """Makes a picture brighter, one in a thousand by far too much."""

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Brightness of every sample."""
        hit = torch.rand(count, generator=generator) < 1e-3
        return {"brightness": torch.where(hit, 400.0, 1.0)}  # the mistake

    def apply(self, inputs: Tensor, params: dict[str, Tensor]) -> Tensor:
        """The pictures with it."""
        return inputs * params["brightness"].view(-1, 1, 1, 1)


def glaring_digits(context: DataContext) -> Data:
    """Digits with an augmentation that goes out of bounds."""
    data = digits(context)
    return Data(data.spec, replace(data.train, augment=Glare()), data.val)


class Slow(Dataset[tuple[Tensor, Tensor]]):
    """Samples that take a while to come."""

    def __init__(self, part: TensorPart) -> None:
        self.part = part

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        _, index = key
        time.sleep(1e-3)  # the mistake: as long as a network drive takes, in the training's own process
        return self.part.inputs[index], self.part.targets[index]


def slow_digits(context: DataContext) -> Data:
    """Digits from a slow disk."""
    data = digits(context, limit=400)
    return Data(data.spec, DatasetPart(Slow(data.train), prepare=data.train.prepare), data.val)
