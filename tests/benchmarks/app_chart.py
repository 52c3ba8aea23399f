"""Live charts: milliseconds a drawing, bytes a second, time to paint a long run, memory over 100,000 drawings.

``python -m tests.benchmarks.app_chart [drawing] [bytes] [opening] [memory]``. Drawings are timed with the
thread's clock, so a neighbour's load falls out of them, and take turns with what they are compared with.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from dlcore.series import SeriesWriter, read
from tests.benchmarks import measure
from tests.benchmarks.live_charts import SIZE, LiveCharts, at_step, curves
from tests.benchmarks.on_terminal import OnTerminal, arguments, shares
from tui.curves import Curve, chart
from tui.widgets.chart_plot import Plot, View
from tui.widgets.chart_series import ChartSeries

SETTLE = 4.0  # seconds until an app is there and calm
GOAL_BYTES, GOAL_OPENING = 10_000, 100.0  # a second; milliseconds


def main() -> None:
    """Print the tables."""
    made = measure.parser(__doc__, rounds=30)
    made.add_argument("parts", nargs="*", help="drawing, bytes, opening, memory (default: all)")
    made.add_argument("--seconds", type=float, default=20.0, help="watched a case (default 20)")
    chosen = measure.parse(made)
    rounds, seconds = (3, 3.0) if chosen.quick else (chosen.rounds, chosen.seconds)
    parts: dict[str, Callable[[], None]] = {
        "drawing": lambda: drawing(rounds),
        "bytes": lambda: bytes_sent(seconds),
        "opening": lambda: opening(rounds),
        "memory": lambda: asyncio.run(memory(2_000 if chosen.quick else 100_000)),
    }
    for name, part in parts.items():
        if not chosen.parts or name in chosen.parts:
            part()


def drawing(rounds: int) -> None:
    """One update of a chart of two series: own cells, and the same chart wholly by plotext."""
    rows = []
    for columns, height in ((58, 14), (100, 30)):
        for points in (400, 1_000, 20_000, 1_000_000):
            view, plot, full = View(columns, height, smoothing=0.6), Plot(), curves(points + 40 * rounds)
            own, whole, changed, before, series = [], [], [], None, at_step(full, points)
            for turn in range(rounds + 1):
                series = at_step(full, points + 20 * turn, series)
                began = time.thread_time()
                cells = plot.draw(series, view)
                changes = cells.changes(before) if cells is not None and before is not None else []
                own.append(1000 * (time.thread_time() - began))
                before = cells
                changed.append(sum(change.stop - change.start for change in changes))
                whole.append(1000 * by_plotext(series, columns, height))
            rows.append(
                [
                    f"{columns}×{height}, {points:,} points",
                    measure.spread(own[1:]),
                    measure.spread(whole[1:]),
                    measure.spread(measure.ratio(whole[1:], own[1:]), 1),
                    f"{statistics.mean(changed[1:]):.1f}",
                ]
            )
    header = ["chart", "own, ms", "plotext, ms", "ratio", "cells changed an update"]
    measure.table("One update of a growing chart, 2 series, smoothed", header, rows)


def by_plotext(series: Sequence[ChartSeries], columns: int, rows: int) -> float:
    """Seconds for axes and curves as text with colours; turning that into strips comes on top."""
    drawn = [Curve(item.name, item.x, item.y) for item in series]
    began = time.thread_time()
    chart(drawn, columns, rows, colour=True)
    return time.thread_time() - began


def bytes_sent(seconds: float) -> None:
    """Four live charts through a pseudo-terminal, and the same at rest."""
    rows = []
    for name, options in (
        ("from the first step, 2 Hz", {"rate": 2}),
        ("from the first step, 4 Hz", {"rate": 4}),
        ("after 10,000 steps, 2 Hz", {"rate": 2, "start": 10_000}),
        ("after 10,000 steps, 4 Hz", {"rate": 4, "start": 10_000}),
        ("after 10,000 steps, 4 Hz, not smoothed", {"rate": 4, "start": 10_000, "smoothing": 0}),
        ("at rest", {"rate": 0, "start": 10_000}),
    ):
        with OnTerminal("tests.benchmarks.live_charts", *arguments(**options), size=SIZE) as app:
            app.read(SETTLE)
            sent, share = shares(app, seconds)
        limit = 0 if name == "at rest" else GOAL_BYTES
        rows.append([name, f"{sent / 1000:.2f}", f"{share:.1%}", measure.verdict(sent, limit)])
    header = ["four charts at 120×40", "KB a second", "of a core", "goal met"]
    measure.table(f"Bytes, over {seconds:g} s each", header, rows)


def opening(rounds: int) -> None:
    """1,000,000 points from their file to the cells of a first drawing."""
    rows = []
    with measure.scratch() as folder:
        writer = SeriesWriter(folder)
        steps = np.arange(1_000_000)
        values = np.exp(-steps / 2e5) + np.random.default_rng(0).normal(0, 0.02, len(steps))
        writer.append("train/loss", steps, 1e9 + steps * 0.01, values)
        writer.close()
        for mode in ("step", "epoch", "time"):
            times = [1000 * open_and_draw(folder, mode) for _ in range(rounds + 1)]
            met = measure.verdict(statistics.median(times), GOAL_OPENING)
            rows.append([f"by {mode}", f"{times[0]:.1f}", measure.spread(times[1:], 1), met])
    measure.table("1,000,000 points, file to cells", ["x", "first, ms", "again, ms", "goal met"], rows)


def open_and_draw(folder: object, mode: str) -> float:
    """Seconds."""
    began = time.perf_counter()
    found = read(str(folder), "train/loss")
    series = ChartSeries("train", found.step, found.value, time=found.time, steps_per_epoch=500.0)
    drawn = Plot().draw([series], View(118, 30, mode=mode, smoothing=0.6))  # type: ignore[arg-type]
    assert drawn is not None
    return time.perf_counter() - began


async def memory(drawings: int) -> None:
    """One chart of an app drawn again and again while its curve grows."""
    rows = []
    app = LiveCharts(rate=0, start=1000)
    async with app.run_test(size=SIZE) as pilot:
        live, full = app.charts[0], curves(1000 + drawings)
        for turn in range(drawings + 1):
            live.set_series(at_step(full, 1000 + turn, live.series))
            live.draw()
            if turn % 200 == 0:
                await pilot.pause()
            if turn and turn % (drawings // 5) == 0:
                gc.collect()
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                rows.append([f"{turn:,}", f"{sys.getallocatedblocks():,}", f"{peak:.1f}"])
    measure.table("Memory", ["drawings", "blocks", "peak, MiB"], rows)


if __name__ == "__main__":
    main()
