"""The small data sets that come with scikit-learn; nothing is downloaded."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dlcore.data.augment import AugmentName
from dlcore.data.build import Classes, Pictures, Values, images, vectors
from dlcore.data.spec import Data, DataContext
from dlcore.data.splits import split
from dlcore.errors import UserError
from dlcore.fields import Fraction
from dlcore.problems import unknown
from dlcore.registry import DATA


@DATA.register(group="bundled", input="image", target="class", shape=(1, 8, 8), outputs=10)
def digits(
    context: DataContext, *, val: Fraction = 0.1, test: Fraction = 0.2, augment: AugmentName = "none"
) -> Data:
    """Handwritten digits: 1,797 grey images of 8 by 8 pixels in 10 classes.

    Args:
        val: share of all images held back to watch the training.
        test: share of all images held back for the final figure.
        augment: random change of training images, new each epoch.
    """
    bunch = _load("load_digits")
    pixels = torch.from_numpy(bunch.images.astype(np.uint8))[:, None]  # (samples, 1, 8, 8) in 0..16
    codes = torch.from_numpy(bunch.target.astype(np.int64))
    parts = split(len(codes), val=val, test=test, seed=context.seed, labels=bunch.target)
    train, val_part, test_part = (
        Pictures(pixels[rows], codes[rows]) for rows in map(torch.from_numpy, parts)
    )
    return images(
        train,
        val_part,
        test_part if len(test_part.codes) else None,
        class_names=[str(name) for name in bunch.target_names],
        augment=augment,
        scale=16.0,
    )


@DATA.register(group="bundled", input="vector", target="class or binary", shape=(4,), outputs=3)
def iris(
    context: DataContext, *, classes: tuple[str, ...] = (), val: Fraction = 0.15, test: Fraction = 0.2
) -> Data:
    """Iris flowers: 150 flowers, 4 measures in cm, 3 species.

    Args:
        classes: keep these species only, such as ["setosa", "versicolor"]; empty for all.
        val: share of all flowers held back to watch the training.
        test: share of all flowers held back for the final figure.
    """
    bunch = _load("load_iris")
    known = [str(name) for name in bunch.target_names]
    for name in classes:
        if name not in known:
            raise UserError(f"data.classes: {unknown('species', name, known)}")
    kept = [code for code, name in enumerate(known) if not classes or name in classes]
    if len(kept) < 2:
        raise UserError(f"data.classes: must name at least 2 species of {', '.join(known)}")
    rows = np.isin(bunch.target, kept)
    answers = Classes(np.searchsorted(kept, bunch.target[rows]), tuple(known[code] for code in kept))
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
