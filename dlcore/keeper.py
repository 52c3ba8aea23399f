"""The small process that stands behind a detached worker: starts it, keeps its log, tells how it ended.

Everything a worker prints, from Python, from C or from forked children, goes into a pipe whose other end
the keeper drains into worker.log. It reads all the time and writes beside that from a bounded buffer, so a
slow or full disk never blocks the worker; when too much is printed, the log keeps its start and
its end. The pipe belongs to no thread of the worker, so the training pays nothing for it, and what was
printed before a kill -9 is in the log, followed by a line that says so.

It is run by its path with ``python -I -S``, in 20 ms, and imports the standard library only:

    keeper.py start LOG LIMIT -- COMMAND...   forks, starts COMMAND, reports on stdout as JSON lines
    keeper.py log LOG LIMIT                   keeps what comes on stdin
"""

# pathlib is left out because importing it takes a third of the start-up time
# ruff: noqa: PTH104, PTH108, PTH123
from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque

READY_FD = "DLTUI_READY_FD"
LOG_LIMIT = 5 << 20
_PENDING_LIMIT = 4 << 20
_READ_BYTES = 1 << 16
_PIPE_BYTES = 1 << 20
_LEFT_OUT = b"\n... output left out here: the log keeps its start and its end ...\n"


class CappedLog:
    """A file that grows to ``limit`` bytes and then loses its middle.

    The first fifth stays for ever, because a run's beginning explains it; of the rest the newest two to four
    fifths stay. Shortening writes a sibling and renames it, so a reader or a crash finds either version.

    Args:
        path: appended to; made when missing, mode 0600.
        limit: most bytes of the file.
    """

    def __init__(self, path: str, limit: int = LOG_LIMIT) -> None:
        self.path = path
        self.limit = limit
        self._open()

    def write(self, data: bytes) -> None:
        """Appends; what the disk does not take is lost, and the next write is tried again."""
        with contextlib.suppress(OSError):
            if self._size + len(data) > self.limit:
                self._shorten(data)
            else:
                self._size += os.write(self._descriptor, data)

    def close(self) -> None:
        """Lets go of the file."""
        os.close(self._descriptor)

    def _open(self) -> None:
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _shorten(self, data: bytes) -> None:
        head_size = self.limit // 5
        everything = os.pread(self._descriptor, self._size, 0) + data
        head, rest = everything[:head_size], everything[head_size:]
        tail = rest[-2 * self.limit // 5 :]
        line_end = tail.find(b"\n", 0, 4096)  # start on a whole line where lines are of a sane length
        temporary = self.path + ".tmp"
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(head + _LEFT_OUT + tail[line_end + 1 :])
            os.rename(temporary, self.path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            os.ftruncate(self._descriptor, head_size)  # no room for a copy: the limit counts for more
            self._size = head_size
            raise
        os.close(self._descriptor)
        self._open()


class Pump:
    """Drains a pipe into a log with two threads, so that reading never waits for writing.

    Args:
        source: read end; its end of file ends the pump.
        log: where the bytes go.
    """

    def __init__(self, source: int, log: CappedLog) -> None:
        self._source = source
        self._log = log
        self._blocks: deque[bytes] = deque()
        self._pending = 0
        self._lost = 0
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._reader.start()
        self._writer.start()

    def drained(self, timeout: float | None = None) -> bool:
        """Waits for the end of file; False when others still hold the pipe after ``timeout`` seconds."""
        self._reader.join(timeout)
        return not self._reader.is_alive()

    def add(self, data: bytes) -> None:
        """Puts bytes behind what was read; of more than 4 MB the oldest are lost and counted."""
        with self._changed:
            self._blocks.append(data)
            self._pending += len(data)
            while self._pending > _PENDING_LIMIT and len(self._blocks) > 1:
                lost = len(self._blocks.popleft())
                self._pending -= lost
                self._lost += lost
            self._changed.notify()

    def finish(self, timeout: float) -> None:
        """Lets the writer end, once the disk has everything or after ``timeout`` seconds."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._writer.join(timeout)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._source, _READ_BYTES)
            except OSError:
                return
            if not data:
                return
            self.add(data)

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._blocks) or self._ended)
                if not self._blocks:
                    return
                data, lost = b"".join(self._blocks), self._lost
                self._blocks.clear()
                self._pending = self._lost = 0
            if lost:
                data = b"\n... %d bytes of output lost: the disk was too slow ...\n" % lost + data
            self._log.write(data)


def start(log_path: str, limit: int, command: list[str]) -> None:
    """The second fork of two: returns in a child of init, starts the worker and stays until it ends."""
    report = os.dup(1)
    if os.fork():
        os._exit(0)
    _let_go_of_stdio()
    source, sink = os.pipe()
    _widen(sink)
    environment = {**os.environ, READY_FD: str(report)}
    try:
        log = CappedLog(log_path, limit)
        worker = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, pass_fds=[report], env=environment
        )
    except OSError as error:
        _tell(report, {"errors": [f"cannot start the worker: {error}"]})
        return
    os.close(sink)
    _ignore_signals()
    _tell(report, {"pid": worker.pid})
    pump = Pump(source, log)
    code = worker.wait()
    pump.drained(2.0)  # children of the worker may hold the pipe for longer; they are still listened to
    if code < 0:
        pump.add(f"\n... the worker was ended by {signal_name(-code)} ...\n".encode())
    if pump.drained(0):
        pump.finish(10.0)
    _tell(report, {"exit": code})
    os.close(report)
    pump.drained()
    pump.finish(10.0)


def keep_stdin(log_path: str, limit: int) -> None:
    """Keeps what comes on stdin until its end."""
    source = os.dup(0)
    _let_go_of_stdio()
    _ignore_signals()
    pump = Pump(source, CappedLog(log_path, limit))
    pump.drained()
    pump.finish(10.0)


def _let_go_of_stdio() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def _ignore_signals() -> None:
    """Whoever stops the worker's whole group or scope must not cut off its last words."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)


def _widen(pipe: int) -> None:
    """Room for bursts, where the system allows it."""
    import fcntl

    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _tell(report: int, message: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        os.write(report, json.dumps(message).encode() + b"\n")


def signal_name(number: int) -> str:
    """A signal as people know it: SIGKILL."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


if __name__ == "__main__":
    action, path, size, *rest = sys.argv[1:]
    if action == "start":
        start(path, int(size), rest[1:])
    else:
        keep_stdin(path, int(size))
