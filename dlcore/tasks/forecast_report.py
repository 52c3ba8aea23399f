"""What an evaluation says of forecasts: the errors of each step ahead, their spread, and the furthest off."""

from __future__ import annotations

from typing import Any

from dlcore.data.spec import Batch
from dlcore.tasks.regression_report import RegressionReport
from dlcore.training.report import Section

MOST_PLOTS = 2
"""Steps ahead whose residuals are drawn: the nearest and the furthest."""


class ForecastReport(RegressionReport):
    """As of any numbers, a step ahead for each output; a far horizon is not drawn step by step."""

    def update(self, outputs: Any, batch: Batch) -> None:
        """Add forecasts, (batch, horizon), in the series' units."""
        super().update(outputs["forecast"], batch)

    def sections(self) -> dict[str, Section]:
        """The table has every step, the pictures the first and the last."""
        found = super().sections()
        last = len(self.names) - 1
        if last < MOST_PLOTS:
            return found
        drawn = {f"{kind}_{at}" for kind in ("residuals", "against") for at in (0, last)}
        return {name: section for name, section in found.items() if name in drawn or "_" not in name}
