"""Signals set a flag; the loop acts on it at the next step.

The first SIGINT or SIGTERM asks for a checkpoint and an end, the second ends at once (the last checkpoint
is intact). SIGUSR1 asks for a checkpoint; inside Slurm, where it is the warning before the time limit, for
an end and a new place in the queue, too. SIGHUP is ignored: a closed terminal does not end a training.
Before the first step there is nothing to save, and a signal ends the preparation at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
from types import FrameType

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 143}


class Interrupted(BaseException):
    """A signal asked for the end before training began.

    Attributes:
        received: which.
    """

    def __init__(self, received: signal.Signals) -> None:
        super().__init__(received.name)
        self.received = received


class Flags:
    """What was asked for from outside the loop.

    Attributes:
        raised: whether the loop should look.
        save_wanted: whether a checkpoint was asked for.
        received: the signal that asked for the end, or None.
        training: whether there is a loop that looks; until then a signal raises `Interrupted`.
    """

    save_wanted = False

    def __init__(self) -> None:
        self.raised = False
        self.received: signal.Signals | None = None
        self.training = False
        self._demands = 0

    def install(self) -> None:
        """Take over the process's signals; after libraries are imported, since some install handlers of their own."""
        for number in EXIT_CODES:
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        received = signal.Signals(number)
        if received == signal.SIGUSR1 and not slurm_job():
            self.save_wanted = self.raised = True
            return
        self._demands += received != signal.SIGUSR1  # Slurm sends SIGTERM after it: still the first demand
        if self._demands > 1:
            os._exit(EXIT_CODES[received])
        if not self.training:
            raise Interrupted(received)
        self.received, self.raised = self.received or received, True


def slurm_job() -> str:
    """Id of the Slurm job this process belongs to, "" where there is none."""
    job = os.environ.get("SLURM_JOB_ID", "")
    return job if job.isdigit() else ""


def requeue_in_slurm() -> str:
    """Put this Slurm job back in the queue; a sentence about how that went, empty outside Slurm."""
    job = slurm_job()
    if not job:
        return ""
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        return f"Slurm job {job} could not be requeued: {error}."
    return f"Slurm job {job} is back in the queue."
