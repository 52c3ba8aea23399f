"""One run as plain data: what `--json` prints about it, from its directory alone."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from dlcore.run_dir import RunDir, RunSummary
from tui.run_state import RunState
from tui.watch import RunWatch


def describe(run: RunDir) -> dict[str, Any]:
    """Everything worth scripting against; never raises on a damaged run."""
    watch = RunWatch(run)
    watch.poll()
    return of_summary(run.summary()) | {
        "precision": watch.state.precision,
        "metrics": latest_metrics(run, watch.state),
    }


def of_summary(summary: RunSummary) -> dict[str, Any]:
    """A summary with its path made absolute and no error as null."""
    values = {field.name: getattr(summary, field.name) for field in fields(summary)}
    return values | {"path": str(summary.path.absolute()), "error": summary.error or None}


def latest_metrics(run: RunDir, state: RunState) -> dict[str, float]:
    """The latest value of every metric that was told by an event or has a series."""
    from dlcore import series  # numpy with it, which a listing does without

    found = dict(state.metrics)
    for name in series.names(run.metrics_path):
        if name not in found:
            values = series.read(run.metrics_path, name).value
            if len(values):
                found[name] = float(values[-1])
    return dict(sorted(found.items()))
