"""Batches of a part, in an order that depends on the seed and the epoch only.

Order = f(seed, epoch) and augmentation = f(seed, epoch, sample), whatever the device, the number of loader
workers and the batch an epoch is taken up at. A part in memory is sliced by a permutation: two gathers a
batch and no per-sample Python. Batches that are not on the training device yet go there through `ring`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from dlcore.data.loader import Loader
from dlcore.data.placing import place
from dlcore.data.ring import ring_to
from dlcore.data.seeding import torch_generator
from dlcore.data.spec import Batch, DatasetPart, Part, TensorPart
from dlcore.errors import UserError

VIEWS = 1024
"""Views of the order made in one call: half the price of a slice each, without millions at a time."""


class Augmentation(Protocol):
    """A random change of prepared inputs, drawn once an epoch for all samples."""

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The random numbers of ``count`` samples: tensors (count, ...) on the CPU."""

    def apply(self, inputs: Tensor, params: dict[str, Tensor]) -> Tensor:
        """``inputs`` (batch, ...) changed by their rows of what was drawn; same shape, dtype and device."""


@runtime_checkable
class EpochAugmentation(Augmentation, Protocol):
    """One whose epochs hang together, such as a flip that alternates."""

    def draw_in(
        self, epoch: int, count: int, generator_of: Callable[[int], torch.Generator]
    ) -> dict[str, Tensor]:
        """What `draw` gives, for an epoch.

        Args:
            generator_of: the generator of an epoch, at its start; the same for the same epoch.
        """


@runtime_checkable
class TargetAugmentation(Augmentation, Protocol):
    """One that changes targets as well: a mask has to move with its picture."""

    def apply_targets(self, targets: Tensor, params: dict[str, Tensor]) -> Tensor:
        """``targets`` (batch, ...) changed by the same rows; same shape, dtype and device."""


