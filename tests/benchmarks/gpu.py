"""What a GPU makes of it: replayed steps, records, memory, and the trainings that are raced.

``python -m tests.benchmarks.gpu [--only graphs records memory shakespeare cifar]``. Each part takes one to two minutes
on an H100. Data sets are looked for in ``DLTUI_TEST_DATA``. ``--device cpu --quick`` shows that all of it works; there
nothing is replayed, and no goal is meant for it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from dlcore import preset as presets
from dlcore.bench.bench import Bench
from dlcore.bench.loops import Bare, Timed, finish
from dlcore.bench.turns import take_turns
from dlcore.errors import UserError
from dlcore.training.capture.stepper import CapturedStepper
from dlcore.training.capture.tape import SYNCHRONISES, Tape
from tests.benchmarks import gpu_memory, gpu_trainings, measure
from tests.core import real_presets

TINY = ("digits-logistic", "moons-backprop", "digits-mlp", "digits-cnn", "digits-lstm", "digits-gan")
RECORDED = ("digits-mlp", "digits-cnn", "cifar10-resnet")
WARM_UP = 16
"""Steps: a step is recorded in the fifth, and a shorter last batch may have come in between."""

WINDOW = 0.3
"""Seconds of a turn."""

WAITED = 200
"""Steps in which waits for the device are counted."""


def main() -> None:
    """Print the tables that were asked for."""
    parser = measure.parser(__doc__, rounds=9)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of cifar10-fast (%(default)s)")
    chosen = measure.parse(parser)
    if chosen.device == "cuda":
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    for part in chosen.only:
        began = time.perf_counter()
        PARTS[part](chosen)
        print(f"({part}: {time.perf_counter() - began:.0f} s)", flush=True)


@contextlib.contextmanager
def bench_of(name: str, chosen: argparse.Namespace, *sets: str) -> Iterator[Bench | None]:
    """A preset's parts on the device; None, after saying why, where they cannot be had."""
    path = next(path for path in presets.shipped() if path.stem == name)
    data = real_presets.folder_of_real_data()
    before = os.environ.get("DLTUI_DATA")
    with measure.scratch() as folder:
        (folder / "data").mkdir()
        try:
            found = list(sets)
            if not real_presets.has_bundled_data(path):
                if data is None:
                    raise UserError("its data is not here (DLTUI_TEST_DATA)")
                os.environ["DLTUI_DATA"] = str(folder / "data")
                found += real_presets.overrides(path, data, folder / "data")
            loaded = presets.load(path, [f"training.device={chosen.device}", *found], builders=True)
            bench = Bench(loaded, folder, 60.0, lambda line: None)
        except UserError as error:
            print(f"skipped: {name}: {error.lines[0]}")
            bench = None
        try:
            yield bench
        finally:
            os.environ.pop("DLTUI_DATA", None)
            if before is not None:
                os.environ["DLTUI_DATA"] = before


# Replayed steps


def graphs(chosen: argparse.Namespace) -> None:
    """Tiny networks: replayed, one operation at a time, and in a bare loop."""
    rows = []
    for name in TINY[:2] if chosen.quick else TINY:
        with bench_of(name, chosen) as bench:
            if bench is not None:
                rows.append([name, *compare_steps(bench, chosen)])
    header = ["preset", "batch", "replayed", "a step, µs", "usual, µs", "bare loop, µs", "times the bare loop", "≥ 3",
              "of a step: parts"]  # fmt: skip
    measure.table("Replayed steps beside an eager bare loop (medians [quartiles])", header, rows)


def compare_steps(bench: Bench, chosen: argparse.Namespace) -> list[str]:
    """Three contenders in turns, each as many steps as fit in a window."""
    usual = replace(bench.opened, preset=bench.preset.with_training(graph=False))
    with (
        bench.training(bench.opened) as replaying,
        bench.training(usual) as eager,
        bench.bare(bench.opened) as bare,
    ):
        loops: dict[str, Timed | Bare] = {"replaying": replaying, "eager": eager, "bare": bare}
        window = 0.02 if chosen.quick else WINDOW
        steps = {name: steps_in(loop, window) for name, loop in loops.items()}
        seconds: dict[str, list[float]] = {name: [] for name in loops}

        def turn(name: str) -> float:
            done = loops[name].advance(steps[name])
            seconds[name].append(done.seconds / done.steps)
            return done.samples_per_second

        contenders: dict[str, Callable[[], float]] = {name: (lambda name=name: turn(name)) for name in loops}
        rounds = take_turns(contenders, 60.0, most=2 if chosen.quick else chosen.rounds, least=2)
        ratios = measure.ratio(rounds.figures["replaying"], rounds.figures["bare"])
        split = replaying.split(5 if chosen.quick else 50)
        took = [f"{1e6 * statistics.median(seconds[name]):,.0f}" for name in loops]
        return [
            str(bench.preset.training.batch),
            how_much_is_replayed(replaying),
            *took,
            measure.spread(ratios),
            measure.verdict(statistics.median(ratios), 3.0, at_least=True),
            ", ".join(f"{part} {1e6 * value:,.0f} µs" for part, value in split.items()),
        ]


