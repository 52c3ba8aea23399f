"""The app on a pseudo-terminal: first paint, key to changed bytes while a training runs, bytes at rest, long lists.

``python -m tests.benchmarks.app_terminal [paint] [idle] [busy] [rest] [list] [opening]``. Beside a training that
keeps every core busy the app shows runs that are over, so that bytes after a key are the key's.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dlcore.run_dir import RunDir
from dlcore.series import SeriesWriter
from tests.benchmarks import measure
from tests.benchmarks.app_slowdown import training
from tests.benchmarks.on_terminal import OnTerminal
from tests.benchmarks.start_up import make_runs
from tests.tui.recorded import make_run

UP, DOWN, RIGHT, LEFT, PAGE = b"\x1b[A", b"\x1b[B", b"\x1b[C", b"\x1b[D", b"\x1b[6~"
BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("hello")
Bare().run()
"""
PAINT_GOAL, HALF_GOAL, MOST_GOAL, LIST_GOAL, OPEN_GOAL = 280, 5.0, 50.0, 1.0, 100.0


class Place(NamedTuple):
    """A screen: how to come there, what it shows then, and keys that change something on it."""

    name: str
    way: Sequence[bytes]
    shows: str
    keys: Sequence[bytes]


PLACES = (
    Place("runs", (), "finished", (DOWN, UP)),
    Place("filter", (b"/",), "words, or", (b"a", b"\x7f")),
    Place("run, a chart", (b"\r",), "train 0", (LEFT, RIGHT)),
    Place("run, panels", (b"\r",), "train 0", (b"\t",)),
    Place("compare", (b" ", b" ", b" ", b"c"), "final figures", (b".", b",")),
    Place("new run, tree", (b"n",), "parameters", (UP, DOWN)),
    Place("new run, typing", (b"n", b"/"), "", (b"a", b"\x7f")),
    Place("help", (b"?",), "This screen", (b"?", b"?")),
    Place("palette", (b"\x10",), "Screenshot", (DOWN, UP)),
)


