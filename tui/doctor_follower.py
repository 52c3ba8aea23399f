"""The thread that has a run examined whenever something new was recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from dlcore.run_dir import RunDir
from tui.follow import Follower

if TYPE_CHECKING:
    from dlcore.doctor.findings import Finding

SECONDS = 3.0


class Examined(Message):
    """What the doctor finds now, errors first."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__()
        self.findings = tuple(findings)

    def can_replace(self, message: Message) -> bool:  # noqa: D102
        return isinstance(message, Examined)


class DoctorFollower(Follower):
    """Posts `Examined` at first, and when the findings changed.

    Args:
        post: as for `Follower`.
        run: an existing run directory.
    """

    def __init__(self, post: Callable[[Message], object], run: RunDir) -> None:
        super().__init__(post)
        self._run_dir = run
        self._seen: tuple[int, ...] | None = None
        self._findings: tuple[Finding, ...] | None = None

    def look(self) -> Message | None:  # noqa: D102
        seen = tuple(_changed(path) for path in (self._run_dir.events_path, self._run_dir.metrics_path,
                                                 self._run_dir.inspections_path))  # fmt: skip
        if seen == self._seen:
            return None
        self._seen = seen
        from dlcore.doctor.diagnosis import diagnose
        from dlcore.doctor.record import Record

        findings = tuple(diagnose(Record.read(self._run_dir)))
        if findings == self._findings:
            return None
        self._findings = findings
        return Examined(findings)

    def rest(self) -> float:  # noqa: D102
        return SECONDS


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return -1
