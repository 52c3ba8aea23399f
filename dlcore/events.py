"""events.jsonl: what happened in a run, one JSON object a line, ``seq`` first.

``{"seq":1,"time":1763680502.1,"event":"epoch",...}``; ``seq`` orders, ``time`` (Unix seconds) is only to
show. One writer, any number of readers. A reader never raises: it gives every intact event and counts
the damaged lines it passed over.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from dlcore.atomic import flush
from dlcore.json_lines import (
    LINE_LIMIT,
    LineReader,
    LineWriter,
    decode,
    decode_prefix,
    encode,
    lines_backwards,
)

_START = '{"seq":'


class EventWriter:
    """Appends events, one ``write`` a line, from any thread.

    Opened on a file that a crash left, it starts on a new line and counts on from the last readable event.

    Args:
        path: events.jsonl, created when missing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._lines = LineWriter(path)
        self._seq = _last_seq(path)
        self._lock = threading.Lock()

    def write(self, event: str, /, **fields: Any) -> int:
        """Adds an event and returns its ``seq``. About 6 µs; never waits for the disk.

        Args:
            event: its kind.
            **fields: JSON-able; NumPy scalars are taken, non-finite numbers become null.

        Raises:
            OSError: the disk is full or gone; the event is not written and the next may be tried.
        """
        taken = {"seq", "time", "event"} & fields.keys()
        assert not taken, f"the writer itself sets {taken}"
        with self._lock:
            seq = self._seq + 1
            line = encode({"seq": seq, "time": round(time.time(), 3), "event": event, **fields})
            assert len(line) < LINE_LIMIT, (
                f"event {event} of {len(line)} bytes: put bulk into a file of its own"
            )
            self._lines.append(line)
            self._seq = seq
        return seq

    def sync(self) -> None:
        """Makes what was written survive a power cut; some milliseconds."""
        flush(self._lines.fileno())

    def close(self) -> None:
        """Lets go of the file."""
        self._lines.close()


class EventReader:
    """Follows events.jsonl.

    Args:
        path: the file; it may be missing yet.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._lines = LineReader(path)
        self._damaged = 0

    @property
    def damaged(self) -> int:
        """Lines passed over so far because they were not whole."""
        return self._damaged + self._lines.damaged

    def read(self) -> list[dict[str, Any]]:
        """Whole events since the last call, in file order; one ``stat`` when there are none."""
        events: list[dict[str, Any]] = []
        for line in self._lines.read():
            event = decode(line)
            if event is not None and _is_event(event):
                events.append(event)
            else:
                self._damaged += 1
                events += _salvage(line)
        return events


def _is_event(event: dict[str, Any]) -> bool:
    return type(event.get("seq")) is int and isinstance(event.get("event"), str)


def _salvage(line: bytes) -> list[dict[str, Any]]:
    """Intact events inside a damaged line: a lost line break joins two, and neither is at fault."""
    text = line.decode("utf-8", "replace")
    found = []
    start = text.find(_START)  # inside a JSON string the quotes would be escaped
    while start >= 0:
        event = decode_prefix(text[start:])
        if event is not None and _is_event(event):
            found.append(event)
        start = text.find(_START, start + 1)
    return found


def _last_seq(path: str | os.PathLike[str]) -> int:
    for line in lines_backwards(path):
        event = decode(line)
        if event is not None and _is_event(event):
            return int(event["seq"])
    return 0
