"""The loop.

batches -> step (forward, backward, accumulate, clip, update) -> record -> obey commands -> evaluate ->
checkpoint, visible in `Trainer.fit` and the methods right below it. Losses stay on the device; nothing
synchronises except at the recorder's interval, by time and not by step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from dlcore.control import ControlReader
from dlcore.data.batches import Batches
from dlcore.data.spec import Batch
from dlcore.preset import Checkpoint as CheckpointSection
from dlcore.preset import Training
from dlcore.training.checkpoints import Checkpoint, CheckpointWriter
from dlcore.training.commands import attend
from dlcore.training.diagnostics import Diagnostics
from dlcore.training.divergence import diverged
from dlcore.training.evaluation import evaluate
from dlcore.training.freezing import Freezing
from dlcore.training.judging import mode_of
from dlcore.training.looks import Looks
from dlcore.training.memory import measured
from dlcore.training.outcome import Outcome
from dlcore.training.progress import Progress, rng_state, set_rng_state, take_snapshot
from dlcore.training.recorder import Recorder
from dlcore.training.schedules import Schedule
from dlcore.training.shortage import evaluate_or_end, use_smaller_pieces
from dlcore.training.signals import Flags
from dlcore.training.step import DoesNotFitError, Stepper
from dlcore.training.stopwatch import Stopwatch
from dlcore.training.vitals import Vitals


class Trainer:
    """Trains one task to its end; everything it stands on is handed in.

    Args:
        stepper: changes the weights; with it come the task, its optimizers and the number format.
        train: batches of the training part.
        val: batches of the validation part.
        schedule: the learning rate's course, the same for every phase.
        training: the preset's section.
        checkpoint: the preset's section.
        looks: inside the network; when, and what they cost.
        remember: told the section whenever a command changed it.
        freezing: which layers do not learn in which epochs; None: all learn.

    Attributes:
        steps_per_epoch: optimizer steps of one epoch; a field, since every step asks for it.
        outcome: how it ended, once it has.
    """

    together = False
    """Whether other processes train with this one."""

    def __init__(
        self,
        stepper: Stepper,
        train: Batches,
        val: Batches,
        schedule: Schedule,
        *,
        training: Training,
        checkpoint: CheckpointSection,
        recorder: Recorder,
        saver: CheckpointWriter,
        control: ControlReader,
        flags: Flags,
        looks: Looks,
        remember: Callable[[Training], None] = lambda _: None,
        freezing: Freezing | None = None,
    ) -> None:
        self.stepper, self.train, self.val, self.schedule = stepper, train, val, schedule
        self.task, self.optimizers = stepper.task, stepper.optimizers
        self.precision, self.ema = stepper.precision, stepper.ema
        self.training, self.checkpoint = training, checkpoint
        self.recorder, self.saver, self.looks = recorder, saver, looks
        self.control, self.flags, self.remember = control, flags, remember
        self.freezing = freezing
        self.steps_per_epoch = -(-len(train) // training.accumulate)
        self.progress = Progress()
        self.outcome: Outcome | None = None
        self.clock = time.perf_counter
        self.vitals = Vitals(train.device, training.record_seconds)
        self.diagnostics = Diagnostics(
            self.task.model, self.vitals, training.record_seconds, self.clock, inside=looks.wanted
        )
        self.stopwatch = Stopwatch(train.device, self.clock)
        stepper.attach(self.stopwatch, recorder)
        self._started = self._saved_at = self._epoch_started = self.clock()
        self._seconds_before = 0.0
        self._epoch_from = 0
        # The second step is weighed: the first one makes the optimizer's state. A compiled network cannot be.
        self._to_weigh = 0 if training.compile or self.together else 2

    def fit(self) -> Outcome:
        """Train until an end is reached or asked for."""
        self._started, self._seconds_before = self.clock(), self.progress.seconds
        self.task.model.train()
        self.looks.at_start(self)
        try:
            while not self._ended():
                self._train_epoch()
        finally:
            self.saver.wait()
            self.recorder.sync()
        assert self.outcome is not None
        return self.outcome

    def _train_epoch(self) -> None:
        progress, recorder, flags, clock = self.progress, self.recorder, self.flags, self.clock
        epoch_batches, step_limit = len(self.train), self.training.max_steps
        self._start_epoch()
        self._epoch_started, self._epoch_from = clock(), progress.batch
        if self.stopwatch.running:
            self.stopwatch.start()  # anew: what came between two epochs is no waiting for data
        for batches in self._effective_batches():
            progress.batch += len(batches)
            last = progress.batch == epoch_batches or progress.step + 1 == step_limit
            due = self._due() if self.together else flags.raised or clock() >= recorder.next_due
            examine = (due or last) and self._examines()
            if not self._step(batches, examine):
                return
            if due or last:
                self._record(due=due, examined=examine)
                if not last:
                    self._obey()
                if self.outcome is not None:
                    return
                if not last and self._time_to_save():
                    self.save()
                if not last:
                    self.looks.at_record(self)
                if due or examine:
                    self.stopwatch.start()
            if last:
                break
            del batches  # so the next ones take their memory while cached: 1 % of a step of the MNIST MLP
        self._end_epoch()

    def _start_epoch(self) -> None:
        """What learns in this epoch, and what does not."""
        epoch, freezing = self.progress.epoch, self.freezing
        self.task.start_epoch(epoch)
        if freezing is not None:
            freezing.start_epoch(epoch)
        self.stepper.start_epoch(frozen=freezing is not None and freezing.frozen(epoch))

    def _due(self) -> bool:
        """Whether to look up after this step, where several processes have to agree."""
        raise NotImplementedError

    def _examines(self) -> bool:
        """Whether the coming step, which is recorded or ends an epoch, is examined: the last one always."""
        return self.diagnostics.affordable() or self.progress.step + 1 >= self.total_steps

    def _step(self, batches: Sequence[Batch], examine: bool) -> bool:
        """One optimizer step, in smaller pieces where memory is short; False when not even one sample fits."""
        factor = self.factor
        if examine:
            self.diagnostics.before_step()
        while True:
            try:
                if self._to_weigh:
                    self._weigh(batches, factor, examine)
                else:
                    self.stepper.step(batches, factor, examine)
                break
            except DoesNotFitError:
                pass  # handled below, when the exception no longer pins the tensors of its traceback
            if not use_smaller_pieces(self, batches):
                return False
        if examine:
            self.diagnostics.after_step()
        self.progress.step += 1
        if self.stopwatch.running:
            self.recorder.scalars(self.progress.step, self.stopwatch.stop())
        return True

    def _weigh(self, batches: Sequence[Batch], factor: float, keep: bool) -> None:
        """A step of which the memory is told, where it is the one to weigh."""
        self._to_weigh -= 1
        if self._to_weigh:
            self.stepper.step(batches, factor, keep)
            return
        data = [*(tensor for batch in batches for tensor in batch[:2]), *self.train.resident]
        step = lambda: self.stepper.step(batches, factor, keep)  # noqa: E731
        split = measured(self.stepper, data, step, self.train.ahead).to_dict()
        self.recorder.event("memory", step=self.progress.step + 1, **split)
        self.recorder.state(memory=split)

    def _settle(self) -> float:
        """Fetch and judge the losses and the last gradient, whose norm it returns.

        No epoch ends without it: weights that are not finite must not be saved.
        """
        progress = self.progress
        self.stepper.hand_over()
        losses = self.recorder.fetch(progress.step)
        for name, values in losses.items():
            progress.add_losses(name, values)
        norm = self.stepper.gradient_norm()
        grad_norm = 0.0 if norm is None else float(norm)
        if self.training.non_finite == "stop":
            self.outcome = diverged(self, losses, grad_norm)
        return grad_norm

    def _record(self, *, due: bool, examined: bool) -> None:
        """Fetch what the steps left on the device, judge it, and write it down.

        Args:
            due: whether it is time; at an epoch's end that comes too soon, what can wait is left for later.
            examined: whether the last step was examined: its figures are written.
        """
        progress, recorder = self.progress, self.recorder
        points = {"train/lr": self.learning_rate, "train/grad_norm": self._settle()}
        if self.outcome is not None or not (due or examined):
            return
        if examined:
            points |= self.diagnostics.points(self.stepper)
        speed = self._samples_per_second()
        recorder.scalars(progress.step, points | {"train/samples_per_second": speed})
        recorder.flush()
        recorder.rest()
        recorder.state(
            step=progress.step,
            steps=self.total_steps,
            epoch=progress.epoch,
            seconds=self.seconds,
            samples_per_second=speed,
            lr=self.learning_rate,
        )
        for message in self.stepper.news():
            recorder.event("warning", kind="graph", message=message)
        if (skipped := self.stepper.skipped) > progress.skipped:
            progress.skipped = skipped
            message = f"{progress.skipped:,} steps skipped so far: their gradients were not finite."
            recorder.event("warning", kind="skipped", message=message)

    def _obey(self) -> None:
        """Carry out what viewers and signals asked for since the last look; waits here while paused."""
        attend(self)

    def _end_epoch(self) -> None:
        progress, training = self.progress, self.training
        seconds, speed = self.clock() - self._epoch_started, self._samples_per_second()
        complete = progress.batch == len(self.train)
        if complete:
            progress.batch, progress.epoch = 0, progress.epoch + 1
        metrics = progress.take_epoch_losses() if complete else {}
        better = False
        if not complete or progress.epoch % training.evaluate_every == 0 or progress.epoch >= training.epochs:
            results = evaluate_or_end(self)
            if self.outcome is not None:
                return
            metrics |= results
            value = metrics[self.monitor]
            self.schedule.observe(value, self.monitor_mode == "min")
            better = progress.judge(self.monitor, value, self.monitor_mode, training.min_delta)
        facts = {
            "epoch": progress.epoch,
            "step": progress.step,
            "metrics": metrics,
            "seconds": seconds,
            "samples_per_second": speed,
            "lr": self.learning_rate,
            "best": better,
        }
        self.recorder.state(
            epoch=progress.epoch,
            step=progress.step,
            seconds=self.seconds,
            best=progress.best,
            metrics={**self.recorder.summary.get("metrics", {}), **metrics},
        )
        if better or self._checkpoint_due():
            self.save(best=better, epoch_event=facts)
        else:
            self.recorder.event("epoch", **facts)
        self.looks.at_epoch_end(self, better=better, over=self._end() is not None)
        self._obey()

    def evaluate(self) -> dict[str, float]:
        """Validation figures, with the averaged weights where there are any; recorded as points of this step."""
        if self.ema is None:
            results = evaluate(self.task, self.val, self.precision).compute()
        else:
            with self.ema.applied():
                results = evaluate(self.task, self.val, self.precision).compute()
        named = {f"val/{name}": float(value) for name, value in results.items()}
        self.recorder.scalars(self.progress.step, named)
        self.recorder.flush_sometimes()
        return named

    def save(self, *, best: bool = False, epoch_event: dict[str, Any] | None = None) -> None:
        """Snapshot now, write beside the training. An epoch is announced when it can no longer be lost."""
        self._saved_at = self.clock()
        self.recorder.flush()  # a resume goes on from here: what came before is not to be lost
        snapshot = take_snapshot(self, best=best)
        snapshot.facts["announces"] = epoch_event  # for a resume, should this process die before it can
        step, epoch = self.progress.step, self.progress.epoch

        def done(checkpoint: Checkpoint | None, seconds: float) -> None:
            if checkpoint is not None:
                size = sum(file["bytes"] for file in checkpoint.manifest["files"].values())
                self.recorder.event(
                    "checkpoint",
                    step=step, epoch=epoch, path=checkpoint.path.name, bytes=size, seconds=seconds, best=best,
                )  # fmt: skip
            if epoch_event is not None:
                self.recorder.event("epoch", **epoch_event)

        self.saver.submit(snapshot, done)

    def rng_states(self) -> list[dict[str, Any]]:
        """The random generators' states, for the checkpoint; one a process."""
        return [rng_state()]

    def set_rng_states(self, states: list[dict[str, Any]]) -> bool:
        """Inverse of `rng_states`; False when they are of more processes than one."""
        set_rng_state(states[0])
        return len(states) == 1

    @property
    def monitor(self) -> str:
        """Name of the metric that decides which weights are best."""
        return self.training.monitor or self.task.monitor

    @property
    def monitor_mode(self) -> str:
        """``min`` or ``max``; for a metric of the user's choice, less is better when it is a loss or an error."""
        return mode_of(self.monitor, self.training, self.task)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole training, as it stands now."""
        steps = self.training.epochs * self.steps_per_epoch
        return min(steps, self.training.max_steps) if self.training.max_steps else steps

    @property
    def factor(self) -> float:
        """What the learning rates are multiplied by at this step."""
        factor = self.schedule.factor(self.progress.step, self.total_steps, self.steps_per_epoch)
        return factor * self.progress.lr_scale

    @property
    def learning_rate(self) -> float:
        """The rate of the last step, of the first group."""
        return self.stepper.learning_rate

    @property
    def seconds(self) -> float:
        """Seconds trained, over all resumes."""
        return self._seconds_before + self.clock() - self._started

    def _effective_batches(self) -> Iterator[tuple[Batch, ...]]:
        """What is left of this epoch: ``accumulate`` batches a step, the last may have fewer."""
        batches = self.train.epoch(self.progress.epoch, start=self.progress.batch)
        return iter(lambda: tuple(islice(batches, self.training.accumulate)), ())

    def _ended(self) -> bool:
        if self.outcome is None:
            self.outcome = self._end()
        return self.outcome is not None

    def _end(self) -> Outcome | None:
        """The end that is reached as things stand; a command may still put it off."""
        progress, training = self.progress, self.training
        if progress.epoch >= training.epochs:
            return Outcome("epochs")
        if training.max_steps and progress.step >= training.max_steps:
            return Outcome("max_steps")
        if training.patience and progress.waited >= training.patience:
            return Outcome("patience")
        return None

    def _samples_per_second(self) -> float:
        """Of this epoch so far, validation left out."""
        seconds = self.clock() - self._epoch_started
        samples = (self.progress.batch - self._epoch_from) * self.train.batch_size
        return samples / seconds if seconds > 0 else 0.0

    def _checkpoint_due(self) -> bool:
        every, progress = self.checkpoint, self.progress
        if not progress.batch and (
            progress.epoch % every.every_epochs == 0 or progress.epoch >= self.training.epochs
        ):
            return True
        if self.training.max_steps and progress.step >= self.training.max_steps:
            return True
        return self._time_to_save()

    def _time_to_save(self) -> bool:
        every = self.checkpoint.every_seconds
        return every > 0 and self.clock() - self._saved_at >= every
