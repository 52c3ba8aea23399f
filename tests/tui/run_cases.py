"""A run with everything a Run screen shows, a machine with as many GPUs as wanted, and a worker to play."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from textual.pilot import Pilot

from dlcore.control import Command, ControlReader
from dlcore.gauges import GaugeReader, Gpu, Host, NoGpu
from dlcore.run_dir import RunDir
from dlcore.series import SeriesWriter
from tests.tui.piloting import PATIENCE, until
from tests.tui.recorded import START, make_run, write_events
from tui.screens.run import RunScreen
from tui.widgets.live_cells import LiveCells
from tui.widgets.panel import Panel

GIB = 1 << 30
HOST = Host(0.42, 16, 30 * GIB, 126 * GIB, 412 * GIB, 900 * GIB, 3.1, 2 * GIB)
ONE = (Gpu("0", "NVIDIA H100 80GB HBM3", 62 * GIB, GIB // 2, 79 * GIB, 3 * GIB, 0.97, 61.0, 512.0, 700.0),)
EIGHT = tuple(
    Gpu(
        str(number),
        "NVIDIA H100 80GB HBM3",
        (8 * number + 3) * GIB,
        GIB // 2,
        79 * GIB,
        3 * GIB if number == 2 else None,
        None if number == 5 else number / 8,
        None if number == 5 else 40.0 + 3 * number,
        None if number == 5 else 90.0 * number + 72,
        700.0,
    )
    for number in range(8)
)
SLICES = tuple(
    Gpu(f"0:{number}", "NVIDIA H100 MIG 3g.40gb", number * 9 * GIB, None, 40 * GIB) for number in range(2)
)


class Machine:
    """Says always the same. ``gate`` cleared: its GPUs hang."""

    def __init__(self, gpus: Sequence[Gpu] = (), host: Host = HOST) -> None:
        self.gpus = gpus
        self.host = host
        self.gate = threading.Event()
        self.gate.set()
        self.asked = 0

    def gauges(self, deadline: float = 5.0) -> GaugeReader:
        machine = self

        class Gpus:
            def read(self, pids: frozenset[int]) -> Sequence[Gpu]:
                machine.gate.wait()
                if not machine.gpus:
                    raise NoGpu("no NVIDIA GPU")
                return machine.gpus

        class ThisHost:
            def read(self, pid: int | None, folder: Path) -> tuple[Host, frozenset[int]]:
                machine.asked += 1
                return machine.host, frozenset()

        return GaugeReader(Gpus, ThisHost, deadline=deadline)


def full_run(runs: Path, **how: Any) -> RunDir:
    """A recorded run with times, samples, an inspection and a log as well."""
    run = make_run(runs, **how)
    done = how.get("done", 7)
    steps = np.arange(1, 3 * done + 1) * 7
    writer = SeriesWriter(run.metrics_path)
    for part, seconds in {"data": 1e-4, "forward": 1.3e-3, "backward": 2.3e-3, "optimizer": 5e-4}.items():
        writer.append(f"time/{part}", steps, START + steps, seconds)
    writer.append("train/grad_norm", steps, START + steps, 1.0 + 1.0 / steps)
    writer.close()
    write_samples(run)
    write_inspection(run)
    run.log_path.write_text("reading digits\nepoch 1 done\nhello from your own code\n")
    return run


def write_samples(run: RunDir, step: int = 161) -> None:
    """Eight answers of a classifier, one of them wrong."""
    rows = []
    for number in range(8):
        answer = 3 if number == 5 else number
        probabilities = [0.9 if k == answer else 0.1 / 9 for k in range(10)]
        rows.append({"index": number, "target": number, "prediction": answer, "probabilities": probabilities})
    text = json.dumps({"step": step, "samples": rows})
    (run.samples_path / f"step-{step:08d}.json").write_text(text)


def write_inspection(run: RunDir, step: int = 161) -> None:
    """Four layers, one of which is dead."""

    def table(std: float, zeros: float = 0.0, **more: float) -> dict[str, float]:
        return {"mean": 0.01, "std": std, "min": -1.0, "max": 1.0, "zeros": zeros, "nonfinite": 0, **more}

    weights = {"weight": {"weight": table(0.1, norm=2.5), "gradient": table(0.01, norm=0.02)}}
    shapes = {
        "features.0": ("Conv2d", [64, 32, 8, 8], table(0.4), weights),
        "features.1": ("ReLU", [64, 32, 8, 8], table(0.0, zeros=1.0), {}),
        "head.0": ("Linear", [64, 128], table(0.7), weights),
        "head.3": ("Linear", [64, 10], table(2.1), weights),
    }
    layers = [
        {
            "path": path,
            "type": kind,
            "shape": shape,
            "activation": output,
            "gradient": None,
            "parameters": own,
        }
        for path, (kind, shape, output, own) in shapes.items()
    ]
    text = json.dumps({"step": step, "layers": layers})
    (run.inspections_path / f"step-{step:08d}.json").write_text(text)


async def open_run(pilot: Pilot[Any], run: RunDir, machine: Machine | None = None) -> RunScreen:
    """Shows a run and waits until it was read."""
    screen = RunScreen(run.path, gauges=(machine or Machine()).gauges())
    await pilot.app.push_screen(screen)
    await until(pilot, lambda: screen.view is not None)
    await settled(pilot, screen)
    return screen


async def settled(pilot: Pilot[Any], screen: RunScreen) -> None:
    """Waits until every panel on the screen shows what there is, drawn."""

    def shown() -> bool:
        keys = screen.grid.plan
        panels = [panel for panel in screen.query(Panel) if panel.KEY in keys]
        live = [cells for panel in panels for cells in panel.query(LiveCells)]
        return (
            bool(keys) and all(panel.ready for panel in panels) and not any(cells._outdated for cells in live)
        )

    await until(pilot, shown)


@contextlib.contextmanager
def playing_worker(
    run: RunDir, answer: Callable[[Command], dict[str, Any] | None]
) -> Iterator[list[Command]]:
    """Holds a run and answers commands as a worker does, in a thread; gives those that came.

    Args:
        answer: fields of the `command` event, or None for no answer.
    """
    seen: list[Command] = []
    stop = threading.Event()
    reader = ControlReader(run.control_path, start_at_end=False)

    def play() -> None:
        while not stop.wait(0.005):
            for command in reader.poll():
                seen.append(command)
                fields = answer(command)
                if fields is not None:
                    tell(
                        run, "command", id=command.id, command=command.command, value=command.value, **fields
                    )

    thread = threading.Thread(target=play)
    with run.lock():
        thread.start()
        try:
            yield seen
        finally:
            stop.set()
            thread.join(PATIENCE)


def tell(run: RunDir, event: str, **fields: Any) -> None:
    """Appends one event, as the worker would now."""
    last = [json.loads(line) for line in run.events_path.read_text().splitlines()][-1]
    write_events(run, [{"seq": last["seq"] + 1, "time": time.time(), "event": event, **fields}])
