"""Sparklines for listings: the shape of a run's judged metric in a handful of bars.

A series of any length costs one pass in NumPy; what is missing or damaged gives no bars. Never raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui import words

if TYPE_CHECKING:
    from dlcore.run_dir import RunSummary

_FALLBACKS = ("val/loss", "train/loss")


def trend(run: RunSummary, width: int) -> str:
    """At most ``width`` bars, each the mean of as many points; "" for fewer than two points."""
    import numpy as np

    from dlcore import series

    judged = str(run.best["metric"]) if run.best else ""
    for name in (judged, *_FALLBACKS):
        try:
            value = series.read(run.path / "metrics", name).value
        except (OSError, ValueError):
            continue
        if len(value) < 2:
            continue
        if len(value) > width:
            starts = np.linspace(0, len(value), width, endpoint=False).astype(np.intp)
            with np.errstate(all="ignore"):
                value = np.add.reduceat(value, starts) / np.diff(starts, append=len(value))
        return words.sparkline(value.tolist())
    return ""
