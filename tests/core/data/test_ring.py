"""The ring: batches arrive whole, in order and no earlier than asked for; buffers are reused in time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcore.data.augment import Move
from dlcore.data.batches import Batches
from dlcore.data.ring import SLOTS, PinnedRing, ring_to
from dlcore.data.seeding import torch_generator
from dlcore.data.spec import Batch, DatasetPart, Part, TensorPart
from dlcore.errors import UserError
from tests.core.late_copies import LateCopies, read, send_late

COUNT = 32  # the last of the batches of 3 is smaller
CPU = torch.device("cpu")

both = pytest.mark.parametrize("behind", [False, True], ids=["device at once", "device behind"])


class Noise(Dataset[tuple[Tensor, int]]):
    """Randomness from (epoch, index) only; one sample may be missing."""

    def __init__(self, missing: int = -1) -> None:
        self.missing = missing

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int]:
        epoch, index = key
        if index == self.missing:
            raise UserError("a.png cannot be read")
        return torch.randn(1, 4, 4, generator=torch_generator(epoch, index)), index


def make(*, missing: int = -1, shuffle: bool = True, workers: int = 0, **part: Any) -> Batches:
    data = DatasetPart(Noise(missing), **part)
    return Batches(data, 3, seed=1, device="cpu", shuffle=shuffle, workers=workers, train=True)


def equal(first: list[Batch], second: list[Batch]) -> bool:
    pairs = zip(first, second, strict=False)
    return len(first) == len(second) and all(
        a.dtype == b.dtype and torch.equal(a, b) for left, right in pairs for a, b in zip(left, right, strict=True)
    )  # fmt: skip


@both
def test_every_batch_arrives_from_any_start(behind: bool) -> None:
    plain, ours = make(), make()
    copies = send_late(ours, behind=behind)
    for epoch in (0, 1):
        whole = list(plain.epoch(epoch))
        for start in range(len(plain) + 1):
            assert equal(read(copies, ours.epoch(epoch, start=start)), whole[start:])


def test_what_is_left_to_do_to_a_batch_is_done_when_it_has_arrived() -> None:
    options: dict[str, Any] = {"prepare": lambda raw: raw * 2, "augment": Move(1, flip=True, edge="repeat")}
    ours = make(**options)
    send_late(ours)
    assert equal(list(ours.epoch(0)), list(make(**options).epoch(0)))


def test_one_batch_is_ahead_and_each_waits_for_its_own_copy_only() -> None:
    ours = make()
    copies = send_late(ours)
    seen = [(copies.sent, copies.made) for _ in ours.epoch(0)]
    last = len(ours)
    assert seen == [(min(position + 2, last), position + 1) for position in range(last)]


def test_the_host_waits_for_the_copy_out_of_the_buffer_that_it_fills() -> None:
    ours = make()
    copies = send_late(ours, behind=True)
    assert len(list(ours.epoch(0))) == len(ours)
    assert copies.waits == list(range(len(ours) - SLOTS))


def test_buffers_stay_for_all_epochs_and_smaller_batches() -> None:
    ours = make()
    copies = send_late(ours)
    for epoch in range(3):
        list(ours.epoch(epoch))
    assert copies.buffers == [3 * 16 * 4, 3 * 8] * SLOTS


def kinds() -> list[Batch]:
    """Several times each shape and dtype, growing and shrinking, none and a number, rows far apart."""
    tensors = [
        torch.arange(6.0).view(2, 3),
        torch.arange(60).view(3, 4, 5),
        torch.arange(10).view(5, 2) % 3 == 1,
        torch.empty(0, 7, dtype=torch.float64),
        torch.tensor(3.5, dtype=torch.bfloat16),
        torch.arange(24.0).view(4, 6).t()[::2],
    ]
    return [
        Batch(t + t if t.dtype != torch.bool else t, t, torch.arange(n)) for n, t in enumerate(tensors * 3)
    ]


@both
def test_any_shapes_and_dtypes_one_after_the_other(behind: bool) -> None:
    copies = LateCopies(behind=behind)
    ring = PinnedRing(CPU, copies)
    assert equal(read(copies, ring.ahead(iter(kinds()))), kinds())
    assert copies.sent == len(kinds())


def test_ragged_and_sparse_batches_go_past_the_ring_in_their_turn() -> None:
    ragged = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)
    odd = [ragged, torch.eye(3).to_sparse()]
    batches = [
        batch for n in (0, 1) for batch in (kinds()[n], Batch(odd[n], torch.zeros(3), torch.arange(3)))
    ]
    copies = LateCopies(behind=False)
    arrived = list(PinnedRing(CPU, copies).ahead(iter(batches)))
    assert [a.inputs is b.inputs for a, b in zip(arrived, batches, strict=True)] == [False, True] * 2
    assert equal(arrived[::2], kinds()[:2])
    assert copies.sent == 2


@both
def test_an_epoch_left_early_leaves_nothing_behind(behind: bool) -> None:
    ours, ended = make(), []
    copies = send_late(ours, behind=behind)
    ring = ours._ring
    assert ring is not None

    def stored() -> Iterator[Batch]:
        try:
            yield from kinds()
        finally:
            ended.append(True)

    running = ring.ahead(stored())
    next(running)
    assert len(ours.resident) == 2  # inputs and targets of the batch ahead
    running.close()  # type: ignore[attr-defined]
    assert ended and not ours.resident
    assert equal(read(copies, ours.epoch(1)), list(make().epoch(1)))


def test_a_look_in_the_middle_of_an_epoch_disturbs_nothing() -> None:
    ours, whole = make(), list(make().epoch(0))
    copies = send_late(ours, behind=True)
    seen: list[Batch] = []
    aside: list[Batch] = []
    running = ours.epoch(0)
    copies.reads(next(running), seen)
    for batch in ours.epoch(0, start=4):
        copies.reads(batch, aside)
    for batch in running:
        copies.reads(batch, seen)
    copies.finish()
    assert equal(seen, whole) and equal(aside, whole[4:])


@pytest.mark.parametrize("missing", [0, 1, 3, 16, COUNT - 1])
def test_a_batch_that_cannot_be_read_takes_none_before_it_along(missing: int) -> None:
    def until_the_end(batches: Batches) -> list[Batch]:
        seen: list[Batch] = []
        with pytest.raises(UserError, match="cannot be read"):
            seen.extend(batch for batch in batches.epoch(0))
        return seen

    ours = make(missing=missing, shuffle=False)
    send_late(ours)
    before = until_the_end(ours)
    assert len(before) == missing // 3
    assert equal(before, list(make(shuffle=False).epoch(0))[: missing // 3])
    assert not ours.resident


def test_an_interrupt_is_not_put_off() -> None:
    def stored() -> Iterator[Batch]:
        yield kinds()[0]
        raise KeyboardInterrupt

    running = PinnedRing(CPU, LateCopies(behind=False)).ahead(stored())
    with pytest.raises(KeyboardInterrupt):
        next(running)


def test_worker_processes_fill_the_ring_as_well() -> None:
    ours = make(workers=1)
    copies = send_late(ours, behind=True)
    try:
        assert equal(read(copies, ours.epoch(0)), list(make().epoch(0)))
    finally:
        ours.close()


def test_global_generators_are_left_alone() -> None:
    def states() -> tuple[Any, ...]:
        return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())

    ours = make()
    send_late(ours)
    before = states()
    list(ours.epoch(0))
    assert states() == before


def tensor_part() -> TensorPart:
    return TensorPart(torch.arange(COUNT * 2.0).view(COUNT, 2), torch.arange(COUNT))


def test_a_part_that_stays_in_the_hosts_memory_goes_the_same_way() -> None:
    def batches() -> Batches:
        return Batches(tensor_part(), 3, seed=1, device="cpu", shuffle=True, on_device=False, train=True)

    ours = batches()
    copies = send_late(ours, behind=True)
    assert equal(read(copies, ours.epoch(0, start=2)), list(batches().epoch(0, start=2)))
    assert copies.sent == len(ours) - 2


def test_on_the_cpu_batches_are_handed_on_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = make()
    pairs = [(torch.zeros(3, 1), torch.zeros(3)) for _ in range(len(batches))]
    load: Callable[..., Any] = lambda epoch, chunks: iter(pairs)  # noqa: E731
    assert ring_to(CPU) is None and batches._loader is not None
    monkeypatch.setattr(batches._loader, "load", load)
    for batch, (inputs, targets) in zip(batches.epoch(0), pairs, strict=True):
        assert batch.inputs is inputs and batch.targets is targets


@pytest.mark.parametrize("part", [DatasetPart(Noise()), tensor_part()], ids=["read", "in memory"])
def test_to_other_devices_batches_are_moved(part: Part) -> None:
    meta = torch.device("meta")
    batches = Batches(part, 3, seed=1, device=meta, shuffle=True, on_device=False, train=True)
    assert batches._ring is None and not batches.resident
    moved = list(batches.epoch(0))
    assert {(batch.inputs.device, batch.targets.device) for batch in moved} == {(meta, meta)}
    assert len(moved) == len(batches)
