"""Files of JSON objects, one a line, that are only ever appended to.

Writers add whole lines; a write cut short leaves a torn tail, and whoever writes next starts on a new
line. Readers return whole lines only and never raise: an unfinished last line waits, an absurdly long
one is skipped and counted. `encode` is strict JSON in plain ASCII, so ``jq`` reads it and ``cat`` is safe.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dlcore.atomic import write_all
from dlcore.text_safety import safe_text

LINE_LIMIT = 1 << 20
_DEPTH = 32
_encoder = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))
_decoder = json.JSONDecoder(parse_constant=lambda _: None)


def encode(value: object) -> str:
    """One line of JSON. NaN and infinities become null; what JSON has no word for becomes text."""
    try:
        text = _encoder.encode(value)
    except (ValueError, TypeError, RecursionError):  # rare, so that the usual case costs one pass in C
        text = _encoder.encode(plain(value))
    return text.replace("\x7f", "\\u007f")


def decode(line: bytes | str) -> dict[str, Any] | None:
    """The object on a line, or None where there is none: bad bytes, bad JSON, another kind of value."""
    try:
        value = _decoder.decode(line if isinstance(line, str) else line.decode())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def decode_prefix(text: str) -> dict[str, Any] | None:
    """Like `decode`, for an object that starts the text and is followed by anything."""
    try:
        value, _ = _decoder.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def plain(value: object, depth: int = 0) -> Any:
    """Anything as JSON-able data: mappings, lists, NumPy and tensor scalars; the rest as safe text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value[:]
    if isinstance(value, int):
        return int(value) if abs(value) < 1 << 63 else safe_text(hex(value), limit=100)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if depth >= _DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {safe_text(key, limit=500): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, depth + 1) for item in value]
    listed = getattr(value, "tolist", None)  # arrays and tensors; a scalar one answers with a number
    if callable(listed):
        return plain(listed(), depth + 1)
    return safe_text(value)


class LineWriter:
    """Appends lines with one ``write`` each; mode 0600. Several processes may append to one file.

    Args:
        path: the file, created when missing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        status = os.fstat(self._descriptor)
        if stat.S_ISFIFO(status.st_mode):  # it would take 64 KB and then block the training for ever
            self.close()
            raise OSError(errno.EINVAL, "is a pipe, not a file", os.fspath(path))
        size = status.st_size
        self._torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"

    def append(self, line: str) -> None:
        """Adds a line (without its line break).

        Raises:
            OSError: the line was not, or not wholly, written; the next one starts on a new line.
        """
        data = (("\n" if self._torn else "") + line + "\n").encode()
        self._torn = True
        write_all(self._descriptor, data)
        self._torn = False

    def fileno(self) -> int:
        """The descriptor, to flush it."""
        return self._descriptor

    def close(self) -> None:
        """Lets go of the file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class LineReader:
    """Follows a growing file: each `read` gives the whole lines added since the last.

    Costs one ``stat`` when nothing was added. A file that is missing has no lines yet; one that was
    replaced or became shorter is read from its start.

    Args:
        path: the file.
        limit: longest line in bytes; longer ones are skipped and counted, in bounded memory.
        at_end: pass over what is there already.

    Attributes:
        damaged: lines skipped so far.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, limit: int = LINE_LIMIT, at_end: bool = False
    ) -> None:
        self.path = Path(path)
        self.damaged = 0
        self._limit = limit
        self._inode = self._offset = self._seen = 0
        self._skipping = False  # inside a line whose start is not to be read
        if at_end:
            self._pass_over()

    def read(self, most: int | None = None) -> list[bytes]:
        """New whole lines without their breaks, empty ones left out.

        Args:
            most: stop after about so many bytes; the rest comes with the next call.
        """
        try:
            status = self.path.stat()
            if status.st_ino != self._inode or status.st_size < self._offset:
                self._inode, self._offset, self._seen, self._skipping = status.st_ino, 0, 0, False
            if status.st_size == self._seen or not stat.S_ISREG(status.st_mode):
                return []
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return self._read(descriptor, most)
            finally:
                os.close(descriptor)
        except OSError:  # removed or unreadable just now
            return []

    def _read(self, descriptor: int, most: int | None) -> list[bytes]:
        lines: list[bytes] = []
        start = self._offset
        while most is None or self._offset - start < most:
            data = os.pread(descriptor, self._limit + 1, self._offset)
            self._seen = self._offset + len(data)
            end = data.rfind(b"\n")
            if end < 0:
                if len(data) <= self._limit:
                    break
                self.damaged += not self._skipping
                self._skipping = True
                self._offset += len(data)
                continue
            whole = data[:end].split(b"\n")
            lines += whole[1:] if self._skipping else whole
            self._skipping = False
            self._offset += end + 1
        return [line for line in lines if line]

    def _pass_over(self) -> None:
        try:
            if not self.path.is_file():  # a planted pipe must not hang
                return
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                self._inode, self._offset, self._seen = status.st_ino, status.st_size, status.st_size
                self._skipping = (
                    status.st_size > 0 and os.pread(file.fileno(), 1, status.st_size - 1) != b"\n"
                )
        except OSError:
            return


def lines_backwards(path: str | os.PathLike[str], block: int = 1 << 16) -> Iterator[bytes]:
    """Lines from the last to the first, an unfinished last one included; reads only as far as asked."""
    with Path(path).open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        rest = b""
        while position > 0:
            size = min(block, position)
            position -= size
            head, *lines = (os.pread(file.fileno(), size, position) + rest).split(b"\n")
            yield from reversed(lines)
            rest = head if len(head) <= LINE_LIMIT else b""  # nothing of ours is longer: damage
        yield rest
