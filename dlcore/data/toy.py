"""Made-up points in the plane, to watch a decision boundary grow.

The points depend on the options only; the run's seed decides which of them are trained on.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dlcore.data.build import Classes, vectors
from dlcore.data.seeding import derived_seed
from dlcore.data.spec import Data, DataContext
from dlcore.fields import Fraction, NonNegative, Positive
from dlcore.registry import DATA

Samples = Annotated[int, Field(ge=20, le=10_000_000)]
Arms = Annotated[int, Field(ge=2, le=20)]

Points = NDArray[np.float64]


@DATA.register(group="toy", input="vector", target="binary", shape=(2,), outputs=1)
def moons(
    context: DataContext,
    *,
    samples: Samples = 1000,
    noise: NonNegative = 0.15,
    val: Fraction = 0.15,
    test: Fraction = 0.2,
) -> Data:
    """Two half moons that reach into each other: no straight line parts them.

    Args:
        samples: points in all.
        noise: standard deviation of what is added to each coordinate; the moons have radius 1.
        val: share of all points held back to watch the training.
        test: share of all points held back for the final figure.
    """
    code, along = _arms(samples, 2)
    angle = np.pi * along
    upper = np.stack([np.cos(angle), np.sin(angle)], 1)
    points = np.where(code[:, None] == 0, upper, [1.0, 0.5] - upper)
    return _data(context, "moons", points, code, noise, ("upper", "lower"), val, test)


@DATA.register(group="toy", input="vector", target="binary", shape=(2,), outputs=1)
def circles(
    context: DataContext,
    *,
    samples: Samples = 1000,
    noise: NonNegative = 0.08,
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5,
    val: Fraction = 0.15,
    test: Fraction = 0.2,
) -> Data:
    """A circle inside another one.

    Args:
        samples: points in all.
        noise: standard deviation of what is added to each coordinate; the outer circle has radius 1.
        factor: radius of the inner circle.
        val: share of all points held back to watch the training.
        test: share of all points held back for the final figure.
    """
    code, along = _arms(samples, 2)
    angle = 2 * np.pi * along
    radius = np.where(code == 0, 1.0, factor)
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return _data(context, "circles", points, code, noise, ("outer", "inner"), val, test)


@DATA.register(group="toy", input="vector", target="class or binary", shape=(2,), outputs=3)
def spirals(
    context: DataContext,
    *,
    samples: Samples = 1500,
    noise: NonNegative = 0.03,
    arms: Arms = 3,
    turns: Positive = 1.0,
    val: Fraction = 0.15,
    test: Fraction = 0.2,
) -> Data:
    """Spiral arms wound into each other, one class an arm: the hardest of the three.

    Args:
        samples: points in all.
        noise: standard deviation of what is added to each coordinate; the spiral has radius 1.
        arms: spiral arms, each a class of its own.
        turns: how many times an arm goes round.
        val: share of all points held back to watch the training.
        test: share of all points held back for the final figure.
    """
    code, along = _arms(samples, arms)
    radius = 0.05 + 0.95 * along
    angle = 2 * np.pi * (turns * along + code / arms)
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return _data(
        context, "spirals", points, code, noise, tuple(f"arm {arm + 1}" for arm in range(arms)), val, test
    )


def _arms(samples: int, arms: int) -> tuple[NDArray[np.int64], Points]:
    """Class of each point and how far along its curve it lies, evenly spaced in 0..1."""
    order = np.arange(samples)
    along = (order // arms) / max(1, -(-samples // arms) - 1)
    return order % arms, along


def _data(
    context: DataContext,
    name: str,
    points: Points,
    code: NDArray[np.int64],
    noise: float,
    class_names: tuple[str, ...],
    val: float,
    test: float,
) -> Data:
    rng = np.random.default_rng(derived_seed("toy", name))
    noisy = points + noise * rng.standard_normal(points.shape)
    answers = Classes(code, class_names)
    return vectors(noisy, answers, names=("x", "y"), val=val, test=test, seed=context.seed)
