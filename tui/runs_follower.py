"""The thread behind the home screen: a whole folder of runs kept current at a bounded cost.

The folder is listed when it changed. A run is read again when its state.json changed, or while it lives:
only its lock tells that it died. Those in sight are asked at each look, the others in turn.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dlcore.run_dir.summary import RunSummary, summarise
from tui.follow import INTERVAL, Follower
from tui.messages import RunsChanged, TrendsChanged

if TYPE_CHECKING:
    from textual.message import Message

FIRST = 200  # runs of a large folder that are shown before the others are read
SLICE = 400  # runs out of sight asked in one look
TRENDS = 20  # sparklines made in one look
TREND_SECONDS = 2.0  # at least, between two sparklines of one living run

Version = tuple[int, int]
_NONE: Version = (0, 0)


class RunsFollower(Follower):
    """Follows a runs folder; posts `RunsChanged`, and `TrendsChanged` for the runs in sight.

    Args:
        post: as for `Follower`.
        runs: the folder; it may come and go.
        trend_width: bars of a sparkline.

    Attributes:
        in_sight: paths that the screen shows now; set by the screen.
    """

    def __init__(self, post: Callable[[Message], object], runs: Path, *, trend_width: int) -> None:
        super().__init__(post)
        self.in_sight: tuple[Path, ...] = ()
        self._folder = str(runs)
        self._trend_width = trend_width
        self._folder_version: Version | None = None
        self._runs: dict[str, RunSummary | None] = {}  # by folder name; None: no run in it, or not yet
        self._versions: dict[str, Version] = {}
        self._unread: list[str] = []
        self._turn: list[str] = []
        self._turn_time = 0.0
        self._posted = False
        self._trends: dict[Path, tuple[RunSummary, float]] = {}

    def look(self) -> Message | None:  # noqa: D102
        changed = self._look_at_folder()
        for name in self._due():
            changed = self._read(name) or changed
        if changed or not self._posted:
            self._posted = True
            found = [run for run in self._runs.values() if run is not None]
            found.sort(key=lambda run: (run.created, run.name), reverse=True)
            return RunsChanged(tuple(found), complete=not self._unread)
        trends = self._make_trends()
        return TrendsChanged(trends) if trends else None

    def rest(self) -> float:  # noqa: D102
        return 0.0 if self._unread or any(True for _ in self._without_trend()) else INTERVAL

    def _look_at_folder(self) -> bool:
        """Notices what came and went; True when a run went."""
        version = _version(self._folder)
        if version == self._folder_version:
            return False
        self._folder_version = version
        names = set(_folders(self._folder))
        gone = [name for name in self._runs if name not in names]
        went = [self._runs.pop(name) for name in gone]
        # A name begins with the run's time as a rule, so this reads the newest first.
        self._unread = sorted(names - self._runs.keys(), reverse=True)
        return any(run is not None for run in went)

    def _due(self) -> dict[str, None]:
        """Names to look at now."""
        count = len(self._unread) if self._posted else FIRST
        due = dict.fromkeys(self._unread[:count])
        del self._unread[:count]
        if self._posted and self._runs:
            due |= dict.fromkeys(name for name, run in self._runs.items() if run is not None and run.alive)
            due |= dict.fromkeys(path.name for path in self.in_sight if path.name in self._runs)
            due |= dict.fromkeys(self._next_in_turn())
        return due

    def _next_in_turn(self) -> list[str]:
        now = time.monotonic()
        if now - self._turn_time < INTERVAL:  # woken early, for what is in sight
            return []
        self._turn_time = now
        if not self._turn:
            self._turn = list(self._runs)
        found, self._turn = self._turn[:SLICE], self._turn[SLICE:]
        return [name for name in found if name in self._runs]

    def _read(self, name: str) -> bool:
        """Reads one run if it may have changed; True when it did."""
        before = self._runs.get(name)
        version = _version(f"{self._folder}/{name}/state.json")
        if version == _NONE:  # no run yet, or one whose events speak for it
            version = _version(f"{self._folder}/{name}")
        alive = before is not None and before.alive
        if not alive and version == self._versions.get(name) and name in self._runs:
            return False
        self._versions[name] = version
        summary = self._runs[name] = summarise(f"{self._folder}/{name}", name)
        if summary == before:
            self._runs[name] = before  # the same object, so that screens see at a glance that nothing changed
            return False
        return True

    def _without_trend(self) -> Iterator[RunSummary]:
        """Runs in sight whose sparkline is missing, or older than they are."""
        now = time.monotonic()
        for path in self.in_sight:
            run = self._runs.get(path.name)
            if run is None:
                continue
            made = self._trends.get(path)
            if made is None or (made[0] is not run and now - made[1] >= TREND_SECONDS):
                yield run

    def _make_trends(self) -> dict[Path, str]:
        from tui.trends import trend

        made = {}
        for _, run in zip(range(TRENDS), list(self._without_trend()), strict=False):
            self._trends[run.path] = (run, time.monotonic())
            made[run.path] = trend(run, self._trend_width)
        return made


def _version(path: str) -> Version:
    try:
        info = os.stat(path)  # noqa: PTH116 - twice as fast as Path's, ten thousand times
    except OSError:
        return _NONE
    return info.st_mtime_ns, info.st_ino


def _folders(folder: str) -> list[str]:
    for _, names, _ in os.walk(folder):  # its first step lists the folder and passes over what it cannot read
        return [name for name in names if name[0] != "."]
    return []
