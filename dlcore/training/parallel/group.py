"""The processes of one training, as torchrun started them, and what they tell each other."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from dlcore.errors import UserError

T = TypeVar("T")

WAIT = datetime.timedelta(minutes=30)
"""Longest wait for another process; process 0 may test or save for so long."""


@dataclass
class Group:
    """This process among its fellows.

    Attributes:
        rank: 0 writes the run directory, all others are silent.
        size: how many there are.
        local_rank: among those of this machine; names the GPU.
        device: that messages of tensors travel between.
        learning: whether a training step is under way in all of them.
        counts: whether this process has samples of its own in it.
    """

    rank: int
    size: int
    local_rank: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    learning: bool = False
    counts: bool = True

    @property
    def first(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0

    def told(self, value: T) -> T:
        """What process 0 has, in all of them; plain data."""
        box: list[Any] = [value if self.first else None]
        dist.broadcast_object_list(box, src=0)
        answer: T = box[0]
        return answer

    def all_of(self, value: T) -> list[T]:
        """What each process has, by rank; plain data and tensors on the host."""
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def mean(self, values: Tensor) -> Tensor:
        """Mean over processes of a tensor on the host."""
        there = values.to(self.device)
        dist.all_reduce(there)
        return there.to(values.device) / self.size

    @contextmanager
    def one_after_first(self) -> Iterator[None]:
        """Process 0 does the block before the others: what it downloads and unpacks is there for them."""
        if not self.first:
            dist.barrier()
        try:
            yield
        finally:
            if self.first:
                dist.barrier()

    @contextmanager
    def step(self) -> Iterator[None]:
        """Inside, all processes train."""
        self.learning = True
        try:
            yield
        finally:
            self.learning = False

    def own(self, chunk: Tensor) -> Tensor:
        """This process's part of a batch's positions; a stand-in that does not count where there are too few."""
        part = chunk.tensor_split(self.size)[self.rank]
        return part if len(part) else chunk[:1]

    def own_size(self, whole: int) -> int:
        """How many samples of a batch are this process's; 0 for a stand-in."""
        return whole // self.size + (self.rank < whole % self.size)


def join(environment: Mapping[str, str] = os.environ) -> Group | None:
    """The group that torchrun started this process in; None for a process of its own.

    Raises:
        UserError: the others cannot be reached.
    """
    if int(environment.get("WORLD_SIZE", "1")) < 2 or "RANK" not in environment:
        return None
    local = int(environment.get("LOCAL_RANK", "0"))
    on_gpu = torch.cuda.is_available() and torch.cuda.device_count() > local
    try:
        if on_gpu:
            torch.cuda.set_device(local)
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=WAIT)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"The processes of this training do not find each other: {error}") from error
    return Group(dist.get_rank(), dist.get_world_size(), local)


def leave() -> None:
    """End the group, if there is one."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def is_lost(error: BaseException) -> bool:
    """Whether an error says that another process is gone."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        sign in text
        for sign in ("connection closed", "connection reset", "connection refused", "broken pipe", "socket",
                     "timed out waiting", "nccl", "gloo")
    )  # fmt: skip