class Batches:
    """One part cut into batches on the training device, epoch after epoch.

    Args:
        part: the samples.
        batch_size: samples a batch; the last one of an epoch may be smaller.
        seed: names the order and the augmentation of every epoch.
        device: where batches are wanted; a part in memory is moved there once when it fits.
        shuffle: a new order each epoch, else the part's own.
        drop_last: leave out a last batch that is not full.
        workers: loader processes for a part that is not in memory; they change speed only.
        on_device: keep a part that is in memory on the device, where it fits there.
        share: picks this process's positions out of those of a batch, where several train together.
        train: apply the part's augmentation.

    Attributes:
        notes: sentences for the user about what had to be done differently than asked.

    Raises:
        UserError: ``drop_last`` leaves nothing to train on.
    """

    def __init__(
        self,
        part: Part,
        batch_size: int,
        *,
        seed: int,
        device: torch.device | str,
        shuffle: bool,
        drop_last: bool = False,
        workers: int = 0,
        on_device: bool = True,
        share: Callable[[Tensor], Tensor] | None = None,
        train: bool,
    ) -> None:
        self.batch_size = batch_size
        self.device = torch.device(device)
        self.notes: tuple[str, ...] = ()
        self._count = len(part)
        self._seed = seed
        self._shuffle, self._share = shuffle, share
        self._stop = self._count // batch_size * batch_size if drop_last else self._count
        self._augment: Augmentation | None = part.augment if train else None
        self._augment_targets = self._augment if isinstance(self._augment, TargetAugmentation) else None
        if train and self._count and not self._stop:
            raise UserError(
                f"batch_size {batch_size} is more than the {self._count:,} training samples and drop_last is "
                "on: nothing would be trained; lower training.batch_size or switch training.drop_last off"
            )
        self._loader: Loader | None = None
        if isinstance(part, TensorPart):
            self._inputs, self._prepare = (
                place(part.inputs, part.prepare, self.device) if on_device else (part.inputs, part.prepare)
            )
            self._targets = part.targets.to(self._inputs.device)
            self._away = self._inputs.device.type != self.device.type
        else:
            self._open_loader(part, workers)
        self._ring = ring_to(self.device) if self._away else None

    def __len__(self) -> int:
        """Batches an epoch."""
        return -(-self._stop // self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of ``epoch`` from the one at position ``start`` on; earlier ones cost nothing."""
        order = self._order(epoch)
        stored = self._loaded(epoch, order, start) if self._loader else self._sliced(order, start)
        if self._ring is not None:
            stored = self._ring.ahead(stored)
        elif self._away:
            stored = self._moved(stored)
        ready = self._prepare is None and self._augment is None
        return stored if ready else self._finished(stored, self._draw(epoch), order, start)

    @property
    def resident(self) -> tuple[Tensor, ...]:
        """What lies in an accelerator's memory beside the batch in use: the whole part, or the next batch of it."""
        if self._ring is not None:
            return self._ring.under_way
        if self._away or self.device.type == "cpu":
            return ()
        return self._inputs, self._targets

    @property
    def ahead(self) -> int:
        """Bytes of batches that loading processes keep ready in the host's memory, where that is the device's."""
        return self._loader.ahead if self._loader is not None and not self._away else 0

    def sizes(self, start: int, count: int) -> list[int]:
        """Samples of the batches from position ``start`` on, those of other processes counted in."""
        lows = range(start * self.batch_size, (start + count) * self.batch_size, self.batch_size)
        return [min(self.batch_size, self._stop - low) for low in lows]

    def close(self) -> None:
        """End the loader's processes; safe to call twice."""
        if self._loader is not None:
            self._loader.close()

    def _open_loader(self, part: DatasetPart, workers: int) -> None:
        self._prepare = part.prepare
        self._loader = Loader(part.dataset, self.batch_size, workers=workers)
        self._away = self.device.type != "cpu"
        self.notes = self._loader.notes

    def _order(self, epoch: int) -> Tensor:
        if not self._shuffle:
            return torch.arange(self._count)
        return torch.randperm(self._count, generator=torch_generator(self._seed, epoch, "order"))

    def _draw(self, epoch: int) -> dict[str, Tensor]:
        if self._augment is None:
            return {}
        if isinstance(self._augment, EpochAugmentation):
            drawn = self._augment.draw_in(epoch, self._count, self._draws)
        else:
            drawn = self._augment.draw(self._count, self._draws(epoch))
        return {key: value.to(self.device) for key, value in drawn.items()}

    def _draws(self, epoch: int) -> torch.Generator:
        return torch_generator(self._seed, epoch, "augment")

    def _finished(
        self, stored: Iterator[Batch], params: dict[str, Tensor], order: Tensor, start: int
    ) -> Iterator[Batch]:
        # Sent once an epoch: a copy for each batch, from memory that is not pinned, may wait for the device.
        there = order.to(self.device) if params and self._share is None else None
        low = start * self.batch_size
        for inputs, targets, index in stored:
            if self._prepare is not None:
                inputs = self._prepare(inputs)
            if self._augment is not None:
                if there is None:
                    where = index.to(self.device, non_blocking=True)
                else:
                    where = there[low : low + len(index)]
                    low += len(index)
                rows = {key: value[where] for key, value in params.items()}
                inputs = self._augment.apply(inputs, rows)
                if self._augment_targets is not None:
                    targets = self._augment_targets.apply_targets(targets, rows)
            yield Batch(inputs, targets, index)

    def _sliced(self, order: Tensor, start: int) -> Iterator[Batch]:
        size, inputs, targets = self.batch_size, self._inputs, self._targets
        where = order.to(inputs.device)
        for low in range(start * size, self._stop, size * VIEWS):
            high = min(low + size * VIEWS, self._stop)
            indices = order[low:high].split(size)
            pairs: Iterator[tuple[Tensor, Tensor]]
            if self._share is not None:
                indices = tuple(map(self._share, indices))
                rows = tuple(index.to(inputs.device) for index in indices)
                pairs = ((inputs.index_select(0, r), targets.index_select(0, r)) for r in rows)
            elif self._shuffle:
                rows = indices if where is order else where[low:high].split(size)
                pairs = ((inputs.index_select(0, r), targets.index_select(0, r)) for r in rows)
            else:
                pairs = zip(inputs[low:high].split(size), targets[low:high].split(size), strict=True)
            for (batch, answers), index in zip(pairs, indices, strict=True):
                yield Batch(batch, answers, index)

    def _loaded(self, epoch: int, order: Tensor, start: int) -> Iterator[Batch]:
        assert self._loader is not None
        chunks = [
            order[low : low + self.batch_size]
            for low in range(start * self.batch_size, self._stop, self.batch_size)
        ]
        if self._share is not None:
            chunks = list(map(self._share, chunks))
        for index, (inputs, targets) in zip(chunks, self._loader.load(epoch, chunks), strict=True):
            yield Batch(inputs, targets, index)

    def _moved(self, stored: Iterator[Batch]) -> Iterator[Batch]:
        for inputs, targets, index in stored:
            yield Batch(inputs.to(self.device), targets.to(self.device), index)


def some_inputs(part: Part, count: int, seed: int) -> Tensor:
    """Inputs (samples, ...) of at most ``count`` samples of a part as a model gets them, picked at random."""
    rows = torch.randperm(len(part), generator=torch_generator(seed, "some"))[:count]
    if isinstance(part, TensorPart):
        inputs = part.inputs.index_select(0, rows.to(part.inputs.device))
    else:
        inputs = torch.stack([torch.as_tensor(part.dataset[(0, row)][0]) for row in rows.tolist()])
    return inputs if part.prepare is None else part.prepare(inputs)
