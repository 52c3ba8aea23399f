"""Starts a worker that outlives its starter, asks whether it lives, stops it.

    launcher ──► stage (new session, ends at once) ──► keeper ──► worker
       ▲                                                 │ pid, exit  │ ready, errors
       └──────────────────── report pipe ────────────────┴────────────┘

Stage and keeper are keeper.py, which loads no library; forking happens there, in a process with one
thread, so a viewer with many may start workers. The worker reports on the pipe named by DLTUI_READY_FD and
ignores SIGHUP itself, after its imports, because libraries set handlers of their own.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import site
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dlcore import keeper
from dlcore.cores import share_cores
from dlcore.errors import UserError
from dlcore.json_lines import decode, encode
from dlcore.launch.logout import scope_prefix, survival_warning
from dlcore.run_dir import RunDir
from dlcore.run_dir.lock import Holder, read_holder
from dlcore.text_safety import safe_text
from dlcore.worker_output import LOG_LIMIT, capped_log, keeper_command, log_tail, protect_output

__all__ = [
    "LOG_LIMIT",
    "capped_log",
    "is_alive",
    "log_tail",
    "protect_output",
    "report_errors",
    "report_ready",
    "start_detached",
    "stop",
    "worker_command",
    "worker_environment",
]

_STAGE_SECONDS = 30.0
_ERROR_LINES = 50  # 25 KB at most, which fits in the pipe: reporting never blocks


def worker_command(run: RunDir) -> list[str]:
    """The command that trains a run. ``-P``: a file of the user's folder must not be taken for a library."""
    return [sys.executable, "-P", "-m", "dlcore.worker", str(run.path.absolute())]


def start_detached(
    run: RunDir,
    *,
    wait_ready: bool = True,
    timeout: float = 120.0,
    command: Sequence[str] | None = None,
    warn: Callable[[str], None] | None = None,
) -> int:
    """Starts a run's worker in a session of its own and returns its pid.

    Args:
        run: made, and with its preset.
        wait_ready: wait until the worker reports that it trains, or why it cannot.
        timeout: seconds to wait for that report.
        command: instead of `worker_command`.
        warn: told in a sentence when logging out would end the worker.

    Raises:
        UserError: what the worker reported; or the end of its log when it ended without a report; or that
            it has not reported in time, in which case it goes on.
    """
    sentence = survival_warning() if warn is not None else None
    if warn is not None and sentence:
        warn(sentence)
    reports, report = os.pipe()
    try:
        try:
            _start_keeper(run, list(command or worker_command(run)), report)
        finally:
            os.close(report)
        return _await_report(run, reports, wait_ready, timeout)
    finally:
        os.close(reports)


def report_ready() -> None:
    """Tells the launcher, from the worker, that training begins. In a worker nobody launched: nothing."""
    _report({"ready": True})


def report_errors(lines: Sequence[str]) -> None:
    """Tells the launcher, from the worker, why it cannot train; the worker should then end."""
    _report({"errors": [safe_text(line, limit=500) for line in lines[:_ERROR_LINES]]})


def is_alive(run: RunDir) -> bool:
    """Whether a worker holds the run."""
    return run.is_locked()


def stop(run: RunDir, timeout: float = 30.0, *, number: int = signal.SIGTERM) -> bool:
    """Signals the process that holds a run and waits until it lets go.

    Args:
        run: any run.
        timeout: seconds to wait; a worker saves a checkpoint first.
        number: SIGTERM saves and ends; a second one, or SIGKILL, ends at once.

    Returns:
        Whether the run is free now; True at once when nobody holds it.

    Raises:
        UserError: the holder is unknown, on another machine, or belongs to another user.
    """
    deadline = time.monotonic() + timeout
    holder = read_holder(run.lock_path)
    if not run.is_locked():  # asked after reading, so that a holder that was read holds it or is gone
        return True
    shown = safe_text(run.name)
    if holder is None or not holder.is_running_here():
        who = f"{holder}, which is not a process of this machine" if holder else "an unknown process"
        raise UserError(f"run {shown} is held by {who}; ask it through its files: dltui tell {shown} stop")
    try:
        _signal(holder, number)
    except PermissionError as error:
        raise UserError(f"run {shown} is held by {holder}, which belongs to another user") from error
    pause = 0.01
    while run.is_locked():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(2 * pause, 0.2)
    return True