def steps_in(loop: Timed | Bare, seconds: float) -> int:
    """How many fit, after a warm-up."""
    loop.advance(WARM_UP)
    window = loop.advance(WARM_UP)
    return max(1, round(seconds * window.steps / window.seconds))


def how_much_is_replayed(trainer: Timed) -> str:
    """Share of 200 steps, or why none is."""
    stepper = trainer.stepper
    if not isinstance(stepper, CapturedStepper):
        return "no"
    if stepper.reason:
        return f"no: {stepper.reason}"
    before = stepper.replayed
    trainer.advance(WAITED)
    return f"{(stepper.replayed - before) / WAITED:.0%}"


# Records


def records(chosen: argparse.Namespace) -> None:
    """What records and gauges cost, and how often the host waits for the device between two of them."""
    rows = []
    for name in RECORDED[:1] if chosen.quick else RECORDED:
        with bench_of(name, chosen) as bench:
            if bench is not None:
                rows.append([name, *compare_records(bench, chosen)])
    header = ["preset", "a step, µs", "with a record each half second, of the speed without", "≥ 0.995",
              f"waits in {WAITED} steps", "none"]  # fmt: skip
    measure.table("Records and gauges (medians [quartiles])", header, rows)


def compare_records(bench: Bench, chosen: argparse.Namespace) -> list[str]:
    """Two trainers in turns, several records long."""
    never = replace(bench.opened, preset=bench.preset.with_training(record_seconds=1e9))
    with bench.training(bench.opened) as often, bench.training(never) as silent:
        loops = {"often": often, "silent": silent}
        window = 0.1 if chosen.quick else 2.0
        steps = {name: steps_in(loop, window) for name, loop in loops.items()}
        took: list[float] = []

        def turn(name: str) -> float:
            done = loops[name].advance(steps[name])
            took.append(done.seconds / done.steps)
            return done.samples_per_second

        contenders: dict[str, Callable[[], float]] = {name: (lambda name=name: turn(name)) for name in loops}
        rounds = take_turns(contenders, 40.0, most=2 if chosen.quick else chosen.rounds, least=2)
        ratios = measure.ratio(rounds.figures["often"], rounds.figures["silent"])
        waited = waits(silent)
        asked = bench.opened.device.type == "cuda"  # the CPU's own steps take their losses as numbers
        return [
            f"{1e6 * statistics.median(took):,.0f}",
            measure.spread(ratios, 4),
            measure.verdict(statistics.median(ratios), 0.995, at_least=True),
            f"{len(waited)}{': ' if waited else ''}{', '.join(sorted(set(waited)))}" if asked else "",
            measure.verdict(len(waited), 0) if asked else "",
        ]


def waits(trainer: Timed) -> list[str]:
    """What makes the host wait for the device, once for each time, while batches come and steps are made.

    Ends of epochs, whose losses are fetched, are left out. On the CPU that is told by the operations, which say whether
    they have to know numbers; on a GPU also by torch, which knows when it waits.
    """
    device = trainer.train.device
    kinds: list[str] = []
    left = WAITED
    while left > 0:
        batches = trainer.train.epoch(trainer.progress.epoch)
        next(batches)  # an epoch begins with copies of its order, which may wait
        with watched(device) as found:
            for batch in batches:
                if left <= 0:
                    break
                trainer.stepper.step([batch], trainer.factor)
                left -= 1
        kinds += found
        trainer.stepper.hand_over()
        trainer.progress.epoch += 1
    finish(device)
    return kinds


@contextlib.contextmanager
def watched(device: torch.device) -> Iterator[list[str]]:
    """Inside, waits for the device are noted."""
    found: list[str] = []
    if device.type != "cuda":
        with Tape(device) as tape:
            yield found
        found += tape.waits
        return
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode("default")
    found += [
        f"{Path(each.filename).name}:{each.lineno}" for each in said if SYNCHRONISES in str(each.message)
    ]


def memory(chosen: argparse.Namespace) -> None:
    """The split of a step's memory, added up and beside what was expected, for every preset."""
    names = TINY[:2] if chosen.quick else [path.stem for path in presets.shipped()]
    rows = []
    for name in names:
        with bench_of(name, chosen) as bench:
            if bench is not None:
                rows.append([name, *gpu_memory.weighed(bench)])
    measure.table("Memory of a step", gpu_memory.HEADER, rows)


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "graphs": graphs,
    "records": records,
    "memory": memory,
    "shakespeare": gpu_trainings.shakespeare,
    "cifar": gpu_trainings.cifar,
}

if __name__ == "__main__":
    main()
