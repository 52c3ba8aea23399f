"""The record of a series, {step i8, time f8, value f8} little-endian, and which records can be believed.

The lowest byte of ``time`` (less than 0.1 ms) is chosen so that the 24 bytes of a record XOR to zero. Any one
damaged byte shows, and the record is skipped instead of drawing a false spike or, with a step far too
small, throwing away good ones. To other programs it is an ordinary array of three columns.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

RECORD = np.dtype([("step", "<i8"), ("time", "<f8"), ("value", "<f8")])
MAX_STEP = 10**12
_CHECK = np.uint64(0xFF)
_INFINITY = np.uint64(0x7FF0 << 48)  # as bits; NaN and negative numbers lie above it
_POINT, _WORDS = struct.Struct("<qdd"), struct.Struct("<QQQ")
_BLOCK = 1 << 14  # records looked at together: 384 KB, which the cache holds

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Records = NDArray[Any]


def pack(steps: ArrayLike, times: ArrayLike, values: ArrayLike) -> bytes:
    """Points as records; scalars are repeated. A single point of plain numbers takes 0.5 µs, arrays 11.

    Raises:
        ValueError: steps outside 0 to `MAX_STEP`, or lengths that do not fit.
    """
    if isinstance(steps, int) and isinstance(times, float) and isinstance(values, float):
        return _pack_one(steps, times, values)
    step, time, value = np.broadcast_arrays(
        np.atleast_1d(np.asarray(steps, dtype="<i8")),
        np.asarray(times, dtype="<f8"),
        np.asarray(values, dtype="<f8"),
    )
    if step.ndim != 1:
        raise ValueError(f"points come as scalars or flat arrays, not of shape {step.shape}")
    if len(step) and (step.min() < 0 or step.max() > MAX_STEP):
        raise ValueError(f"steps from {step.min()} to {step.max()}: outside 0 to {MAX_STEP}")
    records = np.empty(len(step), RECORD)
    records["step"], records["time"], records["value"] = step, time, value
    words = _words(records)
    words[:, 1] &= ~_CHECK
    words[:, 1] |= _parity(words)
    return records.tobytes()


def _pack_one(step: int, time: float, value: float) -> bytes:
    if not 0 <= step <= MAX_STEP:
        raise ValueError(f"step {step}: outside 0 to {MAX_STEP}")
    words = _WORDS.unpack(_POINT.pack(step, time, value))
    middle = words[1] & ~0xFF
    folded = words[0] ^ middle ^ words[2]
    for shift in (32, 16, 8):
        folded ^= folded >> shift
    return _WORDS.pack(words[0], middle | folded & 0xFF, words[2])


def map_records(path: Path, start: int = 0) -> Records:
    """Whole records from a position on, mapped, not read; none when the file is missing or has no more."""
    try:
        count = path.stat().st_size // RECORD.itemsize - start
        if count > 0:  # never so for what cannot be mapped: a FIFO, a device
            with path.open("rb") as file:
                mapped = np.memmap(file, RECORD, "r", offset=start * RECORD.itemsize, shape=(count,))
                return np.asarray(mapped)
    except (OSError, ValueError):  # unreadable, or replaced by something shorter just now
        pass
    return np.empty(0, RECORD)


def believable(records: Records) -> tuple[Records, int]:
    """Records without the damaged ones, and how many those are.

    Where most have no parity, `pack` did not make them, and only absurd ones are refused: a step or a
    time that no run has, or a block of zeros as a power cut leaves it.
    """
    words = _words(records)
    whole = np.empty(len(records), np.bool_)
    sane = np.empty(len(records), np.bool_)
    for start in range(0, len(records), _BLOCK):
        block = slice(start, start + _BLOCK)
        step, time, value = words[block, 0], words[block, 1], words[block, 2]
        np.equal(_parity(words[block]), 0, out=whole[block])
        sane[block] = (step <= MAX_STEP) & (time < _INFINITY) & ((step | time | value) != 0)
    good = sane & whole if 2 * np.count_nonzero(whole) >= len(whole) else sane
    damaged = len(records) - int(np.count_nonzero(good))
    return (records[good] if damaged else records), damaged


def standing(records: Records) -> Records:
    """Records that no later one supersedes: those whose step is below every step that follows."""
    step = records["step"]
    if np.all(step[1:] > step[:-1]):  # the usual case, 1 ms a million
        return records
    kept = np.ones(len(step), np.bool_)
    lowest_after = np.minimum.accumulate(step[:0:-1])[::-1]
    np.less(step[:-1], lowest_after, out=kept[:-1])
    return records[kept]


def times(records: Records) -> Floats:
    """The time column without the parity byte."""
    bits: NDArray[np.uint64] = _words(records)[:, 1] & ~_CHECK
    return bits.view(np.float64)


def _words(records: Records) -> NDArray[np.uint64]:
    return records.view("<u8").reshape(-1, 3)


def _parity(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """XOR of the 24 bytes of each record: (records, 3) -> (records,)."""
    folded: NDArray[np.uint64] = words[:, 0] ^ words[:, 1] ^ words[:, 2]
    for shift in (32, 16, 8):
        folded ^= folded >> np.uint64(shift)
    folded &= _CHECK
    return folded
