"""Signals set a flag; the loop acts on it at the next step.

The first SIGINT or SIGTERM asks for a checkpoint and an end, the second ends at once (the last checkpoint
is intact). SIGUSR1, Slurm's warning before the time limit, asks for a checkpoint and a place in the queue.
SIGHUP is ignored: a closed terminal does not end a training.
"""

from __future__ import annotations

import os
import signal
import subprocess
from types import FrameType

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 143}


class Flags:
    """What was asked for from outside the loop.

    Attributes:
        raised: whether the loop should look.
        received: the signal that asked for the end, or None.
    """

    def __init__(self) -> None:
        self.raised = False
        self.received: signal.Signals | None = None

    def install(self) -> None:
        """Take over the process's signals; after libraries are imported, since some install handlers of their own."""
        for number in EXIT_CODES:
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        received = signal.Signals(number)
        if self.received is not None and received != signal.SIGUSR1:
            os._exit(EXIT_CODES[received])
        self.received, self.raised = received, True


def requeue_in_slurm() -> str:
    """Put this Slurm job back in the queue; a sentence about how that went, empty outside Slurm."""
    job = os.environ.get("SLURM_JOB_ID", "")
    if not job.isdigit():
        return ""
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        return f"Slurm job {job} could not be requeued: {error}."
    return f"Slurm job {job} is back in the queue."
