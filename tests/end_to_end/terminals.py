"""The real command on a pseudo-terminal of its own: what it sends, and what it leaves behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

from tests.end_to_end.processes import ENVIRONMENT, PATIENCE

ESCAPES = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P[^\x1b]*\x1b\\|[ -/]*[0-~])"
)
SILENCE = 0.4  # seconds without a byte: nothing more is coming


class Terminal:
    """A terminal with at most one program after another on it.

    Args:
        size: columns and rows.
        folder: where the programs work.
        **environment: added.
    """

    def __init__(self, size: tuple[int, int], folder: Path, **environment: str) -> None:
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.before = self.modes
        self.sent = b""
        self.folder = folder
        self.environment = {
            **ENVIRONMENT,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "DLTUI_CONFIG": str(folder / "preferences.json"),
            "DLTUI_RUNS": str(folder / "runs"),
            **environment,
        }
        self.program: subprocess.Popen[bytes] | None = None

    @property
    def modes(self) -> list[object]:
        """How the line discipline is set, such as echo; read while a side is open."""
        return termios.tcgetattr(self.master)[:4]

    def start(self, *arguments: str, module: str = "tui.start") -> None:
        """Starts ``dltui arguments``."""
        self.start_command([sys.executable, "-m", module, *arguments])

    def start_command(self, command: Sequence[str]) -> None:
        """Starts a program whose controlling terminal this is."""
        self.program = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def read(self, seconds: float) -> bytes:
        """Bytes that come within that time, as soon as there are some."""
        if not select.select([self.master], [], [], seconds)[0]:
            return b""
        try:
            data = os.read(self.master, 1 << 16)
        except OSError:
            return b""
        self.sent += data
        return data

    def settle(self, silence: float = SILENCE) -> None:
        """Reads until nothing has come for that long."""
        while self.read(silence):
            pass

    def text_after(self, mark: int) -> str:
        """What was sent from there on, without escape sequences."""
        return ESCAPES.sub(b"", self.sent[mark:]).decode("utf-8", "replace")

    def expect(self, text: str, mark: int = 0) -> None:
        """Reads until the text was sent."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.text_after(mark):
            self.read(0.1)
            assert time.monotonic() < deadline, f"no {text!r} in {self.text_after(mark)[-2000:]!r}"

    def type(self, keys: str) -> int:
        """Sends keys; what comes afterwards begins at the mark that is returned."""
        while self.read(0):
            pass
        mark = len(self.sent)
        os.write(self.master, keys.encode())
        return mark

    def wait(self, seconds: float = PATIENCE) -> int:
        """The program's exit code; reads what it sends meanwhile."""
        assert self.program is not None
        deadline = time.monotonic() + seconds
        while self.program.poll() is None:
            assert time.monotonic() < deadline, "it goes on"
            self.read(0.02)
        self.settle()
        return self.program.returncode

    def hang_up(self) -> None:
        """Closes the terminal, as a window or a connection does."""
        os.close(self.slave)
        os.close(self.master)
        self.master = self.slave = -1

    def is_restored(self) -> bool:
        """Whether every mode that was turned on is off again, and the line discipline is as before."""

        def undone(on: bytes, off: bytes) -> bool:
            return on not in self.sent or self.sent.rfind(off) > self.sent.rfind(on)

        modes = (b"1049", b"1000", b"1003", b"1006", b"2004", b"1004")
        balanced = all(undone(b"\x1b[?%sh" % mode, b"\x1b[?%sl" % mode) for mode in modes)
        return balanced and undone(b"\x1b[?25l", b"\x1b[?25h") and self.modes == self.before

    def close(self) -> None:
        """Ends what still runs."""
        if self.program is not None and self.program.poll() is None:
            self.program.send_signal(signal.SIGKILL)
            self.program.wait(PATIENCE)
        for descriptor in (self.master, self.slave):
            if descriptor >= 0:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
