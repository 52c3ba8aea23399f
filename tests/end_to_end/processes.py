"""Real processes for the tests, and what they leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dlcore.events import EventReader
from dlcore.run_dir import RunDir
from dlcore.training.checkpoints import CheckpointFolder

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
    "DLTUI_RUNS": "",
    "DLTUI_WARM": "0",
}
PATIENCE = 60.0  # seconds until something that never happens is given up

TOY = """
[data]
name = "moons"
samples = 300

[model]
name = "mlp"
widths = [16, 16]
dropout = 0.2
batch_norm = true

[scheduler]
name = "plateau"
patience = 0
gamma = 0.5

[training]
epochs = {epochs}
batch_size = 32
ema = 0.9
device = "cpu"
threads = 1
record_seconds = 0.01
"""
"""A whole training in a third of a second, with everything in it that a resume could get wrong."""


def toy(folder: Path, *, epochs: int = 6, more: str = "") -> Path:
    """The toy preset as a file; ``more`` are further keys of [training] and sections."""
    path = folder / "toy.toml"
    path.write_text(TOY.format(epochs=epochs) + more)
    return path


@dataclass(frozen=True)
class Process:
    """A process of the server's."""

    server: Server
    pid: int
    out: Path
    err: Path

    def signal(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code, negative for the signal that ended it."""
        code = self.server.ask({"wait": self.pid, "seconds": seconds})
        assert code is not None, f"still running after {seconds} s: {self.output}"
        return int(code)

    @property
    def output(self) -> tuple[str, str]:
        """What it has written so far."""
        return self.out.read_text(), self.err.read_text()


class Server:
    """See fork_server.py; one for all tests."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._number = folder, 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.end_to_end.fork_server"],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ask(self, request: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(
        self,
        *arguments: str | Path,
        folder: Path | None = None,
        prelude: str = "",
        terminal: str = "",
        **environment: str,
    ) -> Process:
        """Starts ``dltui arguments``.

        Args:
            folder: to work in.
            prelude: code to run before, such as a shorter timeout.
            terminal: a pseudo-terminal's name, to be its controlling one.
            **environment: added.
        """
        self._number += 1
        out, err = (self._folder / f"{self._number}.{name}" for name in ("out", "err"))
        out.touch(), err.touch()
        request = {
            "arguments": [str(argument) for argument in arguments],
            "folder": str(folder or self._folder),
            "output": [str(out), str(err)],
            "prelude": prelude,
            "terminal": terminal,
            "environment": environment,
        }
        return Process(self, self.ask({"start": request}), out, err)

    def dltui(self, *arguments: str | Path, **options: Any) -> tuple[int, str, str]:
        """Runs ``dltui arguments`` to its end: exit code, output, errors."""
        process = self.start(*arguments, **options)
        return process.wait(), *process.output

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._process.stdout.close()  # type: ignore[union-attr]


def dltui(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a shell starts it."""
    command = [sys.executable, "-m", "tui.cli", *map(str, arguments)]
    return subprocess.run(
        command, env={**ENVIRONMENT, **environment}, capture_output=True, text=True, timeout=2 * PATIENCE
    )


def await_that(condition: Callable[[], Any], what: str = "it", seconds: float = PATIENCE) -> Any:
    """Looks every few milliseconds until a condition holds; its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.003)
    return value


def events(run: RunDir, *kinds: str) -> list[dict[str, Any]]:
    """A run's events of some kinds, or all."""
    return [event for event in EventReader(run.events_path).read() if not kinds or event["event"] in kinds]


def await_event(run: RunDir, kind: str, **fields: Any) -> dict[str, Any]:
    """The first event of a kind with these fields, once it is there."""

    def found() -> dict[str, Any] | None:
        return next((e for e in events(run, kind) if fields.items() <= e.items()), None)

    event: dict[str, Any] = await_that(found, f"event {kind} {fields}")
    return event


def checkpoints(run: RunDir) -> CheckpointFolder:
    return CheckpointFolder(run.checkpoints_path)


def weights(run: RunDir) -> dict[str, torch.Tensor]:
    """Raw, averaged and best weights of a run, as its checkpoints hold them."""
    newest, best = checkpoints(run).newest(), checkpoints(run).best()
    assert newest is not None
    assert best is not None
    kinds = {
        "raw": newest.weights(averaged=False),
        "averaged": newest.weights(),
        "best": best.weights(averaged=False),
    }
    return {f"{kind} {name}": value for kind, found in kinds.items() for name, value in found.items()}


def assert_same_weights(left: RunDir, right: RunDir) -> None:
    """Bitwise."""
    ours, theirs = weights(left), weights(right)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def lines(texts: Sequence[str]) -> Iterator[str]:
    """All lines of several outputs."""
    for text in texts:
        yield from text.splitlines()
