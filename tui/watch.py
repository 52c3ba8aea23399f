"""One run's state kept current by reading its directory. No thread, no Textual, no torch.

`RunWatch.poll` reads only what is new: the events appended since the last call, and state.json when its
modification time changed. It never raises on what the files hold.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from typing import Any

from dlcore.events import EventReader
from dlcore.run_dir import RunDir
from dlcore.text_safety import safe_text
from tui.run_state import Event, RunState, fold, standing, with_snapshot

MAX_SNAPSHOT_BYTES = 1_000_000
RECENT_STEPS = 100
_TURNS = ("started", "resumed", "finished", "stopped", "failed")  # a run begins, goes on or ends


class RunWatch:
    """Follows one run.

    Args:
        after: events up to this sequence number count as known: folded, but never fresh.

    Attributes:
        state: what is known after the last poll.
        held: whether a worker holds the run, as of the last poll.
        begun: whether training began: everything before it was only preparation.
    """

    def __init__(self, run: RunDir, after: int = 0) -> None:
        self.run = run
        self._after = after
        self.state = RunState()
        self.held = False
        self.begun = False
        self._was_held = False
        self._ended = False
        self._reader = EventReader(run.events_path)
        self._snapshot_version: tuple[int, int] | None = None

    def poll(self) -> list[Event]:
        """Brings `state` up to date and returns the events that are new to it."""
        # The lock first: a worker writes its last event before it lets go, so a free lock here means
        # that the events read below are all there will be.
        self.held = self.run.is_locked()
        self._was_held = self._was_held or self.held
        fresh: list[Event] = []
        for event in self._reader.read():
            before = self.state.seq
            self.state = fold(self.state, event)
            if self.state.seq > max(before, self._after):
                fresh.append(event)
                self._ended = self.state.ended if event.get("event") in _TURNS else self._ended
                self.begun = self.begun or event.get("event") == "started"
        snapshot = self._changed_snapshot()
        if snapshot is not None:
            self.state = with_snapshot(self.state, snapshot)
        return fresh

    @property
    def name(self) -> str:
        """The run's name, safe to print."""
        return safe_text(self.run.name)

    @property
    def status(self) -> str:
        """The status to show, "died" included."""
        found = standing(self.state, self.held)
        if found == "died" and not self._was_held and not self.begun:
            said = self.run.summary().status  # a worker that was only just started has not taken the lock yet
            return said if said == "starting" else found
        return found

    @property
    def unspoken(self) -> bool:
        """Nothing was trained and nobody stopped it: the starter says what kept the worker from training."""
        return not self.begun and not (self._ended and self.status == "stopped")

    @property
    def over(self) -> bool:
        """Nothing more will come: the run ended, or its worker is gone."""
        return not self.held and (self._ended or self._was_held)

    def recent(self, name: str, steps: int = RECENT_STEPS) -> float | None:
        """Mean of a series over the last steps, or None where it has no record.

        The loss of a single batch jumps too much to be read; reads 24 bytes a step from the file's end.
        """
        import numpy as np

        from dlcore.series import file_name
        from dlcore.series.records import RECORD

        try:
            with (self.run.metrics_path / file_name(name)).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                whole = size - size % RECORD.itemsize
                file.seek(max(0, whole - steps * RECORD.itemsize))
                values = np.frombuffer(file.read(whole - file.tell()), RECORD)["value"]
        except (OSError, ValueError):
            return None
        with np.errstate(all="ignore"):
            return float(values.mean()) if len(values) else None

    def _changed_snapshot(self) -> Mapping[str, Any] | None:
        path = self.run.state_path
        try:
            info = path.stat()
            version = (info.st_mtime_ns, info.st_ino)
            if version == self._snapshot_version or info.st_size > MAX_SNAPSHOT_BYTES:
                return None
            if not stat.S_ISREG(info.st_mode):  # a planted pipe must not hang
                return None
            snapshot = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        self._snapshot_version = version
        return snapshot if isinstance(snapshot, Mapping) else None
