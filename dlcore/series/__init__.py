"""metrics/train.loss: one metric as fixed records, append only; a million points open at once.

``numpy.fromfile(path, "<i8,<f8,<f8")`` reads a series, too. A resumed run goes back in step and appends; its
records supersede the earlier ones from their step on, and readers leave those out. An unfinished record
at the end is ignored, a damaged one skipped and counted: reading never raises.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlcore.atomic import flush as flush_descriptor
from dlcore.series.decimation import Decimated, decimate
from dlcore.series.records import (
    RECORD,
    Floats,
    Ints,
    Records,
    believable,
    map_records,
    pack,
    standing,
    times,
)

__all__ = ["Decimated", "Series", "SeriesFollower", "SeriesWriter", "decimate", "file_name", "names", "read"]

_NAME = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_FLUSH_BYTES = 1 << 16
_KEEP_BYTES = 1 << 22


@dataclass(frozen=True, eq=False)
class Series:
    """One metric: three arrays of one length, ``step`` strictly increasing.

    Attributes:
        step: optimizer steps, int64.
        time: Unix seconds, to 0.1 ms.
        value: may hold NaN and infinities: that is what was measured.
        damaged: records that were skipped.
    """

    step: Ints
    time: Floats
    value: Floats
    damaged: int = 0

    def __len__(self) -> int:
        return len(self.step)


def file_name(name: str) -> str:
    """File of a metric: ``train/loss`` -> ``train.loss``.

    Raises:
        ValueError: other characters than letters, digits, ``_``, ``-``, and ``/`` between parts.
    """
    if not _NAME.fullmatch(name) or len(name) > 200:
        raise ValueError(f"bad metric name {name!r}: use letters, digits, _ and -, with / between parts")
    return name.replace("/", ".")


def names(folder: str | os.PathLike[str]) -> list[str]:
    """Metrics that have a file, sorted; none when the folder is missing."""
    try:
        found = [path.name.replace(".", "/") for path in Path(folder).iterdir()]
    except OSError:
        return []
    return sorted(name for name in found if _NAME.fullmatch(name))


class SeriesWriter:
    """Appends to a folder of series. Records wait in memory until `flush`: one ``write`` a series and flush.

    For one thread. What a crash left of a half-written record is cut off when a series is opened.

    Args:
        folder: created when missing.

    Attributes:
        dropped: records given up because the disk stayed full for very long.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.dropped = 0
        self._files: dict[str, int] = {}
        self._waiting: dict[str, bytearray] = {}

    def append(self, name: str, steps: ArrayLike, times: ArrayLike, values: ArrayLike) -> None:
        """Adds points, 1 µs for one, 12 µs for an array; scalars go with arrays (one time for many steps).

        Raises:
            ValueError: a bad name, a negative or absurd step, lengths that do not fit.
            OSError: many points wait and the disk is full; they are kept for the next flush.
        """
        if name not in self._waiting:
            file_name(name)
            self._waiting[name] = bytearray()
        waiting = self._waiting[name]
        waiting += pack(steps, times, values)
        if len(waiting) >= _FLUSH_BYTES:
            self._write(name, waiting)

    def flush(self) -> None:
        """Writes what waits, every series even when one fails.

        Raises:
            OSError: the first failure; unwritten records are kept and go with a later flush.
        """
        failure: OSError | None = None
        for name, waiting in self._waiting.items():
            try:
                self._write(name, waiting)
            except OSError as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def sync(self) -> None:
        """Flushes, and makes it survive a power cut; some milliseconds a series."""
        self.flush()
        for descriptor in self._files.values():
            flush_descriptor(descriptor)

    def close(self) -> None:
        """Flushes and closes; the files are closed even when the flush fails."""
        try:
            self.flush()
        finally:
            for descriptor in self._files.values():
                os.close(descriptor)
            self._files.clear()

    def _write(self, name: str, waiting: bytearray) -> None:
        try:
            while waiting:  # once; a full disk may take half a record, whose rest then goes first next time
                if name not in self._files:
                    self._files[name] = _open_whole(self.folder / file_name(name))
                del waiting[: os.write(self._files[name], waiting)]
        except OSError as error:
            error.filename = str(self.folder / file_name(name))
            self._limit(waiting)
            raise

    def _limit(self, waiting: bytearray) -> None:
        """Gives up the oldest of what waits for a disk that stays full, in whole records."""
        excess = -(-(len(waiting) - _KEEP_BYTES) // RECORD.itemsize)
        if excess > 0:
            half = len(waiting) % RECORD.itemsize  # the rest of one that is partly in the file must stay
            del waiting[half : half + excess * RECORD.itemsize]
            self.dropped += excess


def _open_whole(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    status = os.fstat(descriptor)
    if stat.S_ISFIFO(status.st_mode):  # it would take 64 KB and then block the training for ever
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is a pipe, not a file", os.fspath(path))
    size = status.st_size
    if size % RECORD.itemsize:
        os.ftruncate(descriptor, size - size % RECORD.itemsize)
    return descriptor


def read(folder: str | os.PathLike[str], name: str | None = None) -> Series:
    """A whole series; 1,000,000 points take 7 ms, steps and values staying in the mapped file.

    Args:
        folder: the metrics folder, or with no name the path of one series.
        name: such as ``train/loss``. A series without a file is empty.
    """
    records, damaged = believable(map_records(_path(folder, name)))
    kept = standing(records)
    return Series(kept["step"], times(kept), kept["value"], damaged)


class SeriesFollower:
    """One series as it grows: `poll` reads only what is new.

    Args:
        folder: as in `read`.
        name: as in `read`.

    Attributes:
        damaged: records skipped so far.
    """

    def __init__(self, folder: str | os.PathLike[str], name: str | None = None) -> None:
        self.path = _path(folder, name)
        self._restart(0)

    @property
    def series(self) -> Series:
        """What stands now, in contiguous arrays that later polls do not change."""
        end = self._length
        return Series(self._step[:end], self._time[:end], self._value[:end], self.damaged)

    def poll(self) -> bool:
        """Takes in new records; True when `series` changed. One ``stat`` when there are none."""
        try:
            status = self.path.stat()
        except OSError:
            return False
        if status.st_ino != self._inode or status.st_size < self._taken * RECORD.itemsize:
            self._restart(status.st_ino)  # another file
        if status.st_size // RECORD.itemsize <= self._taken:
            return False
        records = map_records(self.path, self._taken)
        self._taken += len(records)
        fresh, damaged = believable(records)
        self.damaged += damaged
        self._add(standing(fresh))
        return len(fresh) > 0

    def _restart(self, inode: int) -> None:
        self._inode, self._taken, self._length, self.damaged = inode, 0, 0, 0
        self._step: Ints = np.empty(0, np.int64)
        self._time: Floats = np.empty(0)
        self._value: Floats = np.empty(0)

    def _add(self, fresh: Records) -> None:
        if not len(fresh):
            return
        if not self._length:  # without room to grow, which a run that is over never needs
            self._step, self._value = (np.ascontiguousarray(fresh[name]) for name in ("step", "value"))
            self._time, self._length = times(fresh), len(fresh)
            return
        kept = int(np.searchsorted(self._step[: self._length], fresh["step"][0]))
        end = kept + len(fresh)
        if end > len(self._step) or kept < self._length:  # going back must not change arrays handed out
            room = end + max(end // 2, 1024)
            self._step = _grown(self._step, kept, room)
            self._time = _grown(self._time, kept, room)
            self._value = _grown(self._value, kept, room)
        self._step[kept:end] = fresh["step"]
        self._time[kept:end] = times(fresh)
        self._value[kept:end] = fresh["value"]
        self._length = end


def _path(folder: str | os.PathLike[str], name: str | None) -> Path:
    return Path(folder) if name is None else Path(folder) / file_name(name)


def _grown(column: NDArray[Any], kept: int, room: int) -> NDArray[Any]:
    larger = np.empty(room, column.dtype)
    larger[:kept] = column[:kept]
    return larger
