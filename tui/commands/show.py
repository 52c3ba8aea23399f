"""`dltui show`: one run on one page, or followed live."""

from __future__ import annotations

import math
import re
import sys
from itertools import zip_longest
from pathlib import Path

import numpy as np

from dlcore import series
from dlcore.run_dir import RunDir, RunSummary
from dlcore.text_safety import safe_text
from tui import memory_split, sentences, words
from tui.commands.common import paint, print_json, runs_in, terminal_width, wants_colour
from tui.curves import Curve, chart, thin
from tui.facts import describe, latest_metrics
from tui.run_state import RunState
from tui.watch import RunWatch

TREND = 24  # columns of a metric's sparkline
CHART_LINES = 11
SIDE_BY_SIDE = 100  # columns from which two charts share their lines
MOST_WARNINGS = 3
_ESCAPES = re.compile("\x1b\\[[0-9;]*m")


def show(name: str | None, runs: Path | None, *, follow: bool, as_json: bool) -> None:
    """Shows a run; ``follow`` watches it first until it ends, ``as_json`` prints one object."""
    run = RunDir.find(runs_in(runs), name)
    if follow and run.is_locked():
        _follow(run, silent=as_json)
        if not as_json:
            return
    if as_json:
        print_json(describe(run))
    else:
        print("\n".join(page(run, terminal_width())))


def page(run: RunDir, width: int) -> list[str]:
    """What a person wants to know about a run, in a screenful of lines."""
    watch = RunWatch(run)
    watch.poll()
    summary, state = run.summary(), watch.state
    warnings = [notice for notice in state.notices if notice.level == "warning"][-MOST_WARNINGS:]
    parts = [
        _head(summary, state),
        _facts(summary, state),
        _memory(state),
        _metrics(run, state),
        _charts(run, state, width),
        [f"{paint('!', 'yellow')} {notice.text}" for notice in warnings],
        [
            paint(line, "dim")
            for line in (safe_text(run.path), *sentences.next_steps(run, summary.status, shown=True))
        ],
    ]
    lines: list[str] = []
    for part in parts:
        lines += ["", *part] if lines and part else part
    return lines


def _head(summary: RunSummary, state: RunState) -> list[str]:
    sign = paint(words.status(summary.status), words.STATUS_COLOURS.get(summary.status, "bold"))
    where = f"epoch {words.progress(summary.epoch, summary.epochs or None)}"
    lines = [f"{paint(summary.name, 'bold')}   {sign}   {where}"]
    if summary.error and summary.status == "failed":
        lines.append(paint(summary.error, "red"))
    return lines


def _facts(summary: RunSummary, state: RunState) -> list[str]:
    """Pairs in two columns; what nobody knows is left out."""
    speed = summary.samples_per_second or None
    samples = (state.train_samples, state.val_samples, state.test_samples)
    pairs = [
        ("preset", summary.preset),
        ("device", ", ".join(part for part in (summary.device, state.precision) if part)),
        ("model", summary.model),
        ("parameters", words.count(summary.parameters or None)),
        ("data", summary.data),
        ("samples", " + ".join(f"{count:,}" for count in samples if count)),
        ("step", words.progress(summary.step, summary.steps or None)),
        ("time", words.duration(summary.seconds or None)),
        ("learning rate", words.rate(summary.lr or None)),
        ("speed", words.speed(speed)),
    ]
    known = [(f"  {name}", words.fit(value, 40)) for name, value in pairs if value not in ("", words.UNKNOWN)]
    rows = zip_longest(known[::2], known[1::2], fillvalue=("", ""))
    return words.columns([(*left, *right) for left, right in rows], "<<<<")


def _memory(state: RunState) -> list[str]:
    """What a step holds at its peak, as it was measured."""
    if not state.memory:
        return []
    return [f"  {memory_split.NAME}  {memory_split.measured(state.memory)}"]


def _metrics(run: RunDir, state: RunState) -> list[str]:
    """Every metric with its trend; the one the run is judged by says where it was best."""
    latest = latest_metrics(run, state)
    rows = []
    for name in sentences.in_order(latest):
        if name.startswith("train/") and name not in (*state.metrics, "train/loss"):
            continue  # figures of the machine and the optimizer: speed, gradient norm
        values = thin(_curve(run, name, None), TREND).y
        trend = words.sparkline(values.tolist()) if len(values) > 1 else ""
        trend += "" if math.isfinite(latest[name]) else "×"
        best = ""
        if state.best and state.best.metric == name:
            best = f"best {words.metric(state.best.value)} at epoch {state.best.epoch}"
        rows.append((f"  {name}", words.figure(name, latest[name]), trend, best))
    return words.columns(rows, "<><<")


def _charts(run: RunDir, state: RunState, width: int) -> list[str]:
    """Losses, and beside or below them the metric that the run is judged by."""
    losses = [name for name in sentences.in_order(series.names(run.metrics_path)) if name.endswith("loss")]
    judged = state.best.metric if state.best else ""
    groups = [[name for name in losses if not name.startswith("test/")][:3]]
    if judged and judged not in losses:
        twin = "train/" + judged.partition("/")[2]
        groups.append([name for name in (twin, judged) if name in series.names(run.metrics_path)])
    beside = width >= SIDE_BY_SIDE and len(groups) == 2
    each = (width - 6) // 2 if beside else min(width - 2, 100)
    colour = wants_colour(sys.stdout)
    drawn = []
    for names in groups:
        curves = [_curve(run, name, state.steps_per_epoch) for name in names]
        curves = [curve for curve in curves if len(curve.x) > 1]
        lines = chart(curves, each, CHART_LINES, colour=colour) if curves else []
        drawn.append(["  " + line for line in lines])
    if not beside:
        return [line for lines in drawn for line in lines]
    left, right = drawn
    return [_beside(a, b, each + 4) for a, b in zip_longest(left, right, fillvalue="")]


def _beside(left: str, right: str, width: int) -> str:
    visible = _ESCAPES.sub("", left)
    return left + " " * max(0, width - words.cells(visible)) + right


def _curve(run: RunDir, name: str, steps_per_epoch: int | None) -> Curve:
    """A series over epochs, or over steps where nobody knows how many make an epoch."""
    values = series.read(run.metrics_path, name)
    x = np.asarray(values.step, np.float64) / (steps_per_epoch or 1)
    return Curve(name, x, np.asarray(values.value, np.float64))


def _follow(run: RunDir, *, silent: bool) -> None:
    """Stays until the run is over; ctrl+c leaves the run alone."""
    from tui.progress import follow, pause, reporter_for
    from tui.reporters import Reporter

    reporter = Reporter() if silent else reporter_for(sys.stdout)
    try:
        follow(RunWatch(run), reporter, pause)
    finally:
        reporter.close()
