"""How a training ended."""

from __future__ import annotations

from dataclasses import dataclass

OUT_OF_MEMORY = (
    "Out of memory with a single sample; try a smaller model or input, training.precision = 'bf16' or "
    "training.gradient_checkpointing = true."
)


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        reason: ``epochs``, ``max_steps``, ``patience``, ``stopped`` or ``failed``.
        exit_code: what the process answers.
        message: one sentence, for a failure or a stop.
    """

    reason: str
    exit_code: int = 0
    message: str = ""
