"""Steps that are recorded once and replayed: on small networks most of a step's time is Python and launches.

Recorded is all that the device does: forward, loss, backward, clipping, optimizer, average of the weights, and the
loss put where the next record finds it. The first steps are made as usual, on the stream that records later; they
count as steps of the training, so nothing has to be undone. The shorter batch at an epoch's end has a recording of its
own. Several batches a step, and whatever cannot be recorded go through as usual, at any time: both kinds of step
change the same tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dlcore.data.spec import Batch
from dlcore.text_safety import safe_text
from dlcore.training.capture.backend import Backend, Recorded
from dlcore.training.capture.marks import Marks
from dlcore.training.capture.static import Place, Rates, Ring
from dlcore.training.capture.tape import Tape, taped, why_not
from dlcore.training.ema import EMA
from dlcore.training.recorder import Recorder
from dlcore.training.step import DoesNotFitError, Stepper, has_fused_kernel
from dlcore.training.stopwatch import Stopwatch
from dlcore.training.task import Task

FIRST = 2
"""Steps before any is watched: the first one makes the optimizer's state, the memory of the second may be told."""

WATCHED = 2

AGAIN = 1
"""Steps of a second shape before it is recorded: kernels are chosen for it."""

SHAPES = 2
"""Whole batches, and the shorter one that an epoch ends with: of few steps, a slow one would cost much."""

MISSES = 20
"""After so many batches in a row that do not have a recorded shape, recording is given up."""


class Outputs(NamedTuple):
    """What a recorded step leaves behind, in places that stay.

    Attributes:
        loss: (), of the last phase.
        answers: what the network answered.
        norm: (), of the gradient, where it is clipped.
        gradients: of the parameters, in the stepper's order.
    """

    loss: Tensor
    answers: Any
    norm: Tensor | None
    gradients: list[Tensor | None]


@dataclass
class Shape:
    """Batches of one shape.

    Attributes:
        made: steps that were made before it was recorded.
        hopeless: it could not be recorded, while another one could.
    """

    place: Place
    made: int = 0
    recorded: Recorded | None = None
    hopeless: bool = False


