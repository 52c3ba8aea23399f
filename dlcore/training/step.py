"""One optimizer step over one effective batch: the hot path.

Nothing here waits for the device, prints, writes or calls back; the exceptions, each asked for by the
preset, are marked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dlcore.data.spec import Batch
from dlcore.preset import Training
from dlcore.training.capture.marks import Marks
from dlcore.training.compiling import why_not_compiled
from dlcore.training.ema import EMA
from dlcore.training.evaluation import split
from dlcore.training.precision import Precision
from dlcore.training.recorder import Recorder
from dlcore.training.stopwatch import Stopwatch
from dlcore.training.task import Task, mapped
from dlcore.training.trouble import is_out_of_memory


class DoesNotFitError(Exception):
    """Gradients of a batch did not fit; nothing was changed."""


class Turn(NamedTuple):
    """One optimizer step of a phase.

    Attributes:
        curve: where its loss goes; "" for a repetition that is not the last, whose loss is left out.
        parameters: what it changes.
    """

    phase: str
    curve: str
    optimizer: torch.optim.Optimizer
    parameters: list[nn.Parameter]


class Stepper:
    """Changes the weights.

    Args:
        optimizers: one a phase, by the phase's name.

    Attributes:
        pieces: a batch goes through in so many pieces when memory is short; the gradient is the same.
        observed: loss, outputs and batch of the last step that was asked to keep them.
    """

    def __init__(
        self,
        task: Task,
        optimizers: dict[str, torch.optim.Optimizer],
        training: Training,
        precision: Precision,
        ema: EMA | None,
    ) -> None:
        self.task, self.training, self.precision, self.ema = task, training, precision, ema
        self.optimizers = optimizers
        self.phases = [
            Turn(p.name, _curve(p.name) if last else "", optimizers[p.name], parameters_of(p.modules))
            for p in task.phases
            for last in [False] * (p.repeats - 1) + [True]
        ]
        self.pieces = 1
        self.observed: tuple[Tensor, Any, Batch] | None = None
        self._norm: Tensor | None = None
        self._failure = ""
        self._skipped = 0
        self._skipped_there: Tensor | None = None  # and on the device, where asking would wait for it
        self._plain = not (training.clip_norm or training.clip_value or training.non_finite == "skip")
        self._factor = 1.0
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                group["initial_lr"] = float(group["lr"])

    def attach(self, stopwatch: Stopwatch, recorder: Recorder) -> None:
        """Before the first step: who is told the times, and who takes the losses without waiting for them."""
        self._stopwatch: Stopwatch | Marks = stopwatch
        self._add_loss: Callable[[str, Tensor], None] = recorder.add
        self._add_losses = recorder.add_many

    def start_epoch(self, *, frozen: bool) -> None:
        """Called when the task has said what learns in the coming epoch; ``frozen``: some layers do not."""

    def step(self, batches: Sequence[Batch], factor: float, keep: bool = False) -> None:
        """Update every phase's weights once.

        Args:
            batches: one effective batch; their losses are weighted by their sizes.
            factor: what the schedule multiplies the learning rates by.
            keep: whether to keep `observed` for the record.

        Raises:
            DoesNotFitError: the weights are as before; make `pieces` larger and call again.
        """
        if self._stopwatch.running:
            self._stopwatch.mark("data")
        self._set_rates(factor)
        self._change(batches, keep)

    def step_by_step(self, batches: Sequence[Batch], factor: float) -> None:
        """As `step`, for whoever looks at its operations: none of them is hidden in a recording."""
        self.step(batches, factor)

    @contextmanager
    def in_parts(self) -> Iterator[Marks | None]:
        """Inside, the device times the parts of steps that the host sees as one launch; None where there are none."""
        yield None

    def hand_over(self) -> None:
        """Before a record: losses that are still here go to whoever takes them."""

    def news(self) -> list[str]:
        """Sentences for the user since the last call."""
        failure, self._failure = self._failure, why_not_compiled(self.task.model)
        if failure == self._failure:
            return []
        return [f"The network is not compiled, it trains as it is: {self._failure}."]

    @property
    def learning_rate(self) -> float:
        """The rate of the last step, of the first group."""
        return float(self.phases[0].optimizer.param_groups[0]["initial_lr"] * self._factor)

    @property
    def skipped(self) -> int:
        """Steps not made because of a non-finite gradient, under ``non_finite = "skip"``; waits for the device."""
        return self._skipped + (0 if self._skipped_there is None else int(self._skipped_there))

    @skipped.setter
    def skipped(self, value: int) -> None:
        self._skipped = value
        if self._skipped_there is not None:
            self._skipped_there.zero_()

    def _set_rates(self, factor: float) -> None:
        self._factor = factor
        for optimizer in self.optimizers.values():  # which have other groups after a resume
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor

    def _change(self, batches: Sequence[Batch], keep: bool) -> None:
        """Everything that the device does in a step."""
        timed = self._stopwatch.running
        for phase, curve, optimizer, parameters in self.phases:
            _clear_gradients(parameters)
            loss = self._backward(phase, batches, keep)
            if loss is None:
                _clear_gradients(parameters)
                raise DoesNotFitError
            if curve:
                self._add_loss(curve, loss)
            if self._plain or self._usable(optimizer, parameters):
                self._apply(optimizer)
            if timed:
                self._stopwatch.mark("optimizer")
        if self.ema is not None:
            self._average(self.ema)
            if timed:
                self._stopwatch.mark("optimizer")

    def _average(self, ema: EMA) -> None:
        ema.update()

    def _backward(self, phase: str, batches: Sequence[Batch], keep: bool) -> Tensor | None:
        """Gradients of the mean loss, (), of the effective batch; None when memory ran out.

        The caller recovers, outside the except block: an exception in flight pins the tensors of its
        traceback.
        """
        mean: Tensor | None = None
        scaler, timed = self.precision.scaler, self._stopwatch.running
        try:
            for batch, weight in self._weighted(batches):
                with self.precision.autocast():
                    loss, outputs = self.task.loss(batch, phase)
                if timed:
                    self._stopwatch.mark("forward")
                share = loss if weight == 1.0 else loss * weight
                (share if scaler is None else scaler.scale(share)).backward()
                if timed:
                    self._stopwatch.mark("backward")
                share = share.detach()
                mean = share if mean is None else mean + share
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None
        if keep:
            self.observed = (loss.detach(), mapped(outputs, Tensor.detach), batch)
        return mean

    def _weighted(self, batches: Sequence[Batch]) -> list[tuple[Batch, float]]:
        if len(batches) == 1 and self.pieces == 1:
            return [(batches[0], 1.0)]
        total = sum(len(batch.targets) for batch in batches)
        return [(p, len(p.targets) / total) for batch in batches for p in split(batch, self.pieces)]

    def _usable(self, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> bool:
        """Clip as the preset says; under ``non_finite = "skip"`` also judge whether the step may be made."""
        training = self.training
        if self.precision.scaler is not None:
            self.precision.scaler.unscale_(optimizer)
        if training.clip_value:
            nn.utils.clip_grad_value_(parameters, training.clip_value)
        self._norm = norm = nn.utils.clip_grad_norm_(parameters, training.clip_norm or math.inf)
        if training.non_finite != "skip":
            return True
        if self._skips_there(optimizer):
            self._mark_skipped(optimizer, norm)
            return True
        finite = bool(norm.isfinite())  # waits for the device: the price of this policy
        self._skipped += not finite
        return finite or self.precision.scaler is not None  # a scaler skips by itself, and lowers its scale

    def _skips_there(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether the optimizer's own kernel can be told to leave a step out, so that nothing waits for the device."""
        return self._norm is not None and self._norm.is_cuda and has_fused_kernel(optimizer)

    def _mark_skipped(self, optimizer: torch.optim.Optimizer, norm: Tensor) -> None:
        bad = norm.isfinite().logical_not()
        if self._skipped_there is None:
            self._skipped_there = torch.zeros((), dtype=torch.int64, device=norm.device)
        self._skipped_there += bad
        if self.precision.scaler is None:  # which finds out by itself
            optimizer.found_inf = bad.float()  # type: ignore[attr-defined]

    def _apply(self, optimizer: torch.optim.Optimizer) -> None:
        scaler = self.precision.scaler
        if scaler is None:
            optimizer.step()
            vars(optimizer).pop("found_inf", None)
        else:
            scaler.step(optimizer)
            scaler.update()

    def gradient_norm(self) -> Tensor | None:
        """Norm, (), of the last step's gradient before clipping, on the device; None before any.

        In fp16 without clipping it is divided by the scale the gradient still carries.
        """
        if self._norm is not None:
            return self._norm
        once = [turn.parameters for turn in self.phases if turn.curve]
        gradients = [p.grad for parameters in once for p in parameters if p.grad is not None]
        if not gradients:
            return None
        # What `get_total_norm` does for tensors of one device, without sorting them by it: a tenth of the time.
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        scaler = self.precision.scaler
        return norm if scaler is None else norm / scaler.get_scale()


def parameters_of(modules: tuple[nn.Module, ...]) -> list[nn.Parameter]:
    """Every parameter once; frozen ones too, since a task may free them later."""
    return list(dict.fromkeys(p for module in modules for p in module.parameters()))


def has_fused_kernel(optimizer: torch.optim.Optimizer) -> bool:
    """Whether one kernel changes all weights, and looks by itself at whether the step may be made."""
    return bool(getattr(optimizer, "_step_supports_amp_scaling", False))


def _clear_gradients(parameters: list[nn.Parameter]) -> None:
    """What ``optimizer.zero_grad`` does, without the 10 microseconds its profiler hook costs."""
    for parameter in parameters:
        parameter.grad = None


def _curve(phase: str) -> str:
    return "train/loss" if phase == "main" else f"train/loss_{phase}"
