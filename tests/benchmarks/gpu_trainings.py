"""Whole trainings against a goal: shakespeare-gpt-gpu to its loss, cifar10-fast to its recipe's accuracy.

Part of ``python -m tests.benchmarks.gpu``. Two clocks: the training alone, which is the sum of its epochs from the
first batch to the last step, and the wall, from the command to the result. The one training of a command pays for all
that a process does once; trainings that follow others in one process tell what the steps themselves take.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dlcore import preset as presets
from dlcore.events import EventReader
from dlcore.run_dir import RunDir
from dlcore.training.signals import Flags
from dlcore.worker import Worker
from tests.benchmarks import measure
from tests.core import real_presets

ROOT = Path(__file__).parents[2]
LOSS, LOSS_SECONDS = 1.47, 30.0
CIFAR_SECONDS, OF_NAIVE = 1.5, 0.5
SMALL_GPT = ("data.window=16", "data.epoch_windows=128", "model.embed_dim=12", "model.heads=2", "model.layers=1",
             "training.epochs=2", "training.workers=0", "scheduler.warmup_steps=2")  # fmt: skip
SMALL_NET = ("model.widths=[8, 8, 8]", "training.epochs=1", "training.batch_size=50", "task.test_time=none")
SMALL_NAIVE = ("--widths", "8", "8", "8", "--epochs", "1", "--batch", "50")


@dataclass(frozen=True)
class Trained:
    """A training that is over.

    Attributes:
        epochs: its events, as they came.
        test: figures of the test part, by name.
        began: Unix seconds of the command.
        wall: seconds from the command to its end.
    """

    epochs: list[dict[str, Any]]
    test: dict[str, float]
    began: float
    wall: float

    @property
    def seconds(self) -> float:
        """Of the training alone."""
        return sum(epoch["seconds"] for epoch in self.epochs)

    @classmethod
    def read(cls, run: Path, began: float) -> Trained:
        """From what a run has written down."""
        wall, events = time.time() - began, EventReader(run / "events.jsonl").read()
        test = next((event["metrics"] for event in events if event["event"] == "test"), {})
        return cls([event for event in events if event["event"] == "epoch"], test, began, wall)


def by_command(folder: Path, name: str, sets: Sequence[str], data: Path | None = None) -> Trained:
    """``dltui run`` in a process of its own.

    Raises:
        RuntimeError: it did not end well.
    """
    command = [
        sys.executable,
        "-m",
        "tui.cli",
        "run",
        name,
        "--quiet",
        "--runs",
        str(folder),
        "--name",
        "raced",
    ]
    environment = {**os.environ, **({"DLTUI_DATA": str(data)} if data is not None else {})}
    began = time.time()
    done = subprocess.run(
        [*command, *(each for pair in sets for each in ("--set", pair))],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-500:]}")
    return Trained.read(folder / "raced", began)


def in_this_process(folder: Path, name: str, sets: Sequence[str]) -> Trained:
    """The same, where kernels are chosen and loaded already once something has been trained."""
    began = time.time()
    loaded = presets.load(name, sets, builders=True)
    run = RunDir.create(folder, None, name, ROOT)
    run.preset_path.write_text(presets.dump(loaded))
    worker = Worker(run, Flags())
    try:
        worker.prepare()
        worker.train()
    finally:
        worker.close()
    return Trained.read(run.path, began)


def shakespeare(chosen: argparse.Namespace) -> None:
    """Seconds to a validation loss of 1.47."""
    data = real_presets.folder_of_real_data()
    text = data / "text" / "tinyshakespeare.txt" if data is not None else None
    if text is None or not text.exists():
        print("skipped: set DLTUI_TEST_DATA to a folder that holds text/tinyshakespeare.txt")
        return
    goal = 4.2 if chosen.quick else LOSS
    sets = (f"data.path={text}", f"training.device={chosen.device}", *(SMALL_GPT if chosen.quick else ()))
    kinds = {"as shipped": sets}
    if not chosen.quick:
        kinds["compiled"] = (*sets, "training.compile=true")
    rows = []
    for kind, each in kinds.items():
        with measure.scratch() as folder:
            rows.append([kind, *_reached(by_command(folder, "shakespeare-gpt-gpu", each), goal)])
    header = ["shakespeare-gpt-gpu", "best val/loss", f"≤ {goal} in step", "training, s", f"≤ {LOSS_SECONDS:.0f}",
              "wall until then, s", "wall in all, s"]  # fmt: skip
    measure.table("GPT on Shakespeare", header, rows)


def _reached(trained: Trained, goal: float) -> list[str]:
    losses = [epoch["metrics"].get("val/loss", float("inf")) for epoch in trained.epochs]
    at = next((number for number, loss in enumerate(losses) if loss <= goal), None)
    if at is None:
        return [
            f"{min(losses):.4f}",
            "never",
            f"{trained.seconds:.1f} in all",
            "no",
            "",
            f"{trained.wall:.1f}",
        ]
    took = sum(epoch["seconds"] for epoch in trained.epochs[: at + 1])
    until = trained.epochs[at]["time"] - trained.began
    return [
        f"{min(losses):.4f}", str(trained.epochs[at]["step"]), f"{took:.1f}",
        measure.verdict(took, LOSS_SECONDS), f"{until:.1f}", f"{trained.wall:.1f}",
    ]  # fmt: skip


def cifar(chosen: argparse.Namespace) -> None:
    """cifar10-fast beside the same recipe in plain PyTorch, on the same files."""
    try:
        from tests.benchmarks import cifar10_naive  # noqa: F401 - whether there is one
    except ImportError:
        print("skipped: there is no naive port of the recipe")
        return
    data = real_presets.folder_of_real_data()
    if data is None or not (data / "cifar10_jpg.tar.gz").exists():
        print("skipped: set DLTUI_TEST_DATA to a folder that holds cifar10_jpg.tar.gz")
        return
    with measure.scratch() as folder:
        photos = real_presets.CIFAR_PHOTOS // 4 if chosen.quick else 10_000
        real_presets.cifar10_files(data / "cifar10_jpg.tar.gz", folder / "cifar-10-batches-py", photos)
        rows = _race(folder, chosen)
    header = ["cifar10-fast", "trainings", "training after the first, s", "the first, s", "test accuracy",
              "wall of dltui run, s", f"≤ {CIFAR_SECONDS} s", "of naive", f"≤ {OF_NAIVE}", "as accurate"]  # fmt: skip
    measure.table("CIFAR-10 on the same files", header, rows)


def _race(folder: Path, chosen: argparse.Namespace) -> list[list[str]]:
    seeds = range(1 + (1 if chosen.quick else chosen.seeds))  # the first one warms up
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.cifar10_naive",
        "--data",
        str(folder),
        "--device",
        chosen.device,
    ]
    small = SMALL_NAIVE if chosen.quick else ()
    done = subprocess.run(
        [*command, *small, "--seeds", *map(str, seeds)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    naive = [line for line in map(json.loads, done.stdout.splitlines()) if "seed" in line]
    sets = (f"training.device={chosen.device}", *(SMALL_NET if chosen.quick else ()))
    before, os.environ["DLTUI_DATA"] = os.environ.get("DLTUI_DATA"), str(folder)
    try:
        ours = [
            in_this_process(folder / "runs", "cifar10-fast", (*sets, f"training.seed={seed}"))
            for seed in seeds
        ]
    finally:
        del os.environ["DLTUI_DATA"]
        if before is not None:
            os.environ["DLTUI_DATA"] = before
    if chosen.device == "cuda":
        torch.cuda.empty_cache()
    wall = by_command(folder / "alone", "cifar10-fast", sets, folder).wall
    naive_seconds = [line["seconds"] for line in naive]
    naive_right = [100 * line["six views"] for line in naive]
    seconds, right = [each.seconds for each in ours], [100 * each.test["test/accuracy"] for each in ours]
    theirs, mine = statistics.median(naive_seconds[1:]), statistics.median(seconds[1:])
    short = statistics.mean(naive_right) - statistics.mean(right)
    # Within what so few trainings scatter by: the deviation is 0.14 % (n=200, airbench94).
    enough = 2 * 0.14 * (2 / len(right)) ** 0.5
    count = str(len(right))
    return [
        ["naive port", count, measure.spread(naive_seconds[1:]), f"{naive_seconds[0]:.2f}",
         f"{statistics.mean(naive_right):.2f} %", "", "", "1", "", ""],
        ["dltui", count, measure.spread(seconds[1:]), f"{seconds[0]:.2f}",
         f"{statistics.mean(right):.2f} %", f"{wall:.1f}",
         measure.verdict(mine, CIFAR_SECONDS), f"{mine / theirs:.2f}", measure.verdict(mine / theirs, OF_NAIVE),
         measure.verdict(short, enough)],
    ]  # fmt: skip
