"""Augmentations move pixels as they say, and a sample's fate does not depend on its batch."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
import torch

from dlcore.data.augment import AlternatingMove, AugmentName, Move, ResizedCrop, augmentation
from dlcore.data.batches import Batches
from dlcore.data.seeding import torch_generator
from dlcore.data.spec import TensorPart

NAMES = [name for name in get_args(AugmentName) if name != "none"]


def images(count: int = 6, size: int = 16) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch_generator("images"))


@pytest.mark.parametrize("name", NAMES)
def test_same_shape_and_type_and_something_changed(name: AugmentName) -> None:
    augment = augmentation(name, 16)
    assert augment is not None
    changed = augment.apply(images(), augment.draw(6, torch_generator(0)))
    assert changed.shape == images().shape and changed.dtype == torch.float32
    assert not torch.equal(changed, images())


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_alone_is_changed_as_in_a_batch(name: AugmentName) -> None:
    augment = augmentation(name, 16)
    assert augment is not None
    params = augment.draw(6, torch_generator(1))
    together = augment.apply(images(), params)
    alone = augment.apply(images()[4:5], {key: value[4:5] for key, value in params.items()})
    torch.testing.assert_close(together[4:5], alone, rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_stream_draws_the_same(name: AugmentName) -> None:
    augment = augmentation(name, 16)
    assert augment is not None
    first, again, other = (augment.draw(50, torch_generator(seed)) for seed in (3, 3, 4))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_an_alternating_flip_mirrors_each_picture_in_every_second_epoch() -> None:
    augment = AlternatingMove(2, edge="mirror")
    drawn = [augment.draw_in(epoch, 200, lambda e: torch_generator(7, e)) for epoch in range(5)]
    flips = [each["flip"] for each in drawn]
    assert all(torch.equal(later, ~earlier) for earlier, later in pairwise(flips))
    assert 70 < flips[0].sum() < 130
    assert not torch.equal(drawn[0]["shift"], drawn[2]["shift"])


def test_batches_alternate_flips_over_the_epochs_wherever_they_are_taken_up() -> None:
    part = TensorPart(images(), torch.arange(6), augment=AlternatingMove(0, edge="mirror"))
    batches = Batches(part, 6, seed=5, device="cpu", shuffle=False, train=True)
    even, odd, again = (next(batches.epoch(epoch)).inputs for epoch in (2, 3, 4))
    assert torch.equal(even, again)
    assert torch.equal(odd, even.flip(-1))
    assert not torch.equal(even, images()) and not torch.equal(odd, images())


def test_none_is_none() -> None:
    assert augmentation("none", 16) is None


def test_a_shift_moves_the_picture_and_repeats_the_border() -> None:
    picture = torch.arange(16.0).view(1, 1, 4, 4)
    params = {"shift": torch.tensor([[1, -1]]), "flip": torch.tensor([False])}
    moved = Move(1, flip=False, edge="repeat").apply(picture, params)
    expected = [[4, 4, 5, 6], [8, 8, 9, 10], [12, 12, 13, 14], [12, 12, 13, 14]]
    assert moved[0, 0].tolist() == expected


def test_a_shift_mirrors_at_the_border() -> None:
    picture = torch.arange(4.0).view(1, 1, 1, 4)
    params = {"shift": torch.tensor([[0, -2]]), "flip": torch.tensor([False])}
    assert Move(2, flip=False, edge="mirror").apply(picture, params).flatten().tolist() == [2, 1, 0, 1]


def test_a_flip_mirrors_left_to_right() -> None:
    params = {"shift": torch.zeros(6, 2, dtype=torch.int64), "flip": torch.tensor([True, False] * 3)}
    flipped = Move(0, flip=True, edge="repeat").apply(images(), params)
    assert torch.equal(flipped[::2], images()[::2].flip(3))
    assert torch.equal(flipped[1::2], images()[1::2])


def test_shifts_cover_their_whole_range_evenly() -> None:
    shift = Move(2, flip=True, edge="repeat").draw(10_000, torch_generator(0))["shift"]
    counts = torch.bincount(shift.flatten() + 2)
    assert len(counts) == 5 and int(counts.min()) > 3_700


def test_a_whole_crop_without_flip_is_the_picture() -> None:
    params = {"map": torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])}
    torch.testing.assert_close(ResizedCrop().apply(images(1), params), images(1))


def test_crops_stay_inside_the_picture_and_within_the_area() -> None:
    maps = ResizedCrop(area=(0.3, 0.6)).draw(5_000, torch_generator(0))["map"]
    size = torch.stack([maps[:, 0, 0].abs(), maps[:, 1, 1]], 1)
    assert bool((maps[:, :, 2].abs() + size <= 1 + 1e-5).all())
    area = size.prod(1)
    assert float(area.min()) > 0.22 and float(area.max()) <= 0.6 + 1e-5
