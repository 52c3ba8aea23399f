"""Replaces a file as a whole: afterwards it is the old one or the new one, never a mixture.

The new bytes go to a temporary beside the target, are flushed to the disk, and take its name by a
rename; then the folder is flushed, because the name lives there. A write that fails leaves the target
as it was and no temporary behind. Only a kill can leave a temporary; `sweep` removes those.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path

_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}  # file systems that know no such thing


def write_atomic(
    path: str | os.PathLike[str], data: bytes | bytearray | memoryview, *, durable: bool = True
) -> None:
    """Replaces or creates a file with mode 0600.

    Args:
        path: the file; its folder must exist.
        data: the whole content.
        durable: survive a power cut. False leaves out both flushes (0.05 ms instead of some ms): after a
            power cut the file may then be empty, though never after a kill. For what is written every second.

    Raises:
        OSError: with ``filename`` set to ``path``; the target is untouched. After a failed flush nothing
            is known of the temporary's content, so it is given up: try again with a new call.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            try:
                write_all(descriptor, data)
                if durable:
                    flush(descriptor)
            finally:
                os.close(descriptor)
            temporary.rename(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        if durable:
            fsync_dir(target.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Writes every byte; one call may take fewer (a signal, 2 GB at once, a disk that fills up)."""
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def flush(descriptor: int) -> None:
    """fsync, and on macOS the call that also empties the drive's own cache."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        try:
            fcntl.fcntl(descriptor, full)
            return
        except OSError:  # not a local disk
            pass
    os.fsync(descriptor)


def fsync_dir(folder: str | os.PathLike[str]) -> None:
    """Makes names created, renamed or removed in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def sweep(folder: str | os.PathLike[str]) -> int:
    """Removes temporaries that killed writers left; only for who alone writes there. Returns how many."""
    swept = 0
    for leftover in Path(folder).glob(".*.tmp"):
        with contextlib.suppress(OSError):
            leftover.unlink()
            swept += 1
    return swept