class CapturedStepper(Stepper):
    """Changes the weights as `Stepper` does, by replaying a recorded step wherever one fits.

    Args:
        backend: records.
        watch: look at two steps before recording one; a network that is compiled hides its operations.

    Attributes:
        reason: why nothing is recorded any more, in words; "" while it is.
        replayed: steps made by replaying.
    """

    def __init__(self, *args: Any, backend: Backend, watch: bool = True) -> None:
        super().__init__(*args)
        self._backend, self._watch = backend, watch
        self._parameters: list[nn.Parameter] = list(self.task.model.parameters())
        self._device = self._parameters[0].device
        groups = [group for optimizer in self.optimizers.values() for group in optimizer.param_groups]
        self._rates = Rates(groups, self._device)
        self._share = torch.zeros((), device=self._device)
        self._rings: dict[str, Ring] = {}
        self._ringed = self._frozen = False
        self._attached: Recorded | None = None  # whose gradients the parameters have
        self._most = SHAPES
        self.reason, self._told = "", True
        self.replayed = 0
        self.forget()

    def attach(self, stopwatch: Stopwatch, recorder: Recorder) -> None:
        """As `Stepper.attach`; losses of replayed steps are put on a ring first."""
        super().attach(stopwatch, recorder)
        self._add_at_once, self._add_loss = recorder.add, self._put_loss

    def forget(self) -> None:
        """What was recorded no longer holds; steps are made as usual until it is recorded anew."""
        self._shapes: list[Shape] = []
        self._tapes: list[Tape] = []
        self._missed = 0

    def start_epoch(self, *, frozen: bool) -> None:
        """Record anew where other layers learn now."""
        if frozen != self._frozen or type(self.task).start_epoch is not Task.start_epoch:
            self.hand_over()
            self.forget()
        self._frozen = frozen

    def step(self, batches: Sequence[Batch], factor: float, keep: bool = False) -> None:
        """As `Stepper.step`."""
        shape = None if self.reason else self._shape_of(batches)
        if shape is None:
            self._as_usual(batches, factor, keep)
        elif shape.recorded is not None or self._made_ready(shape, batches, factor, keep):
            self._replay(shape, batches[0], factor, keep)

    def step_by_step(self, batches: Sequence[Batch], factor: float) -> None:
        """As `Stepper.step_by_step`."""
        self._as_usual(batches, factor, keep=False)

    @contextmanager
    def in_parts(self) -> Iterator[Marks | None]:
        """As `Stepper.in_parts`: from a recording of its own, since noting the time takes the device a moment too."""
        shapes, marks = self._shapes, Marks(self._backend.moment)
        usual = next((shape for shape in shapes if shape.recorded is not None), None)
        timed = None
        if usual is not None:
            timed, _ = self._recording(partial(self._recordable, usual.place, marks))
        if usual is None or timed is None:
            yield None
            return
        alone = [replace(usual, recorded=timed)]
        self._shapes, self._most = alone, 1
        try:
            yield marks
        finally:
            self._most = SHAPES
            if self._shapes is alone:
                self._shapes = shapes

    def hand_over(self) -> None:
        """Losses that the device has collected."""
        for curve, ring in self._rings.items():
            if ring.count:
                self._add_losses(curve, ring.take())

    def news(self) -> list[str]:
        """As `Stepper.news`; and why steps are not recorded, once."""
        if self._told:
            return super().news()
        self._told = True
        return [*super().news(), f"Steps are made one operation at a time, not replayed: {self.reason}."]

    def _shape_of(self, batches: Sequence[Batch]) -> Shape | None:
        """How far the recording of such a step is; None where it is not for recording."""
        if len(batches) > 1 or self.pieces > 1:
            return None
        (batch,) = batches
        if not self._shapes or len(batch.targets) > self._shapes[0].place.samples:
            self.forget()  # a training may go on at a small batch
            self._shapes.append(Shape(Place(batch)))
        found = next((shape for shape in self._shapes if shape.place.takes(batch)), None)
        if found is None and self._shapes[0].recorded is not None and len(self._shapes) < self._most:
            found = Shape(Place(batch))
            self._shapes.append(found)
        self._missed = self._missed + 1 if found is None else 0
        if self._missed > MISSES:
            self._give_up("batches come in several shapes")
        return None if found is None or found.hopeless else found

    def _as_usual(self, batches: Sequence[Batch], factor: float, keep: bool) -> None:
        self._made_on_the_spot(batches, factor, keep, nullcontext())

    def _made_on_the_spot(
        self, batches: Sequence[Batch], factor: float, keep: bool, watched: AbstractContextManager[Any]
    ) -> None:
        """A step that is not replayed; only what would be recorded of it is watched."""
        self.hand_over()
        self._attached = None
        if self._stopwatch.running:
            self._stopwatch.mark("data")
        self._set_numbers(factor)
        with watched:
            self._change(batches, keep)
        if self.ema is not None:
            self.ema.updates += 1

    def _made_ready(self, shape: Shape, batches: Sequence[Batch], factor: float, keep: bool) -> bool:
        """Record a step; where it is too early for that, or cannot be done, make this one as usual: False."""
        first = shape is self._shapes[0]
        if shape.made < (FIRST + WATCHED * self._watch if first else AGAIN):
            watched = first and self._watch and shape.made >= FIRST
            self._backend.aside(lambda: self._try_out(batches, factor, keep, watched))
            shape.made += 1
            return False
        shape.recorded, reason = self._recording(partial(self._recordable, shape.place))
        if shape.recorded is None:
            shape.hopeless = True
            if first:
                self._give_up(reason)
            self._as_usual(batches, factor, keep)
        return shape.recorded is not None

    def _try_out(self, batches: Sequence[Batch], factor: float, keep: bool, watched: bool) -> None:
        if not watched:
            self._as_usual(batches, factor, keep)
            return
        tape = Tape(self._device)
        self._ringed = True
        try:
            self._made_on_the_spot(batches, factor, True, taped(tape))
        finally:
            self._ringed = False
        if not keep:
            self.observed = None
        self._count()
        self._tapes.append(tape)
        if len(self._tapes) == WATCHED:
            reason = why_not(*self._tapes)
            self._tapes = []
            if reason:
                self._give_up(reason)

    def _recording(self, step: Callable[[], Outputs]) -> tuple[Recorded | None, str]:
        """A step recorded, or why it cannot be."""
        self._attached = None
        try:
            return self._backend.record(step), ""
        except DoesNotFitError:
            reason = "there is no memory for a second copy of what a step works in"
        except Exception as error:  # the same step was made before: it is the recording that it cannot bear
            reason = safe_text(f"{type(error).__name__}: {error}".splitlines()[0], limit=200)
        if self.precision.scaler is not None:  # what the step that broke off left behind
            self.precision.scaler._per_optimizer_states.clear()
        for optimizer in self.optimizers.values():
            for name in ("grad_scale", "found_inf"):
                vars(optimizer).pop(name, None)
        return None, reason

    def _give_up(self, reason: str) -> None:
        self.reason, self._told = reason, False

    def _recordable(self, place: Place, marks: Marks | None = None) -> Outputs:
        """The step itself, on the batch in its place.

        Args:
            marks: told the parts; the stopwatch would wait for the device.
        """
        usual, running = self._stopwatch, self._stopwatch.running
        if marks is None:
            usual.running = False
        else:
            self._stopwatch = marks
            marks.begin()
        self._ringed = True
        try:
            self._change([place.batch], True)
        finally:
            self._ringed, self._stopwatch, usual.running = False, usual, running
        assert self.observed is not None
        loss, answers, _ = self.observed
        self.observed = None
        return Outputs(loss, answers, self._norm, [parameter.grad for parameter in self._parameters])

    def _replay(self, shape: Shape, batch: Batch, factor: float, keep: bool) -> None:
        recorded = shape.recorded
        assert recorded is not None
        timed = self._stopwatch.running
        if timed:
            self._stopwatch.mark("data")
        if any(ring.full for ring in self._rings.values()):
            self.hand_over()
        shape.place.fill(batch)
        self._set_numbers(factor)
        recorded.replay()
        self.replayed += 1
        self._count()
        if self.ema is not None:
            self.ema.updates += 1
        outputs: Outputs = recorded.outputs
        if self._attached is not recorded:  # another step had gradients of its own
            self._attached = recorded
            for parameter, gradient in zip(self._parameters, outputs.gradients, strict=True):
                parameter.grad = gradient
        self._norm = outputs.norm
        if keep:
            self.observed = (outputs.loss, outputs.answers, shape.place.batch)
        if timed:
            self._stopwatch.mark("replay")

    def _count(self) -> None:
        """A step has put its losses on the rings."""
        for ring in self._rings.values():
            ring.count += 1

    def _set_numbers(self, factor: float) -> None:
        """What Python decides about a step, put where the step reads it."""
        if self.reason:  # numbers again: some optimizers wait for a rate that is on the device
            self._set_rates(factor)
        else:
            self._factor = factor
            self._rates.set(factor)
        if self.ema is not None:
            self._share.fill_(self.ema.share)

    def _put_loss(self, curve: str, loss: Tensor) -> None:
        if self._ringed:
            self._rings[curve].put(loss)
        else:
            self._rings.setdefault(curve, Ring(loss))
            self._add_at_once(curve, loss)

    def _average(self, ema: EMA) -> None:
        ema.move(self._share)

    def _skips_there(self, optimizer: torch.optim.Optimizer) -> bool:
        return has_fused_kernel(optimizer)
