"""Shipped presets trained in the tests' own process."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from dlcore import preset as presets
from dlcore import worker
from dlcore.run_dir import RunDir
from dlcore.run_dir.summary import RunSummary

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


def train(name: str, runs: Path, *sets: str) -> RunSummary:
    """Trains a preset to its end."""
    preset = presets.load(name, sets, builders=True)
    run = RunDir.create(runs, None, name, preset.base)
    run.preset_path.write_text(presets.dump(preset))
    with process_given_back():
        assert worker.run(run) == 0
    return run.summary()


@contextmanager
def process_given_back() -> Iterator[None]:
    """A training takes over the process's signals and threads."""
    handlers, threads = {number: signal.getsignal(number) for number in SIGNALS}, torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        for number, handler in handlers.items():
            signal.signal(number, handler)
