"""A terminal to run the app in: a pseudo-terminal, and a screen that understands what Textual sends.

Only what moves the cursor or puts signs is obeyed; colours and modes are read over.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from typing import Any

from tests.end_to_end.processes import ENVIRONMENT, PATIENCE, await_that
from tui import words

KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "down": "\x1b[B",
    "up": "\x1b[A",
    "tab": "\t",
    "ctrl+u": "\x15",
    "ctrl+r": "\x12",
}
_TOKEN = re.compile(
    r"\x1b\[(?P<arguments>[0-?]*)[ -/]*(?P<final>[@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1bP.*?\x1b\\"
    r"|\x1b[ -/]*[0-OQ-Z\\^-~]|(?P<control>[\x00-\x1a\x1c-\x1f])|(?P<text>[^\x00-\x1f]+)",
    re.DOTALL,
)
_ORDINARY = {
    "TERM": "xterm-256color",
    "LANG": "C.UTF-8",
    "LC_ALL": "",
    "NO_COLOR": "",
    "DLTUI_CONFIG": "/dev/null",
}
_ALTERNATE = "\x1b[?1049h", "\x1b[?1049l"


class Terminal:
    """Runs ``dltui arguments`` on a terminal of its own.

    Args:
        size: columns and lines.
        **environment: added.
    """

    def __init__(self, *arguments: object, size: tuple[int, int] = (120, 40), **environment: str) -> None:
        self.columns, self.rows = size
        self.sent = ""
        self._screen = [[" "] * self.columns for _ in range(self.rows)]
        self._row = self._column = 0
        self._rest = ""
        self._lock = threading.Lock()
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tui.cli", *map(str, arguments)],
            env={**ENVIRONMENT, **_ORDINARY, **environment},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_own_terminal,
        )
        self._slave = slave
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    # What a person does.

    def press(self, *keys: str) -> None:
        """Types keys, by name or as they are."""
        for key in keys:
            os.write(self._master, KEYS.get(key, key).encode())

    def close(self) -> None:
        """The window is closed, or the connection drops."""
        self._let_go()
        self.process.wait(PATIENCE)

    def wait(self) -> int:
        """Until the app has ended by itself; its exit code."""
        code = self.process.wait(PATIENCE)
        self.settings = termios.tcgetattr(self._slave)
        self._let_go()
        return code

    def kill(self) -> None:
        """Ends what a failed test left."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(PATIENCE)
        self._let_go()

    # What a person sees.

    @property
    def text(self) -> str:
        """The screen."""
        with self._lock:
            return "\n".join("".join(row).rstrip() for row in self._screen)

    @property
    def in_app(self) -> bool:
        """Whether the alternate screen is up."""
        start, end = (self.sent.rfind(sequence) for sequence in _ALTERNATE)
        return start > end

    def until(self, condition: str | Callable[[str], Any]) -> str:
        """Waits until the screen shows a text, or passes a test; the screen."""
        passes = condition if callable(condition) else lambda text: condition in text
        try:
            await_that(lambda: passes(self.text), f"{condition!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen shows:\n{self.text}") from None
        return self.text

    # How it works.

    def _let_go(self) -> None:
        for descriptor in (self._master, self._slave):
            if descriptor >= 0:
                os.close(descriptor)
        self._master = self._slave = -1

    def _read(self) -> None:
        rest = b""
        while True:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:
                return
            if not data:
                return
            rest += data
            whole = rest.decode("utf-8", "ignore")
            rest = _unfinished(rest)
            with self._lock:
                self.sent += whole
                self._obey(whole)

    def _obey(self, text: str) -> None:
        text = self._rest + text
        at = 0
        while match := _TOKEN.match(text, at):
            at = match.end()
            if match["text"] is not None:
                self._put(match["text"])
            elif match["control"] is not None:
                self._control(match["control"])
            elif match["final"] is not None:
                self._sequence(match["arguments"], match["final"])
        self._rest = text[at:]

    def _put(self, text: str) -> None:
        for sign in text:
            width = words.cells(sign)
            if width and self._row < self.rows and self._column + width <= self.columns:
                self._screen[self._row][self._column] = sign
                if width == 2:
                    self._screen[self._row][self._column + 1] = ""
            self._column += width

    def _control(self, sign: str) -> None:
        if sign == "\r":
            self._column = 0
        elif sign == "\n":
            self._row, self._column = min(self._row + 1, self.rows - 1), 0

    def _sequence(self, arguments: str, final: str) -> None:
        if final == "H":
            row, _, column = arguments.partition(";")
            self._row, self._column = int(row or 1) - 1, int(column or 1) - 1
        elif final == "J" or (final in "hl" and arguments == "?1049"):
            self._screen = [[" "] * self.columns for _ in range(self.rows)]


def _own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _unfinished(data: bytes) -> bytes:
    """The bytes of a sign that is not wholly there yet."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[-back:] if length > back else b""
        if byte & 0x80 == 0:
            return b""
    return b""
