"""Trains a run in several processes of this machine, which torchrun starts and watches."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from types import FrameType

from dlcore.control import send
from dlcore.events import EventReader, EventWriter
from dlcore.run_dir import RunDir, RunHeld

LOOK = 0.1
"""Seconds between looks at the processes."""


def together_command(run: RunDir, processes: int) -> list[str]:
    """The command that trains a run in several processes of this machine."""
    torchrun = [
        sys.executable,
        "-P",
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--monitor-interval",
        "0.2",
    ]
    return [*torchrun, "--nproc-per-node", str(processes), "-m", "dlcore.worker", str(run.path.absolute())]


def train_together(run: RunDir, processes: int) -> int:
    """Trains a run to an end; the exit code, as of a training in one process.

    The first SIGINT or SIGTERM asks for a checkpoint and an end, the second ends at once.

    Raises:
        RunHeld: another process trains this run.
    """
    run.lock().release()  # raises, naming the holder
    path = [str(path) for path in sys.path if path] + [os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
    # A session of its own: a terminal's ctrl+c reaches this process only, which asks for an end in good order.
    group = subprocess.Popen(together_command(run, processes), start_new_session=True, env=environment)
    with _signals_passed_on(run, group) as received:
        while group.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                group.wait(LOOK)
    return _ended(run, processes, received)


@contextlib.contextmanager
def _signals_passed_on(run: RunDir, group: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    received: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            _kill(group, signal.SIGKILL)
        elif run.summary().status in ("running", "paused"):
            send(run.path, "stop")
        else:
            _kill(group, signal.SIGTERM)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.signal(signal.SIGHUP, hangup)


def _kill(group: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group.pid, number)


def _ended(run: RunDir, processes: int, received: list[int]) -> int:
    """The exit code by what the run says of itself; where it could say nothing any more, that is written down."""
    summary = run.summary()
    if summary.status == "finished":
        return 0
    if summary.status == "stopped" or received:
        return 143 if received and received[0] == signal.SIGTERM else 130
    if summary.status != "failed":
        _write_failure(run, f"A process of the {processes} that trained this run died. {_rest(run)}")
    return 1


def _rest(run: RunDir) -> str:
    """What can be done with a run whose processes are gone."""
    kept = sorted(path.parent.name for path in run.checkpoints_path.glob("step-*/manifest.json"))
    if not kept:
        return "There is no checkpoint yet: start it anew."
    return f"The last checkpoint is {kept[-1]}: dltui resume {run.name} goes on from there."


def _write_failure(run: RunDir, error: str) -> None:
    deadline = time.monotonic() + 5
    while True:
        try:
            with run.lock():
                events = EventWriter(run.events_path)
                events.write("failed", error=error, exit=1)
                events.close()
                state = {**_state(run), "status": "failed", "error": error, "updated": time.time()}
                run.write_state(state)
            return
        except RunHeld:  # a process that is being killed
            if time.monotonic() > deadline:
                return
            time.sleep(LOOK)


def _state(run: RunDir) -> dict[str, object]:
    import json

    with contextlib.suppress(OSError, ValueError):
        state = json.loads(run.state_path.read_bytes())
        return state if isinstance(state, dict) else {}
    return {}


def refusal(run: RunDir) -> str:
    """Why the processes did not even begin to train; "" when they did."""
    events = EventReader(run.events_path).read()
    if any(event["event"] == "started" for event in events):
        return ""
    refused = [event for event in events if event.get("kind") == "refused"]
    return str(refused[-1].get("message", "")) if refused else ""
