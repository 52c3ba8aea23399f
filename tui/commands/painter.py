"""The trainer's side of the painting process: starts it, names the run to it, waits for its last line."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from types import TracebackType

from dlcore.run_dir import RunDir

PATIENCE = 10.0  # seconds to wait for the last line; a terminal that is stopped must not hold the shell
# The painter gets exactly this process's import path, and -P keeps the working folder out of it before that:
# a json.py of the user's must never be taken for the library's.
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "from tui.progress import main; sys.exit(main(sys.argv[1:]))"
)


class Painter:
    """A painting process, or nothing where nothing is to be painted. Leaving the context waits for its end.

    A painter that cannot be started or dies costs the sight, never the training.
    """

    def __init__(self, process: subprocess.Popen[bytes] | None) -> None:
        self._process = process

    @classmethod
    def start(cls, quiet: bool, as_json: bool) -> Painter:
        """Starts it at once, so that something is to be seen while torch is imported.

        Args:
            quiet: paint nothing.
            as_json: keep stdout free; a terminal on stderr is painted.
        """
        if quiet or (as_json and not sys.stderr.isatty()):
            return cls(None)
        command = [sys.executable, "-P", "-c", _START, json.dumps(sys.path), "--parent-pid", str(os.getpid())]
        try:
            return cls(
                subprocess.Popen([*command, *(["--stderr"] if as_json else [])], stdin=subprocess.PIPE)
            )
        except OSError:
            return cls(None)

    def show(self, run: RunDir, after: int) -> None:
        """Names the run; events up to ``after`` are history."""
        if self._process is not None and self._process.stdin is not None:
            line = json.dumps({"run": str(run.path.absolute()), "after": after})
            with contextlib.suppress(OSError):
                self._process.stdin.write(line.encode() + b"\n")
                self._process.stdin.flush()

    def close(self) -> None:
        """Says that the training is over and waits until that is on the screen."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __enter__(self) -> Painter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
