"""The two loops that are compared: this program's trainer, and the shortest one that does the same to the weights.

Both train the same network on batches of the same part, in the same number format and with the same optimizer.
Neither evaluates or saves. A window of steps ends when the device has done them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import mean, median
from typing import Any

import torch
from torch import nn

from dlcore import assembly
from dlcore.data.batches import Batches
from dlcore.data.placing import place
from dlcore.data.spec import Batch, TensorPart
from dlcore.errors import UserError
from dlcore.opening import Opened
from dlcore.training.ema import EMA
from dlcore.training.outcome import OUT_OF_MEMORY
from dlcore.training.precision import Precision
from dlcore.training.quick_steps import QuickStep
from dlcore.training.step import parameters_of
from dlcore.training.task import Task
from dlcore.training.trainer import Trainer


@dataclass(frozen=True)
class Window:
    """What so many steps took.

    Attributes:
        samples: learnt from; steps in the environment where one is played, since episodes differ in length.
        recording: of the seconds, those spent on records.
    """

    seconds: float
    steps: int
    samples: int
    recording: float = 0.0

    @property
    def samples_per_second(self) -> float:
        """Samples of all steps, by the window's seconds."""
        return self.samples / self.seconds


class Played:
    """Counts what is played in an environment; a better policy plays longer episodes.

    Args:
        task: whose losses tell it.
    """

    def __init__(self, task: Task) -> None:
        self.count, self._loss = 0, task.loss
        task.loss = self._counted  # type: ignore[method-assign]

    def _counted(self, batch: Batch, phase: str) -> tuple[Any, Any]:
        loss, facts = self._loss(batch, phase)
        self.count += int(facts["length"].sum())
        return loss, facts

    @classmethod
    def of(cls, task: Task) -> Played | None:
        """None where no environment is played."""
        return cls(task) if task.spec.target == "reward" else None


