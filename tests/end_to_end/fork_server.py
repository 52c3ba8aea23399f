"""Forks real `dltui` processes out of one that has imported torch: each starts in milliseconds.

Reads requests as JSON lines and answers each with one: ``{"start": {...}}`` with the process id,
``{"wait": pid, "seconds": s}`` with the exit code, negative for a signal and null when the time is up. Every
child is a session of its own with the streams it is given. It ends as a process does that was started from a
shell, but that torch's modules are not taken apart, which takes a second in a forked process.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import json
import os
import signal
import sys
import termios
import threading
import time
import traceback
from typing import Any

import dlcore.worker  # noqa: F401  (what takes long)
from dlcore import assembly, preset
from tests.end_to_end.processes import TOY
from tui.cli import main
from tui.commands import train  # noqa: F401


def import_the_rest() -> None:
    """What is imported only when it is used: the builders, and 800 modules with torch's first optimizer."""
    toy = preset.loads(TOY.format(epochs=1), "toy", builders=True)
    parts = assembly.build(toy, lambda message: None)
    assembly.build_optimizers(toy, parts.task)
    assembly.build_schedule(toy)


def become(request: dict[str, Any]) -> None:
    """Turns a forked child into the process that was asked for."""
    os.setsid()
    if request["terminal"]:
        terminal = os.open(request["terminal"], os.O_RDWR)
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        streams = [terminal] * 3
    else:
        write = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        streams = [os.open(os.devnull, os.O_RDONLY), *(os.open(p, write, 0o600) for p in request["output"])]
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    os.closerange(3, 256)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = ["dltui", *request["arguments"]]
    exec(request["prelude"], {})


def wait(pid: int, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.002)


def serve() -> bool:
    """Answers requests until their end; true in a child, which then has become what was asked for.

    At the end, which comes with that of the tests however they end, no child is left running.
    """
    running = set()
    while line := sys.stdin.readline():
        request = json.loads(line)
        if "start" in request:
            answer: Any = os.fork()
            if not answer:
                become(request["start"])
                return True
            running.add(answer)
        else:
            answer = wait(request["wait"], request["seconds"])
            if answer is not None:
                running.discard(request["wait"])
        print(json.dumps(answer), flush=True)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    return False


def end(code: int) -> None:
    """What the interpreter does at its end, as far as anybody outside can tell."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    import_the_rest()
    gc.freeze()  # children share these pages for as long as nobody looks through them
    if serve():
        try:
            end(main())
        except BaseException:
            traceback.print_exc()
            end(1)
