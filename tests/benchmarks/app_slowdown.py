"""How much an attached app slows a training that has both cores.

``python -m tests.benchmarks.app_slowdown [--rounds 20]``. One run trains all the time; one app shows it on a
pseudo-terminal and is told in turn that its window has the focus, when it draws, and that it has lost it,
when it does not. Steps a second come from the run's own series; a pair is two neighbouring stretches.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dlcore import preset as presets
from dlcore.run_dir import RunDir
from dlcore.series import read
from tests.benchmarks import measure
from tests.benchmarks.on_terminal import FOCUS_IN, FOCUS_OUT, ROOT, OnTerminal
from tests.benchmarks.workloads import FOLDER

PRESET = """
[data]
name = "made_up.py:images"
samples = 54_000
val = 500
[model]
name = "mlp"
widths = [512, 512]
[training]
epochs = 1_000_000
batch_size = 256
[checkpoint]
every_epochs = 1_000_000
"""
STRETCH, AFTER_TURN = 4.0, 0.7  # seconds: of a measurement, and left out after a change of focus
GOAL = 0.02


def main() -> None:
    """Print the table."""
    made = measure.parser(__doc__, rounds=20)
    made.add_argument("--only", default="", help="the app whose name begins so")
    chosen = measure.parse(made)
    rounds = 2 if chosen.quick else chosen.rounds
    rows = []
    with measure.scratch() as folder, training(folder / "runs") as run:
        apps = {
            "four charts, all changing at each record": (
                "tests.benchmarks.live_charts",
                "--run",
                str(run.path),
            ),
            "Run screen, dltui attach": ("tui.start", "attach", run.name),
        }
        for name, arguments in apps.items():
            if not name.startswith(chosen.only):
                continue
            with OnTerminal(*arguments, DLTUI_RUNS=str(run.path.parent)) as app:
                drawing, still = pairs(app, run, rounds)
                cost, bytes_ = load(app)
            slowdown = [1 - ratio for ratio in measure.ratio(drawing, still)]
            middle = statistics.median(slowdown)
            rows.append(
                [
                    name,
                    measure.spread(drawing, 1),
                    measure.spread(still, 1),
                    measure.spread([100 * part for part in slowdown], 2),
                    f"{cost:.1%}",
                    f"{bytes_ / 1000:.1f}",
                    measure.verdict(middle, GOAL),
                ]
            )
    header = ["app", "steps/s drawing", "steps/s still", "slower, %", "of a core", "KB/s", "goal met"]
    measure.table(f"A training on {os.cpu_count()} cores with an app attached", header, rows)


@contextmanager
def training(runs: Path) -> Iterator[RunDir]:
    """A run that trains in a process of its own."""
    loaded = presets.loads(PRESET, "benchmark", (), builders=True, base=FOLDER)
    run = RunDir.create(runs, None, "benchmark", FOLDER)
    run.preset_path.write_text(presets.dump(loaded))
    with (run.path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "dlcore.worker", str(run.path)],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    try:
        while len(read(run.metrics_path, "train/loss")) < 500:
            if worker.poll() is not None:
                raise SystemExit((run.path / "worker.log").read_text())
            time.sleep(0.2)
        yield run
    finally:
        worker.terminate()
        worker.wait()


def pairs(app: OnTerminal, run: RunDir, rounds: int) -> tuple[list[float], list[float]]:
    """Steps a second with the app drawing and not, stretch by stretch, in a new order each round."""
    order, turns = random.Random(0), [True, False]
    stretches: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    app.read(4.0)
    for _ in range(rounds):
        order.shuffle(turns)
        for drawing in turns:
            app.send(FOCUS_IN if drawing else FOCUS_OUT)
            app.read(AFTER_TURN)
            began = time.time()
            app.read(STRETCH)
            stretches[drawing].append((began, time.time()))
    app.read(1.0)  # the last record
    series = read(run.metrics_path, "train/loss")
    return tuple(
        [speed(series.step, series.time, *ends) for ends in stretches[kind]] for kind in (True, False)
    )  # type: ignore[return-value]


def speed(step: np.ndarray, at: np.ndarray, began: float, ended: float) -> float:
    """Steps a second between the first and the last record inside a stretch."""
    inside = np.flatnonzero((at >= began) & (at <= ended))
    first, last = inside[0], inside[-1]
    first = np.searchsorted(at, at[first], side="right") - 1  # records of one flush have one time
    return float(step[last] - step[first]) / float(at[last] - at[first])


def load(app: OnTerminal) -> tuple[float, float]:
    """Share of a core and bytes a second of an app that draws."""
    from tests.benchmarks.on_terminal import shares

    app.send(FOCUS_IN)
    app.read(AFTER_TURN)
    sent, share = shares(app, 2 * STRETCH)
    return share, sent


if __name__ == "__main__":
    main()
