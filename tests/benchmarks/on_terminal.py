"""A program on a pseudo-terminal of its own, measured from outside: what it sends and what it costs."""

from __future__ import annotations

import fcntl
import math
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[2]
FOCUS_IN, FOCUS_OUT = b"\x1b[I", b"\x1b[O"  # what a terminal sends when its window gets or loses the focus
PATIENCE = 10.0
ESCAPES = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P[^\x1b]*\x1b\\|[ -/]*[0-~])"
)


class OnTerminal:
    """Runs ``python -m arguments``; to be used in a ``with``.

    Args:
        size: columns and lines.
    """

    def __init__(self, *arguments: str, size: tuple[int, int] = (120, 40), **environment: str) -> None:
        self.process, self._descriptor = pty.fork()
        if self.process == 0:
            os.chdir(ROOT)
            colours = {
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                "DLTUI_CONFIG": os.devnull,
                "DLTUI_WARM": "0",
            }
            os.execve(
                sys.executable,
                [sys.executable, "-m", *arguments],
                {**os.environ, **colours, "TEXTUAL_ANIMATIONS": "none", **environment},
            )
        columns, rows = size
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def __enter__(self) -> OnTerminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self.process, signal.SIGTERM)
        end = time.monotonic() + PATIENCE
        while os.waitpid(self.process, os.WNOHANG) == (0, 0):
            self.read(0.1)
            if time.monotonic() > end:
                os.kill(self.process, signal.SIGKILL)
        os.close(self._descriptor)

    def send(self, keys: bytes) -> None:
        """As if typed."""
        os.write(self._descriptor, keys)

    def read(self, seconds: float) -> int:
        """Reads for so long and returns how many bytes came."""
        came, end = 0, time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self._descriptor], [], [], left)[0]:
                try:
                    came += len(os.read(self._descriptor, 1 << 16))
                except OSError:
                    return came
        return came

    def until_text(self, text: str = "", seconds: float = 60.0) -> float:
        """Seconds until the text was sent, or the first printable one where it is empty."""
        began, said = time.monotonic(), b""
        while (left := began + seconds - time.monotonic()) > 0:
            if select.select([self._descriptor], [], [], left)[0]:
                said += os.read(self._descriptor, 1 << 16)
                plain = ESCAPES.sub(b"", said).strip()
                if text.encode() in plain and plain:
                    return time.monotonic() - began
        raise SystemExit(f"no {text!r} within {seconds:g} s: {ESCAPES.sub(b'', said)[-500:]!r}")

    def until_silent(self, seconds: float, longest: float = 3.0) -> None:
        """Reads until nothing has come for so long; gives up where something always comes."""
        end = time.monotonic() + longest
        while time.monotonic() < end and self.read(seconds):
            pass

    def answer(self, keys: bytes, longest: float = 2.0) -> float:
        """Milliseconds from typing to the next bytes; infinite where none come."""
        began = time.perf_counter()
        self.send(keys)
        if not select.select([self._descriptor], [], [], longest)[0]:
            return math.inf
        took = time.perf_counter() - began
        os.read(self._descriptor, 1 << 16)
        return 1000 * took

    def processor_seconds(self) -> float:
        """Of all its threads since it began."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def shares(app: OnTerminal, seconds: float) -> tuple[float, float]:
    """Bytes a second, and processor seconds a second."""
    used, began = app.processor_seconds(), time.monotonic()
    sent = app.read(seconds)
    took = time.monotonic() - began
    return sent / took, (app.processor_seconds() - used) / took


def arguments(**options: object) -> Sequence[str]:
    """``--name value`` for each."""
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]
