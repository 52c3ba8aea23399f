"""Live progress of one run, painted by following its directory.

`dltui run` trains in its own process and lets a small second one paint (`python -m tui.progress`): the
training never waits for a terminal, and this process never imports torch. It hears from the trainer through
its standard input: first a line of JSON naming the run, later the end of the pipe, when the trainer is done.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from dlcore.run_dir import RunDir
from tui.reporters import PlainReporter, Reporter
from tui.watch import RunWatch

INTERVAL = 0.25  # seconds between looks at the run: at most 4 repaints a second

Wait = Callable[[float], bool]
"""Waits so many seconds or less; true when there is no more reason to follow."""


def reporter_for(out: IO[str]) -> Reporter:
    """A painted progress on a terminal that can be painted, plain lines anywhere else."""
    if out.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown"):
        from tui.progress_live import LiveReporter

        return LiveReporter(out)
    return PlainReporter(out, sys.stderr)


def follow(watch: RunWatch, reporter: Reporter, wait: Wait) -> None:
    """Shows a run until it is over or ``wait`` says to stop looking."""
    while True:
        fresh = watch.poll()
        reporter.update(watch, fresh)
        if watch.over:
            break
        if wait(INTERVAL):
            reporter.update(watch, watch.poll())
            break
    reporter.finish(watch)


def pause(seconds: float) -> bool:
    """Waits; a viewer that was not started by a trainer has no other reason to stop."""
    time.sleep(seconds)
    return False


class Pipe:
    """The trainer's end of the conversation, on standard input.

    Args:
        descriptor: read end of the pipe.
        parent: process id of the trainer; when it is no longer our parent, it is gone.
    """

    def __init__(self, descriptor: int, parent: int | None) -> None:
        self._descriptor = descriptor
        self._parent = parent
        self._buffer = b""
        self.closed = False

    def wait(self, seconds: float) -> bool:
        """Waits until something came or the time is over; true when the trainer is done or gone."""
        ready, _, _ = select.select([self._descriptor], [], [], seconds)
        if ready:
            chunk = os.read(self._descriptor, 65536)
            self._buffer += chunk
            self.closed = not chunk
        # Loader workers may hold the pipe's other end open for a while after a killed trainer.
        return self.closed or (self._parent is not None and os.getppid() != self._parent)

    def line(self) -> bytes | None:
        """The next whole line, when there is one."""
        line, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            return None
        self._buffer = rest
        return line


def main(arguments: Sequence[str]) -> int:
    """Paints until the trainer is done: ``[--parent-pid N] [--stderr] [RUN_DIR]``."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m tui.progress")
    parser.add_argument("run", nargs="?", type=Path, help="run to follow; else named on standard input")
    parser.add_argument("--parent-pid", type=int, default=None)
    parser.add_argument("--stderr", action="store_true", help="keep standard output free")
    chosen = parser.parse_args(arguments)
    # The trainer decides what ctrl+c and a termination mean; this process goes when the trainer is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    out = sys.stderr if chosen.stderr else sys.stdout
    reporter = reporter_for(out)
    try:
        if chosen.run is not None:
            follow(RunWatch(RunDir.open(chosen.run)), reporter, pause)
        else:
            _follow_pipe(Pipe(sys.stdin.fileno(), chosen.parent_pid), reporter)
        out.flush()
    except OSError:
        # The terminal or the reader of our output is gone; the training is not our business.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    finally:
        reporter.close()
    return 0


def _follow_pipe(pipe: Pipe, reporter: Reporter) -> None:
    while (line := pipe.line()) is None:
        reporter.waiting("loading torch")
        if pipe.wait(INTERVAL):
            return
    named = json.loads(line)
    watch = RunWatch(RunDir.open(Path(named["run"])), after=named["after"])
    follow(watch, reporter, pipe.wait)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
