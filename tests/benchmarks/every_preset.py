"""Every shipped preset: samples a second of the trainer beside a bare loop over the same network and batches.

``python -m tests.benchmarks.every_preset [NAME ...]``. The two loops of ``dltui bench``, in turns within one process a
preset. Data sets are looked for in ``DLTUI_TEST_DATA``; presets whose data is not there are left out. ``--out FILE``
keeps a line of JSON a preset and goes on where it was cut off.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from dlcore import preset as presets
from dlcore.bench.bench import Bench
from dlcore.bench.turns import take_turns
from dlcore.errors import UserError
from tests.benchmarks import measure
from tests.core import real_presets

WINDOW = 0.25
"""Seconds of a turn."""

QUICK = ("iris-perceptron", "digits-mlp")


def main() -> None:
    """Print the table."""
    parser = measure.parser(__doc__, rounds=25)
    parser.add_argument("presets", nargs="*", metavar="NAME", help="some of them")
    parser.add_argument("--seconds", type=float, default=6.0, help="of turns a preset (%(default)s)")
    parser.add_argument("--out", type=Path, help="a file of JSON lines to go on with")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = measure.parse(parser)
    if chosen.one:
        print(json.dumps(measured(chosen.one, chosen.seconds, chosen.rounds)))
        return
    names = chosen.presets or (QUICK if chosen.quick else [path.stem for path in presets.shipped()])
    done = read(chosen.out)
    for name in names:
        if name in done:
            continue
        done[name] = in_a_process_of_its_own(name, 1.0 if chosen.quick else chosen.seconds)
        if chosen.out is not None:
            with chosen.out.open("a") as file:
                file.write(json.dumps(done[name]) + "\n")
    rows = [row(name, done[name]) for name in names]
    header = ["preset", "a step, ms", "threads", "trainer / bare", "rounds", "≥ 1.0"]
    measure.table("The trainer beside a bare loop (median [quartiles])", header, rows)


def read(out: Path | None) -> dict[str, dict[str, Any]]:
    """What was measured before, by preset."""
    if out is None or not out.exists():
        return {}
    lines = map(json.loads, out.read_text().splitlines())
    return {line["preset"]: line for line in lines}


def in_a_process_of_its_own(name: str, seconds: float) -> dict[str, Any]:
    """As a user's: memory, threads and kernels that were chosen for another preset play no part."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.every_preset",
        "--one",
        name,
        "--seconds",
        str(seconds),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"preset": name, "error": (done.stderr.strip().splitlines() or ["no word"])[-1]}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def measured(name: str, seconds: float, rounds: int) -> dict[str, Any]:
    """The ratio for one preset."""
    data = real_presets.folder_of_real_data()
    path = next(path for path in presets.shipped() if path.stem == name)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder) / "data"
        scratch.mkdir()
        sets: list[str] = []
        if not real_presets.has_bundled_data(path):
            if data is None:
                return {"preset": name, "error": "its data is not here (DLTUI_TEST_DATA)"}
            os.environ["DLTUI_DATA"] = str(scratch)
            sets = real_presets.overrides(path, data, scratch)
        try:
            bench = Bench(presets.load(path, sets, builders=True), Path(folder), seconds, lambda _: None)
        except UserError as error:
            return {"preset": name, "error": str(error).splitlines()[0]}
        return {"preset": name} | compare(bench, seconds, rounds)


def compare(bench: Bench, seconds: float, rounds: int) -> dict[str, Any]:
    """Turns of both loops."""
    with bench.training(bench.opened) as trainer, bench.bare(bench.opened) as bare:
        trainer.advance(2)
        start = time.perf_counter()
        trainer.advance(3)
        step = (time.perf_counter() - start) / 3
        steps = max(1, round(WINDOW / step))
        bare.advance(min(2, steps))
        turns = take_turns(
            {
                "ours": lambda: trainer.advance(steps).samples_per_second,
                "bare": lambda: bare.advance(steps).samples_per_second,
            },
            seconds,
            most=rounds,
        )
    ratios = measure.ratio(turns.figures["ours"], turns.figures["bare"])
    return {"ratios": ratios, "step": step, "threads": torch.get_num_threads()}


def row(name: str, result: dict[str, Any]) -> list[str]:
    """One line of the table."""
    if "error" in result:
        return [name, "", "", result["error"], "", ""]
    ratios = result["ratios"]
    met = measure.verdict(statistics.median(ratios), 1.0, at_least=True)
    spread = measure.spread(ratios, 3)
    return [name, f"{1e3 * result['step']:,.2f}", str(result["threads"]), spread, str(len(ratios)), met]


if __name__ == "__main__":
    main()