def main() -> None:
    """Print the tables."""
    made = measure.parser(__doc__, rounds=15)
    made.add_argument("parts", nargs="*", help="paint, idle, busy, rest, list, opening (default: all)")
    made.add_argument("--presses", type=int, default=150)
    made.add_argument("--seconds", type=float, default=10.0, help="watched at rest (default 10)")
    made.add_argument("--only", default="", help="places whose names begin so, with commas between")
    chosen = measure.parse(made)
    rounds, presses, seconds = (
        (2, 6, 1.0) if chosen.quick else (chosen.rounds, chosen.presses, chosen.seconds)
    )
    places = [place for place in PLACES if place.name.startswith(tuple(chosen.only.split(",")))]
    parts: dict[str, Callable[[], None]] = {
        "paint": lambda: paint(rounds),
        "idle": lambda: keys(places, presses, busy=False),
        "busy": lambda: keys(places, presses, busy=True),
        "rest": lambda: rest(places, seconds),
        "list": lambda: long_list(500 if chosen.quick else 10_000, presses),
        "opening": lambda: opening(max(3, rounds // 3)),
    }
    for name, part in parts.items():
        if not chosen.parts or name in chosen.parts:
            part()


def paint(rounds: int) -> None:
    """From the command to the first text on the screen, in turns with an app of Textual's own."""
    with measure.scratch() as folder:
        some_runs(folder / "some")
        make_runs(folder / "many", 1000)
        (folder / "bare.py").write_text(BARE)
        ways = {
            "Textual alone": ("", ("bare",)),
            "dltui, no runs": ("none", ("tui.start",)),
            "dltui, 1,000 runs": ("many", ("tui.start",)),
            "dltui attach": ("some", ("tui.start", "attach")),
        }

        def timed(name: str) -> float:
            runs, arguments = ways[name]
            with OnTerminal(*arguments, DLTUI_RUNS=str(folder / runs), PYTHONPATH=str(folder)) as app:
                return 1000 * app.until_text()

        contenders = {name: lambda name=name: timed(name) for name in ways}
        figures = measure.interleave(contenders, rounds)  # type: ignore[arg-type]
    rows = [
        [
            name,
            measure.spread(figures[name], 0),
            measure.spread(measure.ratio(figures[name], figures["Textual alone"])),
            measure.verdict(statistics.median(figures[name]), PAINT_GOAL) if name != "Textual alone" else "",
        ]
        for name in ways
    ]
    measure.table("First paint", ["command", "ms", "of Textual alone", f"≤ {PAINT_GOAL} ms"], rows)


def keys(places: Sequence[Place], presses: int, *, busy: bool) -> None:
    """Milliseconds from a key to the bytes that answer it, idle or while a training keeps all cores busy."""
    rows, every = [], []
    with measure.scratch() as folder:
        some_runs(folder / "runs")
        with training(folder / "busy") if busy else nothing():
            for place in places:
                times = pressed(folder / "runs", place, presses)
                every += times
                rows.append([place.name, *told(times)])
    rows.append(["all together", *told(every)])
    header = ["screen", "p50, ms", "p99, ms", "most, ms", "unanswered", "goal met"]
    measure.table(f"Key to changed bytes, cores {'busy' if busy else 'idle'}", header, rows)


def pressed(runs: Path, place: Place, presses: int) -> list[float]:
    """One figure a press."""
    gaps = random.Random(0)
    with at(runs, place) as app:
        times = []
        for number in range(presses):
            app.until_silent(0.03, 0.3)
            times.append(app.answer(place.keys[number % len(place.keys)]))
            app.read(gaps.uniform(0.05, 0.12))
    return times


def told(times: Sequence[float]) -> list[str]:
    """Median, 99th percentile, the longest, how many were not answered, and whether that will do."""
    answered = sorted(value for value in times if value < math.inf)
    if not answered:
        return ["–", "–", "–", str(len(times)), "no"]
    half, most = statistics.median(answered), answered[min(len(answered) - 1, int(0.99 * len(answered)))]
    met = "yes" if half <= HALF_GOAL and most <= MOST_GOAL else "no"
    return [f"{half:.1f}", f"{most:.1f}", f"{answered[-1]:.1f}", str(len(times) - len(answered)), met]


def rest(places: Sequence[Place], seconds: float) -> None:
    """Bytes where nothing changes."""
    rows = []
    with measure.scratch() as folder:
        some_runs(folder / "runs")
        for place in places:
            with at(folder / "runs", place) as app:
                app.until_silent(1.5, 15.0)
                used = app.processor_seconds()
                sent = app.read(seconds)
                share = (app.processor_seconds() - used) / seconds
            rows.append([place.name, str(sent), f"{share:.1%}", measure.verdict(sent, 0)])
    measure.table(f"At rest, {seconds:g} s each", ["screen", "bytes", "of a core", "goal met"], rows)


def long_list(count: int, presses: int) -> None:
    """A folder of very many runs: until they are listed, and each step of scrolling through them."""
    last = f"{count - 1:06d}-digits-cnn"
    rows = []
    with measure.scratch() as folder:
        make_runs(folder, count)
        opened = []
        for _ in range(5):
            with OnTerminal("tui.start", DLTUI_RUNS=str(folder)) as app:
                opened.append(app.until_text(f"{count:,} runs"))
        first = measure.spread(opened, 2)
        rows.append(
            [f"{count:,} runs listed", f"{first} s", measure.verdict(statistics.median(opened), LIST_GOAL)]
        )
        with OnTerminal("tui.start", DLTUI_RUNS=str(folder)) as app:
            app.until_text(last)
            app.until_silent(1.0, 10.0)
            for name, key in (("a row", DOWN), ("a page", PAGE)):
                times = []
                for _ in range(presses):
                    app.until_silent(0.03, 0.3)
                    times.append(app.answer(key))
                half, most, longest, unanswered, met = told(times)
                rows.append([f"{name} down: p50 {half}, p99 {most}, most {longest} ms", unanswered, met])
    measure.table("A long list", ["what", "", "goal met"], rows)


def opening(rounds: int) -> None:
    """A run of 1,000,000 points, from enter on its row to a chart on the terminal."""
    times = []
    with measure.scratch() as folder:
        run = make_run(folder, "long", done=3)
        steps = np.arange(1, 1_000_001)
        values = np.exp(-steps / 2e5) + np.random.default_rng(0).normal(0, 0.02, len(steps))
        values[700_123] = 9.0
        for path in run.metrics_path.iterdir():
            path.unlink()
        writer = SeriesWriter(run.metrics_path)
        writer.append("train/loss", steps, 1.7e9 + steps * 0.01, values)
        writer.close()
        for _ in range(rounds):
            with OnTerminal("tui.start", DLTUI_RUNS=str(folder)) as app:
                app.until_text("long")
                app.until_silent(1.0, 10.0)
                app.send(b"\r")
                times.append(1000 * app.until_text("train 0.0"))
    met = measure.verdict(statistics.median(times), OPEN_GOAL)
    measure.table("1,000,000 points, enter to chart", ["ms", "goal met"], [[measure.spread(times, 0), met]])


@contextmanager
def at(runs: Path, place: Place) -> Iterator[OnTerminal]:
    """The app on a screen."""
    with OnTerminal("tui.start", DLTUI_RUNS=str(runs)) as app:
        app.until_text("finished")
        app.until_silent(0.5, 10.0)
        for key in place.way[:-1]:
            app.send(key)
            app.until_silent(0.5, 20.0)
        if place.way:
            app.send(place.way[-1])
            if place.shows:
                app.until_text(place.shows)
        app.until_silent(0.5, 10.0)
        time.sleep(0.2)
        yield app


@contextmanager
def nothing() -> Iterator[None]:
    """In the place of a training."""
    yield


def some_runs(runs: Path) -> list[RunDir]:
    """Five that are over."""
    return [make_run(runs, f"digits-{number}", seed=number, epochs=20 + number) for number in range(5)]


if __name__ == "__main__":
    main()
