"""What a checkpoint an epoch costs a training, and how long the loop itself stands still for one.

``python -m tests.benchmarks.checkpoint_cost``. The first table trains the MNIST network of a few seconds
with and without checkpoints, in turns; processor time counts every thread, so it also has what the writer
does beside the training. The second one saves idle trainers of several sizes.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import torch

from dlcore.events import EventReader
from dlcore.training.trainer import Trainer
from tests.benchmarks import measure
from tests.benchmarks.workloads import CNN, MLP, announce, open_run

EPOCHS = 3
SIZES = {"0.4 M": 350, "10 M": 2_790, "100 M": 9_600}  # widths of two hidden layers after 784 inputs
GOAL = 1.035  # CheckFreq's bound (Mohan et al. 2021)


def main() -> None:
    """Print both tables."""
    parser = measure.parser(__doc__, rounds=8)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = measure.parse(parser)
    with measure.scratch() as runs:
        epochs(
            runs, chosen.threads, 1 if chosen.quick else chosen.rounds, "6_000" if chosen.quick else "54_000"
        )
        standstill(runs, 2 if chosen.quick else 5, list(SIZES)[: 1 if chosen.quick else None])


def epochs(runs: Path, threads: int, rounds: int, samples: str) -> None:
    """Training with and without checkpoints."""
    trainers = {}
    workers = []
    for name in ("no checkpoint", "one an epoch"):
        worker = open_run(runs, CNN.format(data="made_up.py:images"), f"data.samples={samples}")
        workers.append(worker)
        trainers[name] = worker.trainer
    trainers["no checkpoint"].save = announce(trainers["no checkpoint"])  # type: ignore[method-assign]
    torch.set_num_threads(threads)
    processor: measure.Samples = {name: [] for name in trainers}

    def train(name: str) -> float:
        start, busy = time.perf_counter(), time.process_time()
        train_on(trainers[name], EPOCHS)
        processor[name].append(time.process_time() - busy)
        return time.perf_counter() - start

    figures = measure.interleave({name: lambda name=name: train(name) for name in trainers}, rounds)
    for worker in workers:
        worker.close()
    rows = []
    for name in trainers:
        wall = measure.ratio(figures[name], figures["no checkpoint"])
        busy = measure.ratio(processor[name][1:], processor["no checkpoint"][1:])
        best = min(figures[name]) / min(figures["no checkpoint"])
        met = measure.verdict(statistics.median(wall), GOAL)
        rows.append([
            name, measure.spread(figures[name]), measure.spread(wall, 3), f"{best:.3f}", measure.spread(busy, 3), met
        ])  # fmt: skip
    header = [
        "checkpoints",
        f"{EPOCHS} epochs, s",
        "ratio",
        "of the fastest",
        "of processor time",
        f"≤ {GOAL}",
    ]
    title = f"MNIST CNN (batch 256, {samples} images, {threads} threads), validation in, on the wall"
    measure.table(title, header, rows)


def train_on(trainer: Trainer, epochs: int) -> None:
    """Some epochs more, to the end of the last write."""
    until = trainer.progress.epoch + epochs
    trainer.training = trainer.training.model_copy(update={"epochs": until})
    trainer.outcome = None
    trainer.fit()


def standstill(runs: Path, saves: int, sizes: list[str]) -> None:
    """Time from the loop's call to its going on, by number of parameters."""
    rows = []
    for name in sizes:
        overrides = [f"model.widths=[{SIZES[name]}, {SIZES[name]}]", "data.samples=8", "data.val=8"]
        worker = open_run(runs, MLP.format(data="made_up.py:images"), *overrides)
        trainer = worker.trainer
        train_on(trainer, 1)  # the optimizer has its moments now
        blocked = []
        for _ in range(saves + 1):
            start = time.perf_counter()
            trainer.save()
            blocked.append((time.perf_counter() - start) * 1e3)
            trainer.saver.wait()
        written = checkpoint_events(runs / worker.run.name)[-saves:]
        worker.close()
        size = written[-1]["bytes"]
        seconds = [event["seconds"] for event in written]
        speed = [size / 1e6 / milliseconds for milliseconds in blocked[1:]]
        rows.append([
            name, f"{size / 1e6:,.1f}", measure.spread(blocked[1:]), measure.spread(speed), measure.spread(seconds, 3)
        ])  # fmt: skip
    header = ["parameters", "MB", "loop stands still, ms", "snapshot, GB/s", "written beside, s"]
    measure.table("A checkpoint of an MLP under AdamW (weights and two moments)", header, rows)


def checkpoint_events(run: Path) -> list[dict[str, Any]]:
    """What the run says of its checkpoints."""
    return [event for event in EventReader(run / "events.jsonl").read() if event["event"] == "checkpoint"]


if __name__ == "__main__":
    main()
