"""When a training is looked into: at its beginning and end, at its best, and in between as often as it is cheap.

All looks together, the first, the last and that of the best weights among them, take at most the share of the time
that the preset allows: one in between is made only where it leaves room for those that are still to come, so the
last one never has to be left out. They grow rarer as the training grows older: most happens early. A training that is
over before three looks are paid for is seen all the same, on fewer samples where that takes a tenth of a second. An
interval that the preset names is kept whatever it costs.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from dlcore.preset import Inspection
from dlcore.text_safety import safe_text

if TYPE_CHECKING:
    from dlcore.training.trainer import Trainer

RARER = 1.15
"""Each look by itself comes when the training is this many times older: 75 looks from a second to ten hours."""

RARER_AT_BEST = 1.05

TO_COME = 2
"""Looks that are made after any other: at the last step and, when the training is over, with the best weights."""

UNNOTICED = 0.1
"""Seconds that looking may take of the shortest training: up to there a wait seems none (Nielsen 1993, chapter 5)."""

FEWEST = 16
"""Samples of a look: a unit that answers to one sample in twenty is silent for fewer more often than not."""

EXAMINATION, LOOK = 1.7, 2.3
"""What comes before the first look, and each look, in forward and backward passes of the samples looked at.

Measured on the CNN of `tests.benchmarks.inspection_cost`, one thread: 18 and 25 ms, where a pass takes 10.7 ms.
"""

Take = Callable[["Trainer", str], str]


class Looks:
    """Decides when to look, and counts what looking costs.

    Args:
        take: looks, given why, and returns the name of the file that it wrote.
        inspection: the preset's section.

    Attributes:
        spent: seconds that looks took.
    """

    def __init__(self, take: Take, inspection: Inspection) -> None:
        self.take, self.every, self.share = take, inspection.every_epochs, inspection.share
        self.spent = 0.0
        self._dearest = 0.0
        self._last_at = 0.0
        self._broken = False

    @property
    def wanted(self) -> bool:
        """Whether anything is to be seen without being asked for."""
        return (self.every > 0 or self.share > 0) and not self._broken

    def at_start(self, trainer: Trainer) -> None:
        """The network as it was drawn, before its first step."""
        if self.share > 0 and trainer.progress.step == 0:
            self._look(trainer, "first")

    def at_record(self, trainer: Trainer) -> None:
        """Between the epochs' ends, for trainings of few epochs."""
        if self._affordable(trainer, RARER):
            self._look(trainer, "between")

    def at_epoch_end(self, trainer: Trainer, *, better: bool, over: bool) -> None:
        """At the end of an epoch, or of the training."""
        if over and self.share > 0:
            self._look(trainer, "last")
        elif self.every and not trainer.progress.batch and trainer.progress.epoch % self.every == 0:
            self._look(trainer, "interval")
        elif better and self._affordable(trainer, RARER_AT_BEST):
            self._look(trainer, "best")
        elif self._affordable(trainer, RARER):
            self._look(trainer, "between")

    def _affordable(self, trainer: Trainer, rarer: float) -> bool:
        if self.share <= 0 or self._broken:
            return False
        old = trainer.seconds
        return old >= rarer * self._last_at and self.spent + (1 + TO_COME) * self._dearest <= self.share * old

    def _look(self, trainer: Trainer, why: str) -> None:
        if self._broken:
            return
        began = trainer.clock()
        try:
            self.take(trainer, why)
        except Exception as error:  # what is looked at on the side must not end the training
            traceback.print_exc()
            self._broken = True
            message = f"No more looks inside the network: {type(error).__name__}: {error}"
            trainer.recorder.event("warning", kind="inspect", message=safe_text(message, limit=300))
        cost = trainer.clock() - began
        self.spent += cost
        self._dearest = max(cost, 0.5 * self._dearest)
        self._last_at = trainer.seconds


def affordable_samples(have: int, examined: float, passes: float, share: float) -> int:
    """As many samples as the looks of a training can be made on: all, but for large networks that train briefly.

    Args:
        have: samples that were examined before the first look.
        examined: seconds that this took.
        passes: how many times as many samples the training is going to see.
    """
    looks = (1 + TO_COME) * LOOK
    if examined * (1 + looks / EXAMINATION) <= UNNOTICED:
        return have
    room = (share * passes - EXAMINATION) / looks
    return min(have, max(FEWEST, int(room * have)))
