"""Cutting samples into training, validation and test parts: seeded, stratified, disjoint and covering.

The test part is drawn first, from a stream of its own, so that another validation share leaves it as it is.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from dlcore.data.seeding import derived_seed
from dlcore.errors import UserError

Indices = NDArray[np.int64]


class Split(NamedTuple):
    """Positions of each part, ascending."""

    train: Indices
    val: Indices
    test: Indices


def split(
    count: int, *, val: float, test: float = 0.0, seed: int, labels: NDArray[Any] | None = None
) -> Split:
    """Cut ``count`` samples into three parts.

    Args:
        val, test: shares of all samples; a share above 0 gets at least one sample.
        labels: (count,) class of each sample: every part then keeps the class shares, and a class is never
            without a training sample. None splits at random.

    Raises:
        UserError: too few samples, or shares that leave nothing to train on.
    """
    if val + test >= 1:
        raise UserError(
            f"data.val = {val:g} and data.test = {test:g} leave nothing to train on: "
            "together they must be below 1"
        )
    everything = np.arange(count, dtype=np.int64)
    rest, held = hold_out(everything, _size(count, test), seed=derived_seed(seed, "test"), labels=labels)
    train, val_part = hold_out(rest, _size(count, val), seed=derived_seed(seed, "val"), labels=labels)
    if not len(train) or (val > 0 and not len(val_part)) or (test > 0 and not len(held)):
        raise UserError(
            f"{count:,} samples are too few to split with data.val = {val:g} and data.test = {test:g}"
        )
    return Split(train, val_part, held)


def hold_out(
    positions: Indices, size: int, *, seed: int, labels: NDArray[Any] | None = None
) -> tuple[Indices, Indices]:
    """Take ``size`` of ``positions`` away at random; with ``labels``, in each class's proportion.

    Args:
        labels: class of *every* sample, indexed by position.

    Returns:
        What is left and what was taken, each ascending. Fewer are taken when classes would run empty.
    """
    rng = np.random.default_rng(seed)
    size = min(size, max(0, len(positions) - 1))
    if labels is None:
        taken = rng.choice(positions, size, replace=False)
    else:
        classes, codes = np.unique(labels[positions], return_inverse=True)
        members = [positions[codes == code] for code in range(len(classes))]
        sizes = _share_out(np.array([len(member) for member in members]), size)
        taken = np.concatenate([rng.choice(m, n, replace=False) for m, n in zip(members, sizes, strict=True)])
    return np.setdiff1d(positions, taken, assume_unique=True), np.sort(taken)


def limited(rows: Indices, limit: int, *, seed: int, labels: NDArray[Any] | None = None) -> Indices:
    """``limit`` of the rows, in each class's proportion; all of them where it is 0 or there are no more."""
    if not 0 < limit < len(rows):
        return rows
    return hold_out(rows, limit, seed=derived_seed(seed, "limit"), labels=labels)[1]


def _size(count: int, share: float) -> int:
    return max(1, round(count * share)) if share > 0 else 0


def _share_out(counts: Indices, size: int) -> Indices:
    """How many to take from classes of these sizes: proportional, by largest remainder, one left in each."""
    quotas = counts * (size / counts.sum())
    taken = np.minimum(np.floor(quotas).astype(np.int64), counts - 1)
    while (missing := size - int(taken.sum())) > 0:
        room = taken < counts - 1
        if not room.any():
            break
        order = np.argsort(np.where(room, taken - quotas, np.inf), kind="stable")
        taken[order[: min(missing, int(room.sum()))]] += 1
    return cast(Indices, taken)
