"""One optimizer step over one effective batch: the hot path.

Nothing here waits for the device, prints, writes or calls back; the exceptions, each asked for by the
preset, are marked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dlcore.data.spec import Batch
from dlcore.preset import Training
from dlcore.training.ema import EMA
from dlcore.training.evaluation import split
from dlcore.training.precision import Precision
from dlcore.training.stopwatch import Stopwatch
from dlcore.training.task import Task, mapped
from dlcore.training.trouble import is_out_of_memory


class DoesNotFitError(Exception):
    """Gradients of a batch did not fit; nothing was changed."""


class Stepper:
    """Changes the weights.

    Args:
        optimizers: one a phase, by the phase's name.
        add_loss: takes a curve's name and a device scalar, (), without waiting for it.

    Attributes:
        pieces: a batch goes through in so many pieces when memory is short; the gradient is the same.
        skipped: steps not made because of a non-finite gradient, under ``non_finite = "skip"``.
        observed: loss, outputs and batch of the last step that was asked to keep them.
    """

    def __init__(
        self,
        task: Task,
        optimizers: dict[str, torch.optim.Optimizer],
        training: Training,
        precision: Precision,
        ema: EMA | None,
        stopwatch: Stopwatch,
        add_loss: Callable[[str, Tensor], None],
    ) -> None:
        self.task, self.training, self.precision, self.ema = task, training, precision, ema
        self.phases = [  # a repeated phase has one curve: the loss of its last repetition
            (p.name, _curve(p.name) if last else "", optimizers[p.name], parameters_of(p.modules))
            for p in task.phases
            for last in [False] * (p.repeats - 1) + [True]
        ]
        self.pieces, self.skipped = 1, 0
        self.observed: tuple[Tensor, Any, Batch] | None = None
        self._stopwatch, self._add_loss = stopwatch, add_loss
        self._norm: Tensor | None = None
        self._plain = not (training.clip_norm or training.clip_value or training.non_finite == "skip")
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]

    def step(self, batches: Sequence[Batch], factor: float, keep: bool = False) -> None:
        """Update every phase's weights once.

        Args:
            batches: one effective batch; their losses are weighted by their sizes.
            factor: what the schedule multiplies the learning rates by.
            keep: whether to keep `observed` for the record.

        Raises:
            DoesNotFitError: the weights are as before; make `pieces` larger and call again.
        """
        timed = self._stopwatch.running
        if timed:
            self._stopwatch.mark("data")
        for phase, curve, optimizer, parameters in self.phases:
            _clear_gradients(parameters)
            loss = self._backward(phase, batches, keep)
            if loss is None:
                _clear_gradients(parameters)
                raise DoesNotFitError
            if curve:
                self._add_loss(curve, loss)
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
            if self._plain or self._usable(optimizer, parameters):
                self._apply(optimizer)
            if timed:
                self._stopwatch.mark("optimizer")
        if self.ema is not None:
            self.ema.update()

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
        finite = bool(norm.isfinite())  # waits for the device: the price of this policy
        self.skipped += not finite
        return finite or self.precision.scaler is not None  # a scaler skips by itself, and lowers its scale

    def _apply(self, optimizer: torch.optim.Optimizer) -> None:
        scaler = self.precision.scaler
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()

    def gradient_norm(self) -> Tensor | None:
        """Norm, (), of the last step's gradient before clipping, on the device; None before any.

        In fp16 without clipping it is divided by the scale the gradient still carries.
        """
        if self._norm is not None:
            return self._norm
        once = [parameters for _, curve, _, parameters in self.phases if curve]
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


def _clear_gradients(parameters: list[nn.Parameter]) -> None:
    """What ``optimizer.zero_grad`` does, without the 10 microseconds its profiler hook costs."""
    for parameter in parameters:
        parameter.grad = None


def _curve(phase: str) -> str:
    return "train/loss" if phase == "main" else f"train/loss_{phase}"
