"""When a training is looked into: at its beginning and end, at its best, and in between as often as it is cheap.

Looks that come by themselves take at most the share of the time that the preset allows, the first and the last
excepted, and they grow rarer as the training grows older: most happens early. An interval that the preset names
is kept whatever it costs.
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
        return old >= rarer * self._last_at and self.spent + self._dearest <= self.share * old

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
