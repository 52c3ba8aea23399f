"""What a chart is given: named series with a role, and the ways to lay them along x.

Light to import: arrays come from whoever follows a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Role = Literal["train", "val", "run"]
Mode = Literal["step", "epoch", "time"]
MODES: tuple[Mode, ...] = ("step", "epoch", "time")


@dataclass(frozen=True, eq=False)
class ChartSeries:
    """One curve. Its arrays are never changed by the chart, and by nobody else once they are handed over.

    Attributes:
        name: for the legend; made safe by the chart.
        x: (points,) optimizer steps, in order; a following chart is cheapest when they are contiguous.
        y: (points,) values; may hold nan and infinities, which are marked.
        role: train and val keep their colours and markers on every chart; runs have a palette of their own.
        index: which of the role's colours.
        time: (points,) Unix seconds, for x by time.
        origin: Unix seconds that time counts from; the first point when None.
        steps_per_epoch: for x by epoch; 0 when unknown.
    """

    name: str
    x: NDArray[Any]
    y: NDArray[np.float64]
    role: Role = "train"
    index: int = 0
    time: NDArray[np.float64] | None = None
    origin: float | None = None
    steps_per_epoch: float = 0.0

    def allows(self, mode: Mode) -> bool:
        """Whether it can be laid out so."""
        if mode == "epoch":
            return self.steps_per_epoch > 0
        return mode == "step" or (self.time is not None and len(self.time) == len(self.x))
