"""What the trainer costs beside a bare loop: a step, and the boundary between two epochs.

``python -m tests.benchmarks.trainer_overhead``. The small net runs in one thread and is timed in processor
time, which leaves a neighbour's work out; the MNIST MLP by the clock on the wall.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from dlcore.training.evaluation import evaluate
from tests.benchmarks import measure
from tests.benchmarks.workloads import LINEAR, MLP, Bare, Epochs, open_run

MICROSECONDS = 1e6


def main() -> None:
    """Print both tables."""
    chosen = measure.parse(measure.parser(__doc__, rounds=40))
    rounds = 3 if chosen.quick else chosen.rounds
    threads = torch.get_num_threads()
    with measure.scratch() as runs:
        mlp = MLP.format(data="made_up.py:images")
        cases = [
            ("linear 6-3, batch 8", LINEAR, "data.samples=16_000", 1, time.thread_time),
            ("MLP 784-256-10, batch 128", mlp, "data.samples=25_600", 1, time.thread_time),
        ]
        rows = [compare(runs, *case, rounds) for case in cases]
    torch.set_num_threads(threads)
    measure.table(
        "A step of the trainer beside a bare loop (medians [quartiles] over epochs that take turns)",
        ["work", "bare, µs a step", "trainer / bare", "more, µs a step", "≤ 1 % or ≤ 5 µs",
         "boundary less evaluation, ms", "≤ 1 ms"],
        rows,
    )  # fmt: skip


def compare(
    runs: Path, name: str, preset: str, size: str, threads: int, clock: Callable[[], float], rounds: int
) -> list[str]:
    """One row: the trainer and the bare loop take turns, an epoch each."""
    torch.set_num_threads(threads)
    worker = open_run(runs, preset, size)
    torch.set_num_threads(threads)
    trainer, bare = Epochs(worker, clock), Bare(worker)
    steps = worker.trainer.steps_per_epoch
    boundaries: list[float] = []

    def ours() -> float:
        trainer.train()
        boundaries.append((trainer.boundary - evaluation(trainer)) * 1e3)
        return trainer.steps / steps * MICROSECONDS

    def theirs() -> float:
        start = clock()
        bare.train()
        return (clock() - start) / steps * MICROSECONDS

    figures = measure.interleave({"trainer": ours, "bare": theirs}, rounds, warm_up=2)
    trainer.close()
    ratios = measure.ratio(figures["trainer"], figures["bare"])
    more = measure.difference(figures["trainer"], figures["bare"])
    good = statistics.median(ratios) <= 1.01 or statistics.median(more) <= 5
    boundary = boundaries[2:]
    return [
        name,
        measure.spread(figures["bare"], 1),
        measure.spread(ratios, 3),
        measure.spread(more, 1),
        "yes" if good else "no",
        measure.spread(boundary),
        measure.verdict(statistics.median(boundary), 1.0),
    ]


def evaluation(epochs: Epochs) -> float:
    """Seconds of the evaluation alone."""
    trainer = epochs.trainer
    start = epochs.clock()
    evaluate(trainer.task, trainer.val, trainer.precision).compute()
    return epochs.clock() - start


if __name__ == "__main__":
    main()
