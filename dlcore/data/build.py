"""From arrays to `Data`: split, standardise or normalise by the training part, and describe.

Builders of data in memory end here, so that what every spec promises is kept in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlcore.data.augment import AugmentName, augmentation
from dlcore.data.preprocess import Statistics, normalise_images, normaliser, standardise
from dlcore.data.spec import Data, DataSpec, TensorPart
from dlcore.data.splits import Split, split

Array = NDArray[Any]


class Classes(NamedTuple):
    """Answers that are classes: codes (samples,) into ``names``."""

    codes: Array
    names: tuple[str, ...]


class Values(NamedTuple):
    """Answers that are numbers: (samples, outputs), with a name for each output."""

    numbers: Array
    names: tuple[str, ...]


Answers = Classes | Values


def split_answers(answers: Answers, *, val: float, test: float, seed: int) -> Split:
    """A split of the samples that have these answers, stratified for classes."""
    if isinstance(answers, Classes):
        return split(len(answers.codes), val=val, test=test, seed=seed, labels=answers.codes)
    return split(len(answers.numbers), val=val, test=test, seed=seed)


def answer_tensor(answers: Answers) -> Tensor:
    """Targets as parts hold them: int64 (samples,) or float32 (samples, outputs)."""
    if isinstance(answers, Classes):
        return torch.from_numpy(answers.codes.astype(np.int64))
    return torch.from_numpy(answers.numbers.astype(np.float32))


def answer_facts(answers: Answers, train: Array) -> dict[str, Any]:
    """What the spec says of the answers; ``train`` are the training positions."""
    if isinstance(answers, Classes):
        return class_facts(answers.names, answers.codes[train])
    numbers = answers.numbers[train].astype(np.float64)
    std = numbers.std(0)
    return {
        "target": "number",
        "num_outputs": numbers.shape[1],
        "target_names": answers.names,
        "target_offset": tuple(numbers.mean(0).tolist()),
        "target_scale": tuple(np.where(std > 0, std, 1.0).tolist()),
    }


def class_facts(names: Sequence[str], train_codes: Array) -> dict[str, Any]:
    """What the spec says of classes: two are one yes-no question with a single output."""
    binary = len(names) == 2
    return {
        "target": "binary" if binary else "class",
        "num_outputs": 1 if binary else len(names),
        "class_names": tuple(names),
        "class_counts": tuple(np.bincount(train_codes, minlength=len(names)).tolist()),
    }


def vectors(
    features: Array, answers: Answers, *, names: Sequence[str], val: float, test: float, seed: int
) -> Data:
    """Data of number features (samples, features), standardised by the training part."""
    parts = split_answers(answers, val=val, test=test, seed=seed)
    raw = torch.from_numpy(features.astype(np.float64))
    preprocessing = standardise(raw[parts.train])
    inputs, targets = normaliser(preprocessing)(raw), answer_tensor(answers)
    spec = DataSpec(
        input="vector",
        input_shape=(features.shape[1],),
        feature_names=tuple(names),
        preprocessing=preprocessing,
        **answer_facts(answers, parts.train),
    )
    return in_parts(spec, inputs, targets, parts)


def in_parts(
    spec: DataSpec, inputs: Tensor, targets: Tensor, parts: Split, notes: Sequence[str] = ()
) -> Data:
    """Data whose parts are rows of inputs that are ready for the model."""
    train, val, test = (TensorPart(inputs[rows], targets[rows]) for rows in map(torch.from_numpy, parts))
    return Data(spec, train, val, test if len(test) else None, tuple(notes))


class Pictures(NamedTuple):
    """Images (samples, channels, height, width) of whole numbers 0..255, and their class codes (samples,)."""

    images: Tensor
    codes: Tensor


def images(
    train: Pictures,
    val: Pictures,
    test: Pictures | None,
    *,
    class_names: Sequence[str],
    augment: AugmentName = "none",
    scale: float = 255.0,
    normalise: Statistics = "train",
    notes: Sequence[str] = (),
) -> Data:
    """Data of images kept as they are and normalised batch by batch, by the statistics of ``train``."""
    preprocessing = normalise_images(train.images, scale, normalise)
    prepare = normaliser(preprocessing)
    spec = image_spec(preprocessing, class_names, train.codes.numpy())
    change = augmentation(augment, train.images.shape[-1])
    train_part = TensorPart(train.images, train.codes, prepare, change)
    rest = [TensorPart(part.images, part.codes, prepare) if part else None for part in (val, test)]
    assert rest[0] is not None
    return Data(spec, train_part, rest[0], rest[1], tuple(notes))


def image_spec(preprocessing: dict[str, Any], class_names: Sequence[str], train_codes: Array) -> DataSpec:
    """The spec of images that are preprocessed like this, in these classes."""
    return DataSpec(
        input="image",
        input_shape=tuple(preprocessing[key] for key in ("channels", "height", "width")),
        preprocessing=preprocessing,
        **class_facts(class_names, train_codes),
    )
