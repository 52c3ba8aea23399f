"""Exponential moving average of a curve, without bias towards zero at its start, as TensorBoard has it.

Long curves are averaged in groups first: a weight of 0.9 over a million single steps would smooth nothing
that a screen can show. Curves of few points are smoothed less, or evaluations once an epoch would trail far
behind.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MOST_GROUPS = 2048
FEW = 100  # points, below which the weight fades
_BLOCK = 64


def group(points: int) -> int:
    """Points averaged into one: a power of two, so that it changes rarely while a curve grows."""
    size = 1
    while points > MOST_GROUPS * size:
        size *= 2
    return size


def averaged(x: NDArray[Any], y: Floats, size: int) -> tuple[NDArray[Any], Floats]:
    """Last x and mean y of each group of ``size`` points; the last group may be smaller."""
    if size == 1:
        return x, y
    starts = np.arange(0, len(y), size)
    ends = np.minimum(starts + size, len(y))
    return x[ends - 1], np.add.reduceat(y, starts) / (ends - starts)


def faded(weight: float, points: int) -> float:
    """The weight for a curve of so many points: what a point of a curve of `FEW` would leave of the last."""
    return weight if points >= FEW else weight ** (FEW / max(1, points))


def smooth(y: Floats, weight: float) -> Floats:
    """(points,) ``s = weight * s + (1 - weight) * y`` from 0, divided by ``1 - weight ** n``."""
    count = len(y)
    if count == 0 or weight <= 0:
        return y
    kernel, decay = _block(weight)
    rows = -(-count // _BLOCK)
    padded = np.zeros(rows * _BLOCK)
    padded[:count] = y
    inside = padded.reshape(rows, _BLOCK) @ kernel  # (rows, block): each block on its own
    carried, before = np.empty(rows), 0.0
    ends, whole = inside[:, -1].tolist(), float(decay[-1])
    for row in range(rows):
        carried[row] = before
        before = before * whole + ends[row]
    total = (inside + carried[:, None] * decay).ravel()[:count]
    unbiased: Floats = (
        total * _unbias(weight)[:count] if count <= MOST_GROUPS else total / _shares(weight, count)
    )
    return unbiased


def _shares(weight: float, count: int) -> Floats:
    """What the first n points add up to, of all weights: 1 in the end."""
    shares: Floats = 1.0 - np.power(weight, np.arange(1.0, count + 1.0))
    return shares


@lru_cache(16)
def _unbias(weight: float) -> Floats:
    unbias: Floats = 1.0 / _shares(weight, MOST_GROUPS)
    return unbias


@lru_cache(16)
def _block(weight: float) -> tuple[Floats, Floats]:
    """What a block's points add to each of its places, and how what came before decays there."""
    steps = np.arange(_BLOCK)
    age = steps[None, :] - steps[:, None]  # of the point in this row at that place
    kernel = np.where(age >= 0, (1.0 - weight) * weight ** np.maximum(age, 0), 0.0)
    decay: Floats = np.power(weight, steps + 1.0)
    return kernel, decay
