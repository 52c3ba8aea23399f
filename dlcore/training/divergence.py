"""The end of a training whose numbers are not finite any more, and where that began.

Nothing is saved then: the last finite checkpoint stays the last.
"""

from __future__ import annotations

import math
import traceback
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from dlcore.data.spec import Batch
from dlcore.training.outcome import Outcome
from dlcore.training.trouble import first_nonfinite_layer, has_finite_weights

if TYPE_CHECKING:
    from dlcore.training.trainer import Trainer

LEAST_SCALE = 2.0**-10
"""A gradient scale below this means that no scale helps."""


def diverged(trainer: Trainer, losses: dict[str, np.ndarray], grad_norm: float) -> Outcome | None:
    """The end of a run whose loss or gradient is not finite, naming step, layer and samples; None while all is.

    Args:
        losses: of the steps since the last record, (steps,), by curve.
        grad_norm: of the last step.
    """
    progress = trainer.progress
    first = [
        progress.step - len(values) + 1 + int((~np.isfinite(values)).argmax())
        for values in losses.values()
        if not np.isfinite(values).all()
    ]
    if not first and (math.isfinite(grad_norm) or _scaler_copes(trainer)):
        return None
    what, step = ("loss", min(first)) if first else ("gradient", progress.step)
    accumulate, since = trainer.training.accumulate, progress.step - step + 1
    start = (-(-progress.batch // accumulate) - since) * accumulate
    batches = list(islice(trainer.train.epoch(progress.epoch, start=start), accumulate))
    layer = _blame(trainer, batches)
    epoch = progress.epoch + 1
    indices = [index for batch in batches for index in batch.index.tolist()]
    trainer.recorder.event("nonfinite", step=step, epoch=epoch, what=what, layer=layer, indices=indices)
    where = f", first seen in {layer}" if layer else ""
    advice = "try a smaller optimizer.lr or training.clip_norm = 1.0"
    message = f"The {what} became non-finite at step {step:,}, epoch {epoch}{where}; {advice}."
    return Outcome("failed", 1, message)


def _scaler_copes(trainer: Trainer) -> bool:
    """Whether a non-finite gradient is fp16's everyday: the step is skipped and the scale halved."""
    scaler = trainer.precision.scaler
    return scaler is not None and scaler.get_scale() > LEAST_SCALE


def _blame(trainer: Trainer, batches: list[Batch]) -> str:
    """The layer that first makes a non-finite number of these batches, as far as that can be told."""
    task = trainer.task
    try:
        if not has_finite_weights(task):
            # The update has spoilt them by now; with the last finite ones the culprit still shows.
            trainer.saver.wait()
            finite = trainer.saver.folder.newest()
            if finite is not None:
                task.model.load_state_dict(finite.weights(averaged=False))
        layers = (first_nonfinite_layer(task, batch, task.phases[0].name) for batch in batches)
        return next(filter(None, layers), "")
    except Exception:  # the finding stands, whatever looking closer runs into
        traceback.print_exc()
        return ""
