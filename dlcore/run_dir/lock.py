"""The lock on a run: held by its worker for life, released by the kernel however the worker dies.

The lock is ``flock`` on worker.lock. What stands inside (pid, host, boot, start of the process) only tells
people who holds it; it is never what decides. Processes forked by the holder close their copy, because
a lock lives as long as any copy of its descriptor: a loader worker must not keep a dead trainer's lock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import random
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from dlcore.atomic import write_all
from dlcore.errors import UserError
from dlcore.json_lines import decode
from dlcore.processes import boot_id, process_start
from dlcore.text_safety import safe_text

_BUSY = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
_HINT_BYTES = 4096
_SIGN_SECONDS = 2.0
_held: set[int] = set()  # descriptors of this process's lock files
_forks_watched = False


@dataclass(frozen=True)
class Holder:
    """Who says to hold a lock: a hint, true only while the lock is held.

    Attributes:
        pid: process id on ``host``.
        host: its host name.
        boot: id of the host's boot, "" where unknown.
        started: when the process started, in the kernel's own unit; None where unknown.
        since: when it took the lock, Unix seconds.
    """

    pid: int
    host: str
    boot: str
    started: float | None
    since: float

    def is_running_here(self) -> bool:
        """Whether exactly this process runs on this host now."""
        me = (socket.gethostname(), boot_id())
        return (self.host, self.boot) == me and self.started == process_start(self.pid) is not None

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on {self.host} since {since}"


class RunHeld(UserError):  # noqa: N818 - it reads as what it is
    """The run belongs to another process for now (exit code 3).

    Attributes:
        holder: who that is, as far as it said; None when unreadable.
    """

    def __init__(self, name: str, holder: Holder | None) -> None:
        self.holder = holder
        who = str(holder) if holder else "another process"
        shown = safe_text(name, limit=100)
        super().__init__(f"run {shown} is held by {who}; wait for it or stop it: dltui tell {shown} stop")


class RunLock:
    """A held lock; a context manager that releases it.

    Args:
        path: worker.lock in a run directory.

    Raises:
        RunHeld: another process has it.
        UserError: it cannot be made, or the file system has no locks.
    """

    def __init__(self, path: Path) -> None:
        _watch_forks()
        held = False
        while not held:
            self._descriptor = _open(path)
            try:
                _take(self._descriptor, path)
                held = _is_at(self._descriptor, path)  # the run may have been removed between the two
            finally:
                if not held:
                    self.release()
        _sign(self._descriptor)

    def release(self) -> None:
        """Gives the lock up; a second call does nothing, nor does one in a forked child."""
        if self._descriptor in _held:
            os.close(self._descriptor)
            _held.discard(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_locked(path: str | os.PathLike[str]) -> bool:
    """Whether any process, this one included, holds the lock; never waits and never raises."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not hang
    except OSError:
        return False
    try:
        return _is_exclusive(descriptor)
    finally:
        os.close(descriptor)


def read_holder(path: str | os.PathLike[str]) -> Holder | None:
    """What the lock's last holder wrote about itself; None when nothing readable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            hint = decode(os.read(descriptor, _HINT_BYTES).split(b"\n")[0]) or {}
        finally:
            os.close(descriptor)
        started = hint.get("started")
        holder = Holder(
            int(hint["pid"]),
            safe_text(hint["host"], limit=100),
            safe_text(hint["boot"], limit=100),
            None if started is None else float(started),
            float(hint["since"]),
        )
    except (OSError, KeyError, TypeError, ValueError, OverflowError):
        return None
    return holder if 0 < holder.pid < 1 << 31 and 0 <= holder.since < 1e11 else None


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _held.add(descriptor)  # before it is locked: another thread may fork at any moment
        return descriptor
    except OSError as error:
        raise UserError(
            f"cannot lock run {safe_text(path.parent.name)}: {error.strerror} ({safe_text(path)})"
        ) from error


def _take(descriptor: int, path: Path) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno == errno.EINTR:
                continue
            if error.errno not in _BUSY:
                raise UserError(
                    f"the file system of {safe_text(path.parent)} has no file locks ({error.strerror}): "
                    "keep runs on a local disk, see --runs"
                ) from error
        if _is_exclusive(descriptor):
            raise RunHeld(path.parent.name, _await_hint(path))
        time.sleep(random.uniform(0.001, 0.005))  # it was a viewer that looked in, for microseconds


def _is_exclusive(descriptor: int) -> bool:
    """Whether somebody holds the lock for good; those who only look in share it among themselves."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False
    except OSError as error:
        return error.errno in _BUSY


def _await_hint(path: Path) -> Holder | None:
    """The holder's hint; one that has just won may need a moment to write it over its predecessor's."""
    deadline = time.monotonic() + _SIGN_SECONDS
    while True:
        holder = read_holder(path)
        if holder is not None and (holder.host != socket.gethostname() or holder.is_running_here()):
            return holder
        if time.monotonic() > deadline:
            return holder
        time.sleep(0.005)


def _sign(descriptor: int) -> None:
    holder = Holder(os.getpid(), socket.gethostname(), boot_id(), process_start(os.getpid()), time.time())
    with contextlib.suppress(OSError):  # a hint; a full disk must not stop a resume
        os.ftruncate(descriptor, 0)
        write_all(descriptor, json.dumps(asdict(holder)).encode() + b"\n")


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _watch_forks() -> None:
    global _forks_watched
    if not _forks_watched:
        os.register_at_fork(after_in_child=_close_in_child)
        _forks_watched = True


def _close_in_child() -> None:
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()
