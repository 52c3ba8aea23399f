"""The thread behind the gauges: a reading of the machine a second, while a run lives and somebody looks."""

from __future__ import annotations

import time
from collections.abc import Callable
from socket import gethostname
from typing import TYPE_CHECKING

from textual.message import Message

from dlcore.gauges import INTERVAL, GaugeReader, Reading
from dlcore.run_dir import RunDir
from dlcore.run_dir.lock import read_holder
from tui.follow import Follower

if TYPE_CHECKING:
    from dlcore.run_dir.lock import Holder


class GaugesRead(Message):
    """The machine as it is now.

    Attributes:
        host: name of the machine that trains when it is another one, whose figures nobody here knows.
    """

    def __init__(self, reading: Reading, host: str = "") -> None:
        super().__init__()
        self.reading = reading
        self.host = host

    def can_replace(self, message: Message) -> bool:  # noqa: D102
        return isinstance(message, GaugesRead)


class GaugeFollower(Follower):
    """Posts `GaugesRead`.

    Args:
        post: as for `Follower`.
        reader: what asks the machine.
        run: whose worker's share to tell.
    """

    def __init__(self, post: Callable[[Message], object], reader: GaugeReader, run: RunDir) -> None:
        super().__init__(post)
        self._reader = reader
        self._run_dir = run
        self._here: tuple[Holder, bool] | None = None
        self._next = 0.0

    def look(self) -> Message | None:  # noqa: D102
        if time.monotonic() < self._next:  # started again at once
            return None
        self._next = time.monotonic() + INTERVAL
        holder = read_holder(self._run_dir.lock_path) if self._run_dir.is_locked() else None
        if holder is not None and holder.host != gethostname():
            return GaugesRead(Reading(), holder.host)
        pid = holder.pid if holder is not None and self._runs_here(holder) else None
        return GaugesRead(self._reader.read(pid, self._run_dir.path))

    def rest(self) -> float:  # noqa: D102
        return max(0.01, self._next - time.monotonic())

    def _runs_here(self, holder: Holder) -> bool:
        """Whether the pid is that process; asked once a holder, as it does not change while it holds."""
        if self._here is None or self._here[0] != holder:
            self._here = (holder, holder.is_running_here())
        return self._here[1]
