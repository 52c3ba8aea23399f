"""The thread behind the console: the end of worker.log as it grows, in lines that are safe to show.

Reads at most `MOST_BYTES` a look and begins that far from the end; a log that lost its middle is read anew.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from textual.message import Message

from dlcore.text_safety import safe_text
from tui.follow import Follower

MOST_BYTES = 1 << 18
MOST_SIGNS = 500  # of a line
SECONDS = 1.0
_COLOURS = re.compile("\x1b\\[[0-9;:]*m")


class LogGrew(Message):
    """More of the log.

    Attributes:
        lines: new ones, safe to show.
        anew: they replace those before.
    """

    def __init__(self, path: Path, lines: tuple[str, ...], *, anew: bool) -> None:
        super().__init__()
        self.path = path
        self.lines = lines
        self.anew = anew


class LogFollower(Follower):
    """Posts `LogGrew`, the first time also for an empty log.

    Args:
        post: as for `Follower`.
        path: the log; it may be missing yet.
    """

    def __init__(self, post: Callable[[Message], object], path: Path) -> None:
        super().__init__(post)
        self._path = path
        self._inode = -1
        self._offset = 0
        self._rest = b""
        self._posted = False

    def look(self) -> Message | None:  # noqa: D102
        data, anew = self._read()
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MOST_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        if not lines and not anew and self._posted:
            return None
        anew = anew or not self._posted
        self._posted = True
        return LogGrew(self._path, tuple(shown(line) for line in lines if line.strip()), anew=anew)

    def rest(self) -> float:  # noqa: D102
        return SECONDS

    def _read(self) -> tuple[bytes, bool]:
        """What was added, and whether it begins anew."""
        try:
            status = self._path.stat()
            same = status.st_ino == self._inode and status.st_size >= self._offset
            if (same and status.st_size == self._offset) or not stat.S_ISREG(status.st_mode):
                return b"", False
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return b"", False
        try:
            return self._read_from(descriptor, same)
        except OSError:
            return b"", False
        finally:
            os.close(descriptor)

    def _read_from(self, descriptor: int, same: bool) -> tuple[bytes, bool]:
        size = os.fstat(descriptor).st_size
        start = self._offset if same else 0
        skipped = size - start > MOST_BYTES
        start = max(start, size - MOST_BYTES)
        data = os.pread(descriptor, MOST_BYTES, start)
        if skipped:
            data = data[data.find(b"\n") + 1 :]  # its first line is only the end of one
        if skipped or not same:
            self._rest = b""
        self._inode, self._offset = os.fstat(descriptor).st_ino, start + len(data) if not skipped else size
        return data, not same or skipped


def shown(line: bytes) -> str:
    """A line as a terminal would leave it, without its colours: what a progress bar wrote last."""
    text = line.decode("utf-8", "backslashreplace").rstrip("\r").rpartition("\r")[2]
    return safe_text(_COLOURS.sub("", text).expandtabs(4), limit=MOST_SIGNS)