def _signal(holder: Holder, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if not hasattr(signal, "pidfd_send_signal"):
            os.kill(holder.pid, number)
            return
        process = os.pidfd_open(holder.pid)  # stays that process, even if its pid is given away meanwhile
        try:
            if holder.is_running_here():
                signal.pidfd_send_signal(process, number)
        finally:
            os.close(process)


def _report(message: dict[str, object]) -> None:
    number = os.environ.pop(keeper.READY_FD, "")  # what the worker starts must not report
    if not number.isdigit():
        return
    with contextlib.suppress(OSError):  # the launcher is gone, or waits no longer
        os.write(int(number), encode(message).encode() + b"\n")
    with contextlib.suppress(OSError):
        os.close(int(number))


def _start_keeper(run: RunDir, command: list[str], report: int) -> None:
    log = str(run.log_path.absolute())
    stage = [*keeper_command(), "start", log, str(LOG_LIMIT), "--", *command]
    prefix = scope_prefix(run.name)
    failure = ""
    for arguments in [[*prefix, *stage], stage] if prefix else [stage]:
        try:
            done = subprocess.run(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=report,
                stderr=subprocess.PIPE,
                env=worker_environment(),
                start_new_session=True,
                timeout=_STAGE_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            failure = str(error)
            continue
        if done.returncode == 0:
            return
        failure = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    raise UserError(f"cannot start a worker for {safe_text(run.name)}: {safe_text(failure, limit=300)}")


def worker_environment() -> dict[str, str]:
    """This environment, in which a worker finds dlcore also where that is a source tree elsewhere."""
    environment = dict(os.environ)
    share_cores(environment)
    root = str(Path(__file__).resolve().parents[2])
    installed = {os.path.realpath(folder) for folder in [*site.getsitepackages(), site.getusersitepackages()]}
    if root not in installed:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
    return environment


def _await_report(run: RunDir, reports: int, wait_ready: bool, timeout: float) -> int:
    pid = 0
    name = safe_text(run.name)
    for message in _messages(reports, timeout):
        if message is None:
            raise UserError(
                f"{name} has not reported within {timeout:g} s; it goes on, see: dltui show {name}"
            )
        if type(message.get("pid")) is int:
            pid = message["pid"]
        if isinstance(message.get("errors"), list):
            raise UserError([safe_text(line) for line in message["errors"]] or ["the worker gave no reason"])
        if message.get("ready") is True or (pid and not wait_ready):
            return pid
        if type(message.get("exit")) is int:
            raise _ended(run, message["exit"])
    raise _ended(run, None)


def _messages(reports: int, timeout: float) -> Iterator[dict[str, Any] | None]:
    """Reports as they come, to the end of the pipe; None when the time is up."""
    deadline = time.monotonic() + timeout
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(reports, selectors.EVENT_READ)
        while True:
            if not selector.select(max(deadline - time.monotonic(), 0.0)):
                yield None
                return
            data = os.read(reports, 1 << 16)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            yield from (message for message in map(decode, lines) if message is not None)


def _ended(run: RunDir, code: int | None) -> UserError:
    how = "" if code is None else f" ({keeper.signal_name(-code)})" if code < 0 else f" (exit code {code})"
    first = f"the worker of run {safe_text(run.name)} ended before it could train{how}"
    tail = log_tail(run.log_path)
    return UserError(
        [f"{first}; the end of {safe_text(run.log_path)}:" if tail else f"{first} and printed nothing", *tail]
    )
