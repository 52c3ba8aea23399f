"""How long the command line takes to answer, and `dltui run` to paint and to train.

``python -m tests.benchmarks.start_up``. Processes take turns; a row has processor time, which leaves a
neighbour's work out, and time on the wall. The rivals are Python and typer with nothing else, and an
import of torch, below which no training starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import statistics
import subprocess
import sys
import time
from pathlib import Path

from dlcore.series import read
from tests.benchmarks import measure

ROOT = Path(__file__).parents[2]
TYPER = "import typer; app = typer.Typer(); app.command()(lambda: None); app()"
HEAVY = ("torch", "sklearn", "numpy", "textual", "pydantic", "rich")
IMPORTS = """
import json, sys
from tui.cli import main
code = main({arguments!r})
print(json.dumps(sorted(m for m in {heavy!r} if m in sys.modules)), file=sys.stderr)
"""
DIGITS = (
    '[data]\nname = "digits"\n[model]\nname = "mlp"\n[training]\nmax_steps = 50\nrecord_seconds = 0.001\n'
)
MNIST = DIGITS.replace("digits", "mnist")


def main() -> None:
    """Print the tables."""
    chosen = measure.parse(measure.parser(__doc__, rounds=15))
    rounds = 2 if chosen.quick else chosen.rounds
    with measure.scratch() as folder:
        runs = folder / "runs"
        make_runs(runs, 1000)
        commands(runs, rounds)
        imports(runs)
        starts(folder, max(2, rounds // 3))


def commands(runs: Path, rounds: int) -> None:
    """The verbs that should answer at once."""
    dltui = [sys.executable, "-m", "tui.cli"]
    asked = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "typer alone, --help": [sys.executable, "-c", TYPER, "--help"],
        "dltui --help": [*dltui, "--help"],
        "dltui run --help": [*dltui, "run", "--help"],
        "dltui ls, 1,000 runs": [*dltui, "ls", "--runs", str(runs)],
        "dltui ls --json, 1,000 runs": [*dltui, "ls", "--json", "--runs", str(runs)],
        "dltui show, newest of 1,000": [*dltui, "show", "--runs", str(runs)],
        "dltui presets": [*dltui, "presets"],
    }
    walls: measure.Samples = {name: [] for name in asked}

    def timed(name: str) -> float:
        wall, processor = run_once(asked[name])
        walls[name].append(wall)
        return processor

    contenders = {name: lambda name=name: timed(name) for name in asked}
    figures = measure.interleave(contenders, rounds)
    goals = {"dltui --help": 200, "dltui ls, 1,000 runs": 500}
    rows = []
    for name in asked:
        wall = walls[name][1:]
        goal = goals.get(name)
        rows.append([
            name,
            measure.spread(figures[name], 0),
            measure.spread(wall, 0),
            measure.spread(measure.ratio(figures[name], figures["typer alone, --help"])),
            f"≤ {goal} ms" if goal else "",
            measure.verdict(statistics.median(wall), goal) if goal else "",
        ])  # fmt: skip
    header = ["command", "processor, ms", "wall, ms", "processor / typer alone", "goal", "met"]
    measure.table("Answers of the command line (medians [quartiles])", header, rows)


def run_once(command: list[str]) -> tuple[float, float]:
    """Milliseconds of a process: on the wall, and of the processor."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    assert process.returncode == 0, said.decode()
    return wall * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3


def imports(runs: Path) -> None:
    """Which heavy packages each verb imports."""
    rows = []
    for arguments in (["--help"], ["ls", "--runs", str(runs)], ["show", "--runs", str(runs)], ["presets"]):
        code = IMPORTS.format(arguments=arguments, heavy=HEAVY)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        found = json.loads(done.stderr.splitlines()[-1])
        light = "torch" not in found and "sklearn" not in found
        rows.append([f"dltui {arguments[0]}", ", ".join(found) or "none", "yes" if light else "no"])
    measure.table(
        "Heavy packages imported", ["command", f"of {', '.join(HEAVY)}", "neither torch nor sklearn"], rows
    )


def starts(folder: Path, rounds: int) -> None:
    """From the command to the first thing painted and to the first training step."""
    presets = {"digits": DIGITS} | ({"mnist": MNIST} if measure.real_data() else {})
    for name, text in presets.items():
        (folder / f"{name}.toml").write_text(text)
    torch = [sys.executable, "-c", "import torch"]
    steps: measure.Samples = {name: [] for name in presets}

    def timed(name: str) -> float:
        painted, stepped = start_once(folder, name, len(steps[name]))
        steps[name].append(stepped)
        return painted

    contenders = {name: lambda name=name: timed(name) for name in presets}
    figures = measure.interleave(contenders | {"torch": lambda: run_once(torch)[0]}, rounds)
    rows = [["python -c 'import torch'", "", measure.spread(figures["torch"], 0), ""]]
    for name in presets:
        ratios = measure.ratio(steps[name][1:], figures["torch"])
        row = [f"dltui run, {name}", figures[name], steps[name][1:]]
        rows.append([row[0], measure.spread(row[1], 0), measure.spread(row[2], 0), measure.spread(ratios)])
    header = ["command", "first paint, ms", "done, or first step, ms", "first step / import of torch"]
    measure.table("Start of a training on a terminal, on the wall (medians [quartiles])", header, rows)


def start_once(folder: Path, name: str, turn: int) -> tuple[float, float]:
    """Milliseconds until `dltui run` paints on a terminal, and until its first step."""
    runs = folder / f"started-{name}-{turn}"
    command = [sys.executable, "-m", "tui.cli", "run", str(folder / f"{name}.toml"), "--runs", str(runs)]
    ours, its = pty.openpty()
    began = time.time()
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=its, stdout=its, stderr=its, env={**os.environ, "TERM": "xterm-256color"}
    )
    os.close(its)
    said, painted = b"", 0.0
    with contextlib.suppress(OSError):  # the terminal's other end is gone when the process is
        while select.select([ours], [], [], 120)[0]:
            said += os.read(ours, 1 << 16)
            painted = painted or time.time()
    os.close(ours)
    assert process.wait(60) == 0, said.decode(errors="replace")
    (run,) = runs.iterdir()
    first = read(run / "metrics", "train/loss").time[0]
    return (painted - began) * 1e3, (float(first) - began) * 1e3


def make_runs(runs: Path, count: int) -> None:
    """Finished runs as a worker leaves them."""
    metrics = {
        f"{part}/{name}": 0.5 for part in ("train", "val", "test") for name in ("loss", "accuracy", "f1")
    }
    for number in range(count):
        run = runs / f"20261101-{number:06d}-digits-cnn"
        run.mkdir(parents=True)
        state = {
            "status": "finished", "preset": "digits-cnn", "model": "cnn", "data": "digits", "device": "cpu",
            "epoch": 10, "epochs": 10, "step": 1000, "steps": 1000, "seconds": 12.5, "samples_per_second": 9000.0,
            "lr": 0.001, "parameters": 10_000, "pid": 1, "created": 1.79e9 + number, "updated": 1.79e9 + number,
            "best": {"metric": "val/accuracy", "value": 0.98, "epoch": 9}, "metrics": metrics, "error": "",
        }  # fmt: skip
        (run / "state.json").write_text(json.dumps(state))
        (run / "run.json").write_text(json.dumps({"name": run.name, "created": state["created"]}))
        (run / "preset.toml").write_text(DIGITS)
        event = {"seq": 1, "time": state["created"], "event": "created"}
        (run / "events.jsonl").write_text(json.dumps(event) + "\n")


if __name__ == "__main__":
    main()
