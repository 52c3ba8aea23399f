"""A stand-in for a GPU's copies: each is made as late as it may be, and what a GPU would do silently is noticed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dlcore.data.batches import Batches
from dlcore.data.ring import PinnedRing
from dlcore.data.spec import Batch

UNREAD = 77
"""What memory holds that nothing was copied to."""


class LateCopies:
    """Copies in the order they were sent in, none before somebody waits for it.

    Args:
        behind: the device has work for longer than the test asks: what it waits for is made in `finish` only. Else it
            has caught up whenever it is given something.

    Attributes:
        sent: copies started.
        made: copies made.
        buffers: bytes of each buffer that was asked for.
        waits: which copies the host waited for.
    """

    def __init__(self, *, behind: bool) -> None:
        self.sent = self.made = 0
        self.buffers: list[int] = []
        self.waits: list[int] = []
        self._behind = behind
        self._copies: list[Callable[[], None]] = []
        self._work: list[Callable[[], None]] = []

    def buffer(self, size: int) -> Tensor:
        self.buffers.append(size)
        return torch.full((size,), UNREAD, dtype=torch.uint8)

    def send(self, staged: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], int]:
        as_staged = [tensor.clone() for tensor in staged]
        sent = tuple(torch.full_like(tensor, UNREAD) for tensor in staged)

        def copy() -> None:
            for place, tensor, before in zip(sent, staged, as_staged, strict=True):
                assert torch.equal(tensor, before), "a buffer was filled again before it had been copied"
                place.copy_(tensor)

        self._copies.append(copy)
        self.sent += 1
        return sent, self.sent - 1

    def receive(self, sent: Sequence[Tensor], mark: int) -> None:
        self._give(lambda: self._make(mark))

    def wait(self, mark: int) -> None:
        self.waits.append(mark)
        self._make(mark)

    def reads(self, batch: Batch, seen: list[Batch]) -> None:
        """The device reads a batch when it gets round to it."""
        self._give(lambda: seen.append(Batch(batch.inputs.clone(), batch.targets.clone(), batch.index)))

    def finish(self) -> None:
        """The device does what it was given."""
        work, self._work = self._work, []
        for task in work:
            task()

    def _give(self, task: Callable[[], None]) -> None:
        self._work.append(task)
        if not self._behind:
            self.finish()

    def _make(self, mark: int) -> None:
        while self.made <= mark:
            self._copies[self.made]()
            self.made += 1


def send_late(batches: Batches, *, behind: bool = False) -> LateCopies:
    """Send the batches of a part through a ring, on the CPU."""
    copies = LateCopies(behind=behind)
    batches._ring = PinnedRing(torch.device("cpu"), copies)
    return copies


def read(copies: LateCopies, batches: Any) -> list[Batch]:
    """What the device reads of each of some batches, all of them queued before it is waited for."""
    seen: list[Batch] = []
    for batch in batches:
        copies.reads(batch, seen)
    copies.finish()
    return seen
