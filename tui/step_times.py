"""Where a step's time goes, from the curves that a run keeps of it. A pure function; no Textual import."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tui import words
from tui.run_state import LIVE

if TYPE_CHECKING:
    from tui.follow import RunView

_IN_ORDER = ("data", "forward", "backward", "optimizer")
_RECENT = 20  # measured steps that the figures are the mean of while the run goes on


def step_times(view: RunView) -> dict[str, float]:
    """Mean seconds of each part, in the order of a step: of the last ones, or of all when the run is over."""
    parts = [name.removeprefix(words.TIME) for name in view.curves if name.startswith(words.TIME)]
    usual = [part for part in _IN_ORDER if part in parts]
    found = {}
    for part in (*usual, *sorted(set(parts).difference(usual))):
        values = view.curves[words.TIME + part].value
        recent = values[-_RECENT:] if view.status in LIVE else values
        mean = float(recent.mean()) if len(recent) else math.nan
        if math.isfinite(mean) and mean >= 0:
            found[part] = mean
    return found
