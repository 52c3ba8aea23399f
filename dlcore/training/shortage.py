"""What a training does when memory runs out: smaller pieces with the same gradient, or an end that loses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from dlcore.data.spec import Batch
from dlcore.training.outcome import OUT_OF_MEMORY, Outcome
from dlcore.training.trouble import is_out_of_memory

if TYPE_CHECKING:
    from dlcore.training.trainer import Trainer


def use_smaller_pieces(trainer: Trainer, batches: Sequence[Batch]) -> bool:
    """Halve the pieces that go through at once; False at single samples, with the outcome set."""
    size, stepper, recorder = max(len(batch.targets) for batch in batches), trainer.stepper, trainer.recorder
    if stepper.pieces >= size:
        trainer.progress.batch -= len(batches)  # this step was not made
        trainer._record(due=True, examined=False)
        if trainer.outcome is None:
            _end(trainer)
        return False
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    stepper.pieces *= 2
    micro = -(-size // stepper.pieces)
    message = (
        f"Out of memory: batches of {size} go through {micro} at a time from now on, with the same gradient."
    )
    recorder.event("oom", step=trainer.progress.step, micro_batch=micro)
    recorder.event("warning", kind="oom", message=message)
    return True


def evaluate_or_end(trainer: Trainer) -> dict[str, float]:
    """The trainer's figures; where not even one sample fits in memory, its outcome is set and there are none."""
    try:
        return trainer.evaluate()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    _end(trainer)  # now that the exception no longer pins the tensors of its traceback
    return {}


def _end(trainer: Trainer) -> None:
    """Not even a single sample fits: keep what was trained."""
    trainer.save()
    trainer.outcome = Outcome("failed", 1, OUT_OF_MEMORY)
