"""Splits are stratified, disjoint, covering and seeded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcore.data.splits import hold_out, split
from dlcore.errors import UserError


@settings(max_examples=50, deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), min_size=20, max_size=200),
    val=st.floats(0, 0.4),
    test=st.floats(0, 0.4),
    seed=st.integers(0, 2**31),
)
def test_parts_are_disjoint_and_cover_everything(
    labels: list[int], val: float, test: float, seed: int
) -> None:
    parts = split(len(labels), val=val, test=test, seed=seed, labels=np.array(labels))
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))


@settings(max_examples=50, deadline=None)
@given(labels=st.lists(st.integers(0, 4), min_size=20, max_size=200), seed=st.integers(0, 2**31))
def test_every_class_can_be_trained_on(labels: list[int], seed: int) -> None:
    answers = np.array(labels)
    parts = split(len(labels), val=0.4, test=0.4, seed=seed, labels=answers)
    assert set(answers[parts.train]) == set(labels)


def test_each_part_keeps_the_class_shares() -> None:
    labels = np.repeat([0, 1, 2], [700, 200, 100])
    parts = split(1000, val=0.1, test=0.2, seed=0, labels=labels)
    for part, size in zip(parts, (700, 100, 200), strict=True):
        assert len(part) == size
        assert np.bincount(labels[part]).tolist() == [size * 7 // 10, size * 2 // 10, size // 10]


def test_rounding_never_misses_the_size() -> None:
    labels = np.arange(97) % 7
    parts = split(97, val=0.1, test=0.15, seed=3, labels=labels)
    assert (len(parts.val), len(parts.test)) == (10, 15)


def test_same_seed_same_split_and_another_seed_another() -> None:
    first, again, other = (split(200, val=0.2, test=0.2, seed=seed) for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.test, other.test)


def test_the_test_part_does_not_depend_on_the_validation_share() -> None:
    labels = np.arange(100) % 3
    small, large = (split(100, val=val, test=0.2, seed=1, labels=labels) for val in (0.1, 0.3))
    np.testing.assert_array_equal(small.test, large.test)


def test_a_share_above_zero_gets_a_sample() -> None:
    parts = split(10, val=0.01, test=0.01, seed=0)
    assert (len(parts.train), len(parts.val), len(parts.test)) == (8, 1, 1)


def test_zero_shares_train_on_everything() -> None:
    parts = split(10, val=0, test=0, seed=0)
    assert (len(parts.train), len(parts.val), len(parts.test)) == (10, 0, 0)


@pytest.mark.parametrize(("count", "val", "test"), [(100, 0.6, 0.5), (2, 0.1, 0.1), (1, 0.5, 0.0)])
def test_nothing_left_to_train_on_is_a_sentence(count: int, val: float, test: float) -> None:
    with pytest.raises(UserError, match=r"leave nothing|too few"):
        split(count, val=val, test=test, seed=0)


def test_hold_out_works_on_any_positions() -> None:
    labels = np.arange(100) % 2
    positions = np.arange(50, 100)
    left, taken = hold_out(positions, 10, seed=0, labels=labels)
    assert len(taken) == 10
    assert sorted([*left, *taken]) == positions.tolist()
    assert labels[taken].sum() == 5
