"""Live charts: milliseconds a drawing, bytes a second through a pseudo-terminal, time to paint a long run.

    python tests/benchmarks/app_chart.py [--seconds 20] [--rate 4] [--part drawing|bytes|open|memory]

Everything is compared within one run, in turn; milliseconds are those of the thread, not of the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import pty
import select
import statistics
import struct
import sys
import tempfile
import termios
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from tests.benchmarks.live_charts import SIZE, LiveCharts, at_step, curves
from tui.widgets.chart_plot import Plot, View

MEASURED = "chart app, "


def drawing() -> None:
    """One update of a chart: own cells against a whole redraw by plotext."""
    for columns, rows in ((58, 14), (100, 30)):
        for points in (400, 1000, 20_000, 1_000_000):
            own, whole, changed = [], [], []
            view, plot, before = View(columns, rows, smoothing=0.6), Plot(), None
            full = curves(points + 400)
            for turn in range(20):
                series = at_step(full, points + 20 * turn)
                began = time.thread_time()
                cells = plot.draw(series, view)
                assert cells is not None
                if before is not None:
                    changed.append(sum(change.stop - change.start for change in cells.changes(before)))
                own.append(time.thread_time() - began)
                before = cells
                began = time.thread_time()
                by_plotext(series, columns, rows)
                whole.append(time.thread_time() - began)
            fast, slow = (1000 * statistics.median(times) for times in (own, whole))
            print(
                f"drawing {columns}x{rows}, 2 series, {points:>9,} points: own {fast:6.2f} ms, plotext "
                f"{slow:6.2f} ms ({slow / fast:4.0f}x), {statistics.mean(changed):5.1f} cells changed an update"
            )


def by_plotext(series: object, columns: int, rows: int) -> str:
    """What the own drawing replaces: plotext with thinned points."""
    from tui.curves import Curve, chart

    return "\n".join(chart([Curve(item.name, item.x, item.y) for item in series], columns, rows, colour=True))  # type: ignore[attr-defined]


def read_for(descriptor: int, seconds: float) -> Iterator[bytes]:
    """What a terminal program sends in so many seconds."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([descriptor], [], [], min(0.05, left))[0]:
            try:
                yield os.read(descriptor, 1 << 16)
            except OSError:
                return


def through_terminal(seconds: float, *options: str) -> tuple[float, float]:
    """Bytes a second and share of a core of the app with four charts, after it has settled."""
    process, descriptor = pty.fork()
    if process == 0:
        environment = dict(
            os.environ, TERM="xterm-256color", COLORTERM="truecolor", TEXTUAL_ANIMATIONS="none"
        )
        script = str(Path(__file__).with_name("live_charts.py"))
        os.execve(sys.executable, [sys.executable, script, *options], environment)
    columns, rows = SIZE
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    for _ in read_for(descriptor, 4.0):
        pass
    used, began = _cpu(process), time.monotonic()
    sent = sum(len(part) for part in read_for(descriptor, seconds))
    took = time.monotonic() - began
    share = (_cpu(process) - used) / took
    os.write(descriptor, b"\x11")
    for _ in read_for(descriptor, 1.0):
        pass
    os.waitpid(process, 0)
    os.close(descriptor)
    return sent / took, share


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bytes_sent(seconds: float) -> None:
    """Four live charts at 120x40, and the same at rest."""
    for name, options in (
        ("from the first step, 2 Hz", ("--rate", "2")),
        ("from the first step, 4 Hz", ("--rate", "4")),
        ("after 10,000 steps, 4 Hz", ("--rate", "4", "--start", "10000")),
        ("after 10,000 steps, 4 Hz, smoothed 0.9", ("--rate", "4", "--start", "10000", "--smoothing", "0.9")),
        ("at rest", ("--rate", "0", "--start", "10000")),
    ):
        sent, share = through_terminal(seconds, *options)
        print(f"four charts at {SIZE[0]}x{SIZE[1]}, {name}: {sent / 1000:.2f} KB/s, {share:.1%} of a core")


def opening() -> None:
    """A run of 1,000,000 points from its file to cells."""
    from dlcore.series import SeriesWriter, read
    from tui.widgets.chart_series import ChartSeries

    with tempfile.TemporaryDirectory() as folder:
        writer = SeriesWriter(folder)
        steps = np.arange(1_000_000)
        values = np.exp(-steps / 2e5) + np.random.default_rng(0).normal(0, 0.02, len(steps))
        writer.append("train/loss", steps, 1e9 + steps * 0.01, values)
        writer.close()
        for mode in ("step", "time"):
            times = []
            for _ in range(10):
                began = time.perf_counter()
                found = read(folder, "train/loss")
                series = ChartSeries("train", found.step, found.value, time=found.time)
                assert Plot().draw([series], View(118, 30, mode=mode, smoothing=0.6)) is not None
                times.append(time.perf_counter() - began)
            first, rest = 1000 * times[0], 1000 * statistics.median(times[1:])
            print(f"1,000,000 points by {mode}, file to cells: first {first:.1f} ms, again {rest:.1f} ms")


def memory() -> None:
    """Memory over 100,000 refreshes of a chart in an app."""
    asyncio.run(_memory())


async def _memory() -> None:
    app = LiveCharts(rate=0, start=1000)
    async with app.run_test(size=SIZE) as pilot:
        chart = app.charts[0]
        full = curves(101_000)
        for turn in range(100_001):
            chart.set_series(at_step(full, 1000 + turn))
            chart.draw()
            if turn % 500 == 0:
                await pilot.pause()
            if turn == 5_000:
                tracemalloc.start()
                start = tracemalloc.get_traced_memory()[0]
            if turn and turn % 25_000 == 0:
                grown = tracemalloc.get_traced_memory()[0] - start
                print(f"{turn:,} refreshes: {grown / 1024:+.0f} KiB since the 5,000th")


def main() -> None:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--part", choices=["drawing", "bytes", "open", "memory"])
    asked = parser.parse_args()
    parts = {
        "drawing": drawing,
        "bytes": lambda: bytes_sent(asked.seconds),
        "open": opening,
        "memory": memory,
    }
    for name, part in parts.items():
        if asked.part in (None, name):
            part()


if __name__ == "__main__":
    main()
