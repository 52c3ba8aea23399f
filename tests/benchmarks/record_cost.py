"""What recording costs: samples a second of an MNIST MLP with a record twice a second, and with none.

``python -m tests.benchmarks.record_cost``. One thread and processor time, which leaves a neighbour's work
out. The last record of an epoch is left out of both.
"""

from __future__ import annotations

import statistics
import time

import torch

from tests.benchmarks import measure
from tests.benchmarks.workloads import LINEAR, MLP, Epochs, open_run

SECONDS = {"none (1e9)": 1e9, "0.5": 0.5, "0.05": 0.05}


def main() -> None:
    """Print the table."""
    chosen = measure.parse(measure.parser(__doc__, rounds=15))
    works = {
        "MLP 784-256-10, batch 128": (MLP.format(data="made_up.py:images"), 192_000),
        "linear 6-3, batch 8": (LINEAR, 160_000),
    }
    rows = []
    for name, (preset, samples) in works.items():
        rows += compare(
            name, preset, samples // 10 if chosen.quick else samples, 1 if chosen.quick else chosen.rounds
        )
    header = ["work", "record_seconds", "samples/s", "of the speed without records", "≥ 0.99"]
    measure.table("Recording (medians [quartiles])", header, rows)


def compare(work: str, preset: str, samples: int, rounds: int) -> list[list[str]]:
    """One row an interval; trainers take turns, an epoch of about two seconds each."""
    with measure.scratch() as runs:
        runners = {}
        for name, seconds in SECONDS.items():
            overrides = [f"data.samples={samples}", f"training.record_seconds={seconds}"]
            runners[name] = Epochs(open_run(runs, preset, *overrides), time.thread_time)
        torch.set_num_threads(1)

        def train(name: str) -> float:
            runners[name].train()
            return samples / runners[name].steps

        figures = measure.interleave({name: lambda name=name: train(name) for name in runners}, rounds)
        for runner in runners.values():
            runner.close()
    rows = []
    for name in SECONDS:
        ratios = measure.ratio(figures[name], figures["none (1e9)"])
        met = measure.verdict(statistics.median(ratios), 0.99, at_least=True)
        rows.append([work, name, measure.spread(figures[name], 0), measure.spread(ratios, 3), met])
    return rows


if __name__ == "__main__":
    main()