class Timed(Trainer):
    """The trainer, on and on: it takes no results, saves nothing and obeys nobody."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A training that diverges is as fast as one that does not; the steps themselves stay as the preset has them.
        self.training = self.training.model_copy(update={"non_finite": "skip", "max_steps": 0})
        self._stream: Iterator[tuple[Batch, ...]] | None = None
        self._left = self._samples = 0
        self._played = Played.of(self.task)
        self._recording = 0.0
        self.diagnostics.free = 0  # only a training's first steps are examined at any price
        self._until = self.recorder.seconds, 0.0
        self.task.model.train()

    def advance(self, steps: int) -> Window:
        """Make so many steps, with the records that fall due meanwhile.

        Raises:
            UserError: not even one sample fits in memory.
        """
        self._left, self._samples, self._recording = steps, 0, 0.0
        played = self._played.count if self._played is not None else 0
        start = self.clock()
        # Time that others took brings no record nearer.
        self.recorder.next_due, self.diagnostics.next_due = (start + each for each in self._until)
        while self._left:
            self._train_epoch()
            if self.outcome is not None:
                raise UserError(OUT_OF_MEMORY)
        finish(self.train.device)
        end = self.clock()
        self._until = self.recorder.next_due - end, self.diagnostics.next_due - end
        samples = self._samples if self._played is None else self._played.count - played
        return Window(end - start, steps, samples, self._recording)

    def split(self, steps: int) -> dict[str, float]:
        """Seconds a step spends on its parts, the device waited for between them: the middle one of so many steps.

        Of ``data`` it is the mean: where a loader is too slow, most batches are there at once and some are not.
        What is replayed is one launch to the host. Its parts are told by the device, and what is left of its time is
        ``launch``; where the device cannot, all of it is ``replay``.
        """
        taken: dict[str, list[float]] = {}
        with self.stepper.in_parts() as marks:
            for _ in range(steps):
                self.stopwatch.start()
                (batches,) = self.take(1)
                self.stepper.step(batches, self.factor)
                parts = {name.rpartition("/")[2]: took for name, took in self.stopwatch.stop().items()}
                if marks is not None and "replay" in parts:
                    inside, whole = marks.seconds(), parts.pop("replay")
                    parts |= inside | {"launch": max(0.0, whole - sum(inside.values()))}
                for part, took in parts.items():
                    taken.setdefault(part, []).append(took)
        return {part: (mean if part == "data" else median)(each) for part, each in taken.items()}

    def take(self, steps: int) -> list[tuple[Batch, ...]]:
        """What the next steps learn from, which the caller makes; a new epoch begins where one ends."""
        taken: list[tuple[Batch, ...]] = []
        while len(taken) < steps:
            self._left = steps - len(taken)
            for batches in self._effective_batches():
                taken.append(batches)
                self.progress.batch += len(batches)
            self._end_epoch()
        return taken

    def _effective_batches(self) -> Iterator[tuple[Batch, ...]]:
        if self._stream is None:
            self._stream = super()._effective_batches()
        for batches in self._stream:
            self._left -= 1
            self._samples += sum(len(batch.targets) for batch in batches)
            yield batches
            if not self._left:
                return

    def _record(self, *, due: bool, examined: bool) -> None:
        start = self.clock()
        super()._record(due=due, examined=examined)
        self._recording += self.clock() - start

    def _end_epoch(self) -> None:
        if self.progress.batch == len(self.train):
            self.progress.batch, self.progress.epoch = 0, self.progress.epoch + 1
            self.progress.loss_sums, self._stream = {}, None

    def _obey(self) -> None:
        pass

    def save(self, *, best: bool = False, epoch_event: dict[str, Any] | None = None) -> None:
        """Nothing is kept."""


class Bare:
    """A loop as one writes it by hand: it looks at no clock, keeps no loss and answers nobody.

    Args:
        opened: with parts of its own, which this loop changes.
    """

    def __init__(self, opened: Opened) -> None:
        self.training, self.device = opened.preset.training, opened.device
        self.task, self.freezing = opened.parts.task, opened.parts.freezing
        self.optimizers = assembly.build_optimizers(opened.preset, self.task, opened.parts.rates)
        for optimizer in self.optimizers.values():
            if isinstance(optimizer, QuickStep):
                optimizer.quick = False  # as it comes with torch
        self.precision = Precision(opened.precision, opened.device)
        self.ema = EMA(self.task.model, self.training.ema) if self.training.ema else None
        self._played = Played.of(self.task)
        self._loader: Batches | None = None
        self._batches = iter(self._all_batches(opened))
        self.task.model.train()

    def advance(self, steps: int) -> Window:
        """Make so many steps."""
        samples, accumulate = 0, self.training.accumulate
        played = self._played.count if self._played is not None else 0
        start = time.perf_counter()
        for _ in range(steps):
            batches = list(islice(self._batches, accumulate))
            self._step(batches)
            samples += sum(len(batch.targets) for batch in batches)
        finish(self.device)
        seconds = time.perf_counter() - start
        return Window(seconds, steps, samples if self._played is None else self._played.count - played)

    def load(self) -> float:
        """Seconds that the batches of one step take to be there, while nothing else is done."""
        start = time.perf_counter()
        for _ in islice(self._batches, self.training.accumulate):
            pass
        finish(self.device)
        return time.perf_counter() - start

    def close(self) -> None:
        """Let go of the loader's processes."""
        if self._loader is not None:
            self._loader.close()

    def _step(self, batches: Sequence[Batch]) -> None:
        task, training, scaler = self.task, self.training, self.precision.scaler
        for phase in task.phases:
            optimizer = self.optimizers[phase.name]
            for _ in range(phase.repeats):
                for parameter in parameters_of(phase.modules):
                    parameter.grad = None
                for batch in batches:
                    with self.precision.autocast():
                        loss, _ = task.loss(batch, phase.name)
                    share = loss / len(batches) if len(batches) > 1 else loss
                    (share if scaler is None else scaler.scale(share)).backward()
                if training.clip_norm or training.clip_value:
                    self._clip(optimizer, phase.modules)
                if scaler is None:
                    optimizer.step()
                else:
                    scaler.step(optimizer)
                    scaler.update()
        if self.ema is not None:
            self.ema.update()

    def _clip(self, optimizer: torch.optim.Optimizer, modules: tuple[nn.Module, ...]) -> None:
        if self.precision.scaler is not None:
            self.precision.scaler.unscale_(optimizer)
        parameters = parameters_of(modules)
        if self.training.clip_value:
            nn.utils.clip_grad_value_(parameters, self.training.clip_value)
        if self.training.clip_norm:
            nn.utils.clip_grad_norm_(parameters, self.training.clip_norm)

    def _all_batches(self, opened: Opened) -> Iterator[Batch]:
        part = opened.parts.data.train
        if not isinstance(part, TensorPart):
            self._loader = opened.batches(part, train=True)
        stored = place(part.inputs, part.prepare, self.device) if isinstance(part, TensorPart) else None
        epoch = 0
        while True:
            self.task.start_epoch(epoch)
            if self.freezing is not None:
                self.freezing.start_epoch(epoch)
            if self._loader is not None:
                yield from self._loader.epoch(epoch)
            elif stored is not None:
                yield from self._sliced(part, *stored)  # type: ignore[arg-type]
            epoch += 1

    def _sliced(self, part: TensorPart, inputs: torch.Tensor, prepare: Any) -> Iterator[Batch]:
        """An epoch over tensors: a permutation, two gathers a batch, and what is left to do to each batch."""
        count, size, augment = len(part), self.training.batch, part.augment
        targets = part.targets.to(inputs.device)
        order = torch.randperm(count) if self.training.shuffle else torch.arange(count)
        drawn = augment.draw(count, torch.default_generator) if augment is not None else {}
        drawn = {key: value.to(self.device) for key, value in drawn.items()}
        where = order.to(inputs.device)  # once an epoch: for each batch the host would wait for the device
        there = order.to(self.device) if augment is not None else order
        for low in range(0, count // size * size if self.training.drop_last else count, size):
            index, rows = order[low : low + size], where[low : low + size]
            batch = inputs.index_select(0, rows).to(self.device)
            answers = targets.index_select(0, rows).to(self.device)
            if prepare is not None:
                batch = prepare(batch)
            if augment is not None:
                here = {key: value[there[low : low + size]] for key, value in drawn.items()}
                batch = augment.apply(batch, here)
                if hasattr(augment, "apply_targets"):
                    answers = augment.apply_targets(answers, here)
            yield Batch(batch, answers, index)


def finish(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
