"""What a worker prints: into a capped log, harmless to the training, and read back safely.

The log is kept by a process of its own, see keeper.py, so that capping it costs the training nothing.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from dlcore import keeper
from dlcore.text_safety import safe_text

LOG_LIMIT = keeper.LOG_LIMIT
_TAIL_BYTES = 1 << 16
_CLOSE_SECONDS = 10.0


@contextlib.contextmanager
def capped_log(path: str | os.PathLike[str], limit: int = LOG_LIMIT) -> Iterator[int]:
    """A descriptor to hand to a child as stdout and stderr; what goes in ends up in a capped file.

    Leaving the context closes this copy of the descriptor and waits until the file is complete, at most
    10 s where a child goes on writing; its output is kept even then.

    Args:
        path: the log, appended to.
        limit: most bytes of the file.
    """
    process = subprocess.Popen(
        [*keeper_command(), "log", os.fspath(path), str(limit)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        yield process.stdin.fileno()
    finally:
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_CLOSE_SECONDS)


def keeper_command() -> list[str]:
    """Runs keeper.py by its path, with nothing but the standard library in reach."""
    return [sys.executable, "-I", "-S", keeper.__file__]


def log_tail(path: str | os.PathLike[str], lines: int = 12) -> list[str]:
    """The last lines that are not empty, safe to print; reads at most 64 KB. None when there is no log."""
    try:
        size = Path(path).stat().st_size
        if size == 0:  # nothing yet, or a FIFO, which would hang
            return []
        with Path(path).open("rb") as file:
            file.seek(max(size - _TAIL_BYTES, 0))
            text = file.read(_TAIL_BYTES).decode("utf-8", "backslashreplace")
    except OSError:
        return []
    filled = [line.rstrip() for line in text.split("\n") if line.strip()]
    return [safe_text(line.replace("\t", "    "), limit=500) for line in filled[-lines:]]


def protect_output() -> None:
    """Makes this process's prints harmless: in order, each line at once, and never an exception.

    A line is in the log even when kill -9 follows; a lone surrogate is spelled out; and should the keeper
    be killed, output goes nowhere instead of raising BrokenPipeError in the middle of a training step.
    """
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        raw: io.RawIOBase = _LastingOutput(descriptor)
        buffered = io.BufferedWriter(raw)
        stream = io.TextIOWrapper(buffered, "utf-8", "backslashreplace", line_buffering=True)
        setattr(sys, name, stream)


class _LastingOutput(io.RawIOBase):
    """A descriptor whose writes never fail; closing this leaves the descriptor open."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: bytes) -> int:  # type: ignore[override]
        try:
            return os.write(self._descriptor, data)
        except BrokenPipeError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._descriptor)  # so that what C code prints is out of danger, too
            os.close(null)
        except OSError:  # output is lost, the training is not
            pass
        return len(data)
