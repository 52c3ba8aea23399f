"""A small app of four charts that grow like a training's, or follow a run: what the benchmarks measure.

``python -m tests.benchmarks.live_charts [--rate 4] [--start 0] [--smoothing 0.6] [--run RUN]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from textual.app import App, ComposeResult
from textual.containers import Grid

from tui import themes
from tui.follow import RunFollower
from tui.messages import RunChanged
from tui.widgets.chart import SMOOTHING, Chart, ChartSeries
from tui.widgets.frame import Frame

SIZE = (120, 40)
STEPS_PER_SECOND = 100
STEPS_PER_EPOCH = 400
LONGEST = 600  # seconds of made-up training


def curves(steps: int, seed: int = 0) -> list[ChartSeries]:
    """Train and validation curves of a training that learns, stalls a little and overfits."""
    rng = np.random.default_rng(seed)
    x = np.arange(1, steps + 1)
    y = 0.1 + 2.2 / (1 + x / 600) + 0.08 * rng.random(steps)
    at = np.arange(STEPS_PER_EPOCH, steps + 1, STEPS_PER_EPOCH)
    val = 0.16 + 2.2 / (1 + at / 600) + 0.01 * rng.random(len(at)) + at * 2e-6
    return [
        ChartSeries("train", x, y, "train", 0, 1e9 + x / STEPS_PER_SECOND, 1e9, STEPS_PER_EPOCH),
        ChartSeries("val", at, val, "val", 0, 1e9 + at / STEPS_PER_SECOND, 1e9, STEPS_PER_EPOCH),
    ]


def at_step(
    series: Sequence[ChartSeries], step: int, before: Sequence[ChartSeries] = ()
) -> list[ChartSeries]:
    """The curves as they were at a step; those that did not grow are the ones from ``before``."""
    found = []
    for number, item in enumerate(series):
        end = int(np.searchsorted(item.x, step, side="right"))
        if number < len(before) and len(before[number].x) == end:
            found.append(before[number])
            continue
        times = item.time[:end] if item.time is not None else None
        x, y = item.x[:end], item.y[:end]
        found.append(ChartSeries(item.name, x, y, item.role, item.index, times, 1e9, STEPS_PER_EPOCH))
    return found


class LiveCharts(App[None]):
    """Four charts, each smoothed in another way where they follow a run.

    Args:
        rate: updates a second; 0 for none after the first.
        start: steps that are there at once.
        run: a run directory to follow instead.
    """

    CSS = "Grid { grid-size: 2 2; } Screen { background: $background; }"

    def __init__(
        self, rate: float = 4, start: int = 0, smoothing: float = 0.6, run: Path | None = None
    ) -> None:
        super().__init__()
        self.rate, self.start, self.smoothing, self.run_path = rate, start, smoothing, run
        self.full = [curves(start + STEPS_PER_SECOND * LONGEST, seed) for seed in range(4)]
        self.register_theme(themes.DARK)
        self.theme = themes.DEFAULT

    def compose(self) -> ComposeResult:
        """Two by two."""
        with Grid():
            for name in ("Loss", "Error", "Gradient norm", "Perplexity"):
                with Frame(title=name):
                    yield Chart()

    def on_mount(self) -> None:
        """Starts the training."""
        self.charts = list(self.query(Chart))
        self.began = time.monotonic()
        for number, chart in enumerate(self.charts):
            chart.smoothing = SMOOTHING[2 + number] if self.run_path is not None else self.smoothing
        if self.run_path is not None:
            RunFollower(self.post_message, self.run_path).start()
            return
        self.grow()
        if self.rate:
            self.set_interval(1 / self.rate, self.grow)

    def grow(self) -> None:
        """What a recorder would have written by now."""
        step = self.start + int((time.monotonic() - self.began) * STEPS_PER_SECOND)
        for chart, full in zip(self.charts, self.full, strict=True):
            chart.set_series(at_step(full, step, chart.series))

    def on_run_changed(self, message: RunChanged) -> None:
        """Losses in every chart: all four have something new each time."""
        found = message.view.curves
        shown = [("train", "train/loss"), ("val", "val/loss")]
        series = [
            ChartSeries(role, found[name].step, found[name].value, role, 0, found[name].time)  # type: ignore[arg-type]
            for role, name in shown
            if name in found
        ]
        for chart in self.charts:
            chart.set_series(series)


def main() -> None:
    """Runs in a terminal until it is told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=4)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--smoothing", type=float, default=0.6)
    parser.add_argument("--run", type=Path)
    asked = parser.parse_args()
    LiveCharts(asked.rate, asked.start, asked.smoothing, asked.run).run()


if __name__ == "__main__":
    main()
