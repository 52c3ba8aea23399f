"""The small data sets that come with scikit-learn; nothing is downloaded."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dlcore.data.augment import AugmentName
from dlcore.data.build import Classes, Pictures, Values, images, vectors
from dlcore.data.classes import keep_classes
from dlcore.data.spec import Data, DataContext
from dlcore.data.splits import limited, split
from dlcore.fields import CountOrZero, Fraction, Names
from dlcore.registry import DATA


@DATA.register(group="bundled", input="image", target="class or binary", shape=(1, 8, 8), outputs=10)
def digits(
    context: DataContext,
    *,
    classes: Names = (),
    val: Fraction = 0.1,
    test: Fraction = 0.2,
    limit: CountOrZero = 0,
    augment: AugmentName = "none",
) -> Data:
    """Handwritten digits: 1,797 grey images of 8 by 8 pixels in 10 classes.

    Args:
        classes: keep these digits only, such as [0, 1]; empty for all.
        val: share of all images held back to watch the training.
        test: share of all images held back for the final figure.
        limit: train on only so many images; 0 for all.
        augment: random change of training images, new each epoch.
    """
    bunch = _load("load_digits")
    kept = keep_classes(classes, [str(name) for name in bunch.target_names])
    rows = kept.rows(bunch.target)
    pixels = torch.from_numpy(bunch.images[rows].astype(np.uint8))[:, None]  # (samples, 1, 8, 8) in 0..16
    codes = kept.renumbered(bunch.target[rows])
    parts = split(len(codes), val=val, test=test, seed=context.seed, labels=codes)
    parts = parts._replace(train=limited(parts.train, limit, seed=context.seed, labels=codes))
    targets = torch.from_numpy(codes)
    train, val_part, test_part = (
        Pictures(pixels[rows], targets[rows]) for rows in map(torch.from_numpy, parts)
    )
    return images(
        train,
        val_part,
        test_part if len(test_part.codes) else None,
        class_names=kept.names,
        augment=augment,
        scale=16.0,
    )


@DATA.register(group="bundled", input="vector", target="class or binary", shape=(4,), outputs=3)
def iris(context: DataContext, *, classes: Names = (), val: Fraction = 0.15, test: Fraction = 0.2) -> Data:
    """Iris flowers: 150 flowers, 4 measures in cm, 3 species.

    Args:
        classes: keep these species only, such as ["setosa", "versicolor"]; empty for all.
        val: share of all flowers held back to watch the training.
        test: share of all flowers held back for the final figure.
    """
    bunch = _load("load_iris")
    kept = keep_classes(classes, [str(name) for name in bunch.target_names], word="species")
    rows = kept.rows(bunch.target)
    answers = Classes(kept.renumbered(bunch.target[rows]), kept.names)
    return vectors(
        bunch.data[rows], answers, names=bunch.feature_names, val=val, test=test, seed=context.seed
    )


@DATA.register(group="bundled", input="vector", target="class", shape=(13,), outputs=3)
def wine(context: DataContext, *, val: Fraction = 0.15, test: Fraction = 0.2) -> Data:
    """Wine: chemical analyses of 178 wines, 13 measures, 3 growers.

    Args:
        val: share of all wines held back to watch the training.
        test: share of all wines held back for the final figure.
    """
    return _classes("load_wine", context, val, test)


@DATA.register(group="bundled", input="vector", target="binary", shape=(30,), outputs=1)
def breast_cancer(context: DataContext, *, val: Fraction = 0.15, test: Fraction = 0.2) -> Data:
    """Breast cancer (Wisconsin): 569 tumours, 30 measures of cell nuclei, malignant or benign.

    Args:
        val: share of all tumours held back to watch the training.
        test: share of all tumours held back for the final figure.
    """
    return _classes("load_breast_cancer", context, val, test)


@DATA.register(group="bundled", input="vector", target="number", shape=(10,), outputs=1)
def diabetes(context: DataContext, *, val: Fraction = 0.15, test: Fraction = 0.2) -> Data:
    """Diabetes: 442 patients, 10 measures, a number for how far the disease got within a year.

    Args:
        val: share of all patients held back to watch the training.
        test: share of all patients held back for the final figure.
    """
    bunch = _load("load_diabetes", scaled=False)
    answers = Values(bunch.target[:, None], ("disease progression",))
    return vectors(bunch.data, answers, names=bunch.feature_names, val=val, test=test, seed=context.seed)


def _classes(loader: str, context: DataContext, val: float, test: float) -> Data:
    bunch = _load(loader)
    answers = Classes(bunch.target, tuple(str(name) for name in bunch.target_names))
    return vectors(bunch.data, answers, names=bunch.feature_names, val=val, test=test, seed=context.seed)


def _load(loader: str, **options: Any) -> Any:
    from sklearn import datasets  # about a second: only who asks for these sets pays

    bunch = getattr(datasets, loader)(**options)
    bunch.feature_names = tuple(str(name) for name in bunch.get("feature_names", ()))
    return bunch
