"""Batches on their way from the host to a GPU: copied from page-locked memory while it computes.

One batch is under way while the one before it is learnt from. The GPU waits for a batch's own copy, and the host for
the copy out of a buffer that it is about to fill again; neither waits for anything else. Which batches come, and in
which order, stays as it was: what is ahead is only ever on its way, and who stops early has counted what was delivered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from dlcore.data.spec import Batch

SLOTS = 3
"""Batches in page-locked memory: one being filled, one being copied, and one by which the host may be early."""


class Copies(Protocol):
    """How tensors get to a device. On a GPU by a stream and events; nothing else here knows of CUDA.

    A mark stands for the end of a copy: the device or the host can wait for it.
    """

    def buffer(self, size: int) -> Tensor:
        """Host memory that is copied from in the background: (size,) uint8, not filled."""

    def send(self, staged: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], Any]:
        """Start copying tensors that lie in buffers.

        Returns:
            Tensors on the device, not to be read yet, and the mark of the copy.
        """

    def receive(self, sent: Sequence[Tensor], mark: Any) -> None:
        """What the device is given to do from now on may read what was sent; the host goes on at once."""

    def wait(self, mark: Any) -> None:
        """The host waits until a copy is made; its buffers can be filled again."""


class CudaCopies:
    """Copies on a stream of their own.

    A copy starts once the device is done with what it had been given by then: all but the last batch. So it runs
    beside one step, not further ahead, and the batches on the device stay few however early the host is.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)

    def buffer(self, size: int) -> Tensor:
        """Page-locked; torch gives it back only when no copy reads it any more."""
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)

    def send(self, staged: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], torch.cuda.Event]:
        """As in `Copies`; the memory on the device is that of the side stream."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            sent = tuple(tensor.to(self._device, non_blocking=True) for tensor in staged)
            return sent, self._stream.record_event()

    def receive(self, sent: Sequence[Tensor], mark: torch.cuda.Event) -> None:
        """For the stream that is current now; the memory is not given to another copy before that stream is done."""
        stream = torch.cuda.current_stream(self._device)
        stream.wait_event(mark)
        for tensor in sent:
            tensor.record_stream(stream)

    def wait(self, mark: torch.cuda.Event) -> None:
        """For this one copy; the stream that computes goes on."""
        mark.synchronize()


class _Slot:
    """Host memory of one batch: a buffer for each tensor, which smaller batches share."""

    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        self._buffers: list[Tensor] = []
        self._mark: Any = None

    def send(self, tensors: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], Any]:
        """As `Copies.send`, through this memory as soon as the copy before has left it."""
        if self._mark is not None:
            self._copies.wait(self._mark)
        sent, self._mark = self._copies.send(
            [self._staged(number, tensor) for number, tensor in enumerate(tensors)]
        )
        return sent, self._mark

    def _staged(self, number: int, tensor: Tensor) -> Tensor:
        """A contiguous copy of a tensor; a new buffer only where it is the largest so far."""
        if number == len(self._buffers):
            self._buffers.append(self._copies.buffer(tensor.nbytes))
        elif self._buffers[number].nbytes < tensor.nbytes:
            self._buffers[number] = self._copies.buffer(tensor.nbytes)
        place = self._buffers[number][: tensor.nbytes].view(tensor.dtype).view(tensor.shape)
        return place.copy_(tensor)


class _Sent(NamedTuple):
    """A batch under way. ``mark`` is None where it did not go through the ring."""

    batch: Batch
    mark: Any


class PinnedRing:
    """Sends batches to a device, one ahead of the one that is worked on.

    Args:
        device: where they are wanted.
        copies: makes the copies.
    """

    def __init__(self, device: torch.device, copies: Copies) -> None:
        self._device, self._copies = device, copies
        self._slots = cycle([_Slot(copies) for _ in range(SLOTS)])
        self._last: deque[_Sent] = deque()

    def ahead(self, stored: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches with inputs and targets on the device, contiguous there; ``index`` stays on the host.

        When the next batch cannot be had, the one under way is delivered before that is said, as it would have been
        without anything ahead. Several iterators may be open at a time.
        """
        under_way = self._last = deque()
        try:
            for batch in stored:
                under_way.append(self._send(batch))
                if len(under_way) > 1:
                    yield self._received(under_way.popleft())  # kept nowhere: its memory goes with its user's
            if under_way:
                yield self._received(under_way.popleft())
        except Exception:
            if under_way:
                yield self._received(under_way.popleft())
            raise
        finally:
            under_way.clear()

    @property
    def under_way(self) -> tuple[Tensor, ...]:
        """What is on the device and was not delivered yet, of the iterator opened last."""
        return tuple(tensor for sent in self._last for tensor in (sent.batch.inputs, sent.batch.targets))

    def _send(self, batch: Batch) -> _Sent:
        tensors = (batch.inputs, batch.targets)
        if not all(map(_dense_on_host, tensors)):
            inputs, targets = (tensor.to(self._device, non_blocking=True) for tensor in tensors)
            return _Sent(Batch(inputs, targets, batch.index), None)
        (inputs, targets), mark = next(self._slots).send(tensors)
        return _Sent(Batch(inputs, targets, batch.index), mark)

    def _received(self, sent: _Sent) -> Batch:
        if sent.mark is not None:
            self._copies.receive((sent.batch.inputs, sent.batch.targets), sent.mark)
        return sent.batch


def ring_to(device: torch.device) -> PinnedRing | None:
    """What sends batches to a device; None where there is no such way: they are moved, or are there already."""
    return PinnedRing(device, CudaCopies(device)) if device.type == "cuda" else None


def _dense_on_host(tensor: Tensor) -> bool:
    """Whether a flat buffer can hold a tensor; ragged and sparse ones cannot."""
    return tensor.device.type == "cpu" and tensor.layout is torch.strided and not tensor.is_nested
