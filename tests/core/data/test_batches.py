"""Batches: order and augmentation depend on seed and epoch only, wherever an epoch is taken up."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dlcore.data import placing
from dlcore.data.augment import Move
from dlcore.data.batches import Batches
from dlcore.data.spec import Batch, Part, TensorPart
from dlcore.errors import UserError

COUNT = 23


def part(augment: object = None) -> TensorPart:
    images = torch.arange(COUNT * 16, dtype=torch.float32).view(COUNT, 1, 4, 4)
    return TensorPart(images, torch.arange(COUNT), augment=augment)


def make(data: Part, *, seed: int = 0, shuffle: bool = True, train: bool = True, **options: bool) -> Batches:
    return Batches(data, 5, seed=seed, device="cpu", shuffle=shuffle, train=train, **options)


def equal(first: list[Batch], second: list[Batch]) -> bool:
    pairs = zip(first, second, strict=False)
    return len(first) == len(second) and all(
        torch.equal(a, b) for left, right in pairs for a, b in zip(left, right, strict=True)
    )


def flat(batches: list[Batch]) -> list[int]:
    return torch.cat([batch.index for batch in batches]).tolist()


def test_an_epoch_gives_every_sample_once() -> None:
    batches = make(part())
    assert sorted(flat(list(batches.epoch(0)))) == list(range(COUNT))
    assert len(batches) == len(list(batches.epoch(0))) == 5


def test_inputs_targets_and_index_belong_together() -> None:
    data = part()
    for batch in make(data).epoch(3):
        assert torch.equal(batch.inputs, data.inputs[batch.index])
        assert torch.equal(batch.targets, data.targets[batch.index])


def test_unshuffled_batches_keep_the_order() -> None:
    assert flat(list(make(part(), shuffle=False).epoch(4))) == list(range(COUNT))


@pytest.mark.parametrize("augment", [None, Move(1, flip=True, edge="repeat")])
def test_the_same_seed_and_epoch_give_the_same_batches(augment: Move | None) -> None:
    assert equal(list(make(part(augment)).epoch(7)), list(make(part(augment)).epoch(7)))


def test_another_epoch_or_seed_gives_another_order() -> None:
    orders = {tuple(flat(list(make(part(), seed=seed).epoch(epoch)))) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4


def test_another_epoch_changes_the_augmentation_of_a_sample() -> None:
    batches = make(part(Move(1, flip=True, edge="repeat")), shuffle=False)
    first, second = (torch.cat([batch.inputs for batch in batches.epoch(epoch)]) for epoch in (0, 1))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("augment", [None, Move(1, flip=True, edge="repeat")])
def test_taking_an_epoch_up_at_any_batch_gives_the_rest_of_it(shuffle: bool, augment: Move | None) -> None:
    batches = make(part(augment), shuffle=shuffle)
    whole = list(batches.epoch(2))
    for start in range(len(batches) + 1):
        assert equal(list(batches.epoch(2, start=start)), whole[start:])


def test_batches_take_nothing_from_the_global_generators() -> None:
    before = torch.get_rng_state()
    list(make(part(Move(1, flip=True, edge="repeat"))).epoch(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_is_not_augmented() -> None:
    data = part(Move(1, flip=True, edge="repeat"))
    batches = make(data, shuffle=False, train=False)
    assert torch.equal(torch.cat([batch.inputs for batch in batches.epoch(0)]), data.inputs)


def test_drop_last_leaves_out_what_is_not_full() -> None:
    batches = make(part(), drop_last=True)
    assert [len(batch.targets) for batch in batches.epoch(0)] == [5] * len(batches) == [5] * 4


def test_drop_last_with_nothing_left_is_a_sentence() -> None:
    with pytest.raises(UserError, match="drop_last"):
        Batches(part(), 64, seed=0, device="cpu", shuffle=True, drop_last=True, train=True)


def test_an_empty_part_has_no_batches() -> None:
    empty = TensorPart(torch.empty(0, 3), torch.empty(0, dtype=torch.int64))
    batches = make(empty, train=False)
    assert len(batches) == 0 and list(batches.epoch(0)) == []


def test_prepare_sees_stored_values_and_the_augmentation_prepared_ones() -> None:
    seen: list[torch.dtype] = []

    class Watch(Move):
        def apply(self, inputs: Tensor, params: dict[str, Tensor]) -> Tensor:
            seen.append(inputs.dtype)
            return super().apply(inputs, params)

    data = TensorPart(
        torch.zeros(4, 1, 2, 2, dtype=torch.uint8),
        torch.zeros(4, dtype=torch.int64),
        prepare=lambda raw: raw.float() + 1,
        augment=Watch(0, flip=True, edge="repeat"),
    )
    (batch,) = make(data).epoch(0)
    assert batch.inputs.dtype == torch.float32 and bool((batch.inputs == 1).all())
    assert seen == [torch.float32]


@pytest.mark.parametrize(("free", "prepared"), [(10_000_000, True), (3_000, False), (100, False)])
def test_an_accelerator_gets_prepared_inputs_as_far_as_its_memory_goes(
    monkeypatch: pytest.MonkeyPatch, free: int, prepared: bool
) -> None:
    monkeypatch.setattr(placing, "free_memory", lambda device: free)
    raw = torch.zeros(100, 10, dtype=torch.uint8)
    inputs, left = placing.place(raw, lambda part: part.float() + 1, torch.device("meta"))
    assert (left is None) == prepared
    assert inputs.dtype == (torch.float32 if prepared else torch.uint8)
    assert inputs.device.type == ("cpu" if free == 100 else "meta")
