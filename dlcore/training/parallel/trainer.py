"""The loop in one of several processes. All of them take the same decisions at the same steps: process 0's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dlcore.data.seeding import derived_seed
from dlcore.data.spec import Batch
from dlcore.training.outcome import Outcome
from dlcore.training.parallel.loss import AveragedLoss
from dlcore.training.parted import whole
from dlcore.training.progress import rng_state, set_rng_state
from dlcore.training.signals import Flags
from dlcore.training.step import Stepper
from dlcore.training.task import mapped
from dlcore.training.trainer import Trainer


class ParallelStepper(Stepper):
    """One step in which gradients are averaged over processes."""

    trainer: ParallelTrainer

    def __init__(self, *args: Any, averaged: AveragedLoss) -> None:
        super().__init__(*args)
        self.averaged = averaged

    def _backward(self, phase: str, batches: Sequence[Batch], keep: bool) -> Tensor | None:
        """As in one process; out of memory here cannot be helped, since the others would wait for ever."""
        mean: Tensor | None = None
        group, scaler, timed = self.averaged.group, self.precision.scaler, self._stopwatch.running
        sizes = self.trainer.sizes(len(batches))
        for number, (batch, size) in enumerate(zip(batches, sizes, strict=True)):
            own = group.own_size(size)
            group.counts = own > 0
            # The engines take the mean over processes: parts of a batch count by their samples.
            weight = own * group.size / sum(sizes)
            with self.averaged.gradients(phase, last=number + 1 == len(batches)):
                with self.precision.autocast():
                    loss, outputs = self.averaged(batch, phase)
                if timed:
                    self._stopwatch.mark("forward")
                share = loss * weight
                (share if scaler is None else scaler.scale(share)).backward()
            if timed:
                self._stopwatch.mark("backward")
            mean = share.detach() if mean is None else mean + share.detach()
        if keep:
            self.observed = (loss.detach(), mapped(outputs, Tensor.detach), batch)
        return mean

    def gradient_norm(self) -> Tensor | None:
        """Also where every process holds a part of each gradient."""
        if self.averaged.kind == "ddp":
            return super().gradient_norm()
        if self._norm is None:
            gradients = [p.grad for turn in self.phases for p in turn.parameters if p.grad is not None]
            return whole(torch.nn.utils.get_total_norm(gradients)) if gradients else None
        return whole(self._norm)


class ParallelTrainer(Trainer):
    """Trains one task together with other processes.

    Args:
        stepper: averages gradients.
        flags: what this process was sent; what all agree on is obeyed.
    """

    together = True

    def __init__(self, stepper: ParallelStepper, *args: Any, **kwargs: Any) -> None:
        self.averaged, self.group = stepper.averaged, stepper.averaged.group
        stepper.trainer = self
        self.sent: Flags = kwargs["flags"]
        super().__init__(stepper, *args, **{**kwargs, "flags": Flags()})
        self._next_record = 0
        self._recorded = (0, self.clock())

    def fit(self) -> Outcome:
        """Train until an end is reached or asked for."""
        if self.progress.step == 0:
            self.draw_apart()
        return super().fit()

    def sizes(self, count: int) -> list[int]:
        """Samples of the last so many batches, those of all processes together."""
        return self.train.sizes(self.progress.batch - count, count)

    def draw_apart(self) -> None:
        """What is drawn while training, such as dropout, is drawn anew in each process."""
        if not self.group.first:
            torch.manual_seed(derived_seed(self.training.seed, "process", self.group.rank))

    def _start_epoch(self) -> None:
        super()._start_epoch()
        self.averaged.start_epoch()

    def _due(self) -> bool:
        return self.progress.step + 1 >= self._next_record

    def _examines(self) -> bool:
        """Always, since all must take part: a gradient's norm is put together from everybody's."""
        return True

    def _record(self, *, due: bool, examined: bool) -> None:
        super()._record(due=due, examined=examined)
        before, at = self._recorded
        now, step = self.clock(), self.progress.step
        self._recorded = (step, now)
        steps = round(self.recorder.seconds * max(1, step - before) / max(now - at, 1e-6))
        # As many steps as fit in the record interval, but not from one slow step to thousands at once.
        self._next_record = step + self.group.told(max(1, min(steps, 2 * (step - before) + 8)))
        memory = self.group.all_of(self.vitals.read().get("system/memory", 0.0))
        self.recorder.scalars(
            step, {f"system/memory_process_{rank}": value for rank, value in enumerate(memory)}
        )

    def _obey(self) -> None:
        """Signals count when one process was sent them, and in all at once."""
        sent = self.group.all_of((self.sent.received, self.sent.save_wanted))
        self.sent.save_wanted = False
        self.flags.received = next((received for received, _ in sent if received is not None), None)
        self.flags.save_wanted = any(wanted for _, wanted in sent)
        super()._obey()

    def _time_to_save(self) -> bool:
        return self.checkpoint.every_seconds > 0 and self.group.told(super()._time_to_save())

    def evaluate(self) -> dict[str, float]:
        """Every process takes the whole part, so that the figures are those of one; process 0's count."""
        return self.group.told(super().evaluate())

    def rng_states(self) -> list[dict[str, Any]]:
        """Of every process, for the checkpoint."""
        return self.group.all_of(rng_state())

    def set_rng_states(self, states: list[dict[str, Any]]) -> bool:
        """Inverse of `rng_states`; False when they are of another number of processes."""
        if len(states) != self.group.size:
            self.draw_apart()
            return False
        set_rng_state(states[self.group.rank])
        return True
