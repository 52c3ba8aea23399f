"""Threads that read run directories for a screen and post what changed.

A follower belongs to the screen that starts and stops it. It looks at most four times a second, asks the
file system whether anything is new before it reads, posts only what differs from the last post, and goes
on whatever a run directory holds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dlcore.run_dir import RunDir
from tui.messages import RunChanged
from tui.run_state import RunState
from tui.watch import RunWatch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from textual.message import Message

    from dlcore.series import SeriesFollower

INTERVAL = 0.25  # seconds between looks while something may change
RESTING = 1.0  # and once a run is over: it may be resumed
COST_SHARE = 20  # a look that cost t is followed by at least 20 t of rest: 5 % of a core at most
LONGEST = 4.0  # but nobody waits longer than this for news


class Curve(NamedTuple):
    """One metric's series: equally long arrays that nobody changes any more.

    Attributes:
        name: such as ``train/loss``.
        step: (points,) int64, strictly increasing.
        time: (points,) Unix seconds.
        value: (points,) may hold nan and infinities.
    """

    name: str
    step: NDArray[np.int64]
    time: NDArray[np.float64]
    value: NDArray[np.float64]


@dataclass(frozen=True)
class RunView:
    """A run at one moment, for any thread to read.

    Attributes:
        name: safe to print.
        state: what its events add up to.
        status: the status to show, "died" included.
        over: nothing more will come unless it is resumed.
        curves: by name of the metric.
    """

    path: Path
    name: str
    state: RunState = field(default_factory=RunState)
    status: str = "starting"
    over: bool = False
    curves: Mapping[str, Curve] = field(default_factory=dict)


def pause(rest: float, cost: float) -> float:
    """Seconds between looks.

    Args:
        rest: seconds that the follower asks for; 0 while there is more to do now.
        cost: seconds of a core that the last look took. Not those it waited for one: on a busy machine news
            would come later and later.
    """
    return max(rest, min(LONGEST, COST_SHARE * cost)) if rest > 0 else 0.0


class Follower:
    """A daemon thread that looks again and again until it is stopped.

    Args:
        post: takes a message from any thread; a widget's ``post_message``.
    """

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._post = post
        self._wake = threading.Event()
        self._looking = threading.Lock()  # a thread that was stopped may still be at its last look
        self._thread: threading.Thread | None = None
        self._generation = 0
        # What a look found that was stopped meanwhile: the next one would not find it new.
        self._unsaid: list[Message] = []

    @property
    def running(self) -> bool:
        """Whether it looks."""
        return self._thread is not None

    def start(self) -> None:
        """Begins, or goes on after `stop`; does nothing while it runs."""
        if self._thread is not None:
            return
        self._wake.clear()
        self._generation += 1
        name = f"{type(self).__name__}-{self._generation}"
        arguments = (self._generation,)
        self._thread = threading.Thread(target=self._keep_looking, args=arguments, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it soon; nothing is posted until it goes on. Never waits for the disk."""
        self._thread = None
        self._generation += 1
        self._wake.set()

    def wake(self) -> None:
        """Look now rather than at the next turn."""
        self._wake.set()

    def look(self) -> Message | None:
        """What is new, as a message, or None. Called from the follower's thread only."""
        raise NotImplementedError

    def rest(self) -> float:
        """Seconds until the next look at the earliest; 0 while there is more to do now."""
        return INTERVAL

    def _keep_looking(self, generation: int) -> None:
        first = True  # loads libraries, which is no reason to rest
        while generation == self._generation:
            began = time.thread_time()
            with self._looking:
                try:
                    message = self.look()
                except Exception:  # a directory may hold anything, and the next look may find it mended
                    message = None
                if message is not None:
                    self._unsaid.append(message)
                while self._unsaid and generation == self._generation:
                    self._post(self._unsaid.pop(0))
            rest = self.rest()
            self._wake.wait(rest if first else pause(rest, time.thread_time() - began))
            first = False
            if generation == self._generation:
                self._wake.clear()


class RunFollower(Follower):
    """Follows one run: its state and every series; posts `RunChanged`.

    Args:
        post: as for `Follower`.
        run: an existing run directory.
    """

    def __init__(self, post: Callable[[Message], object], run: RunDir | Path) -> None:
        super().__init__(post)
        self.run = run if isinstance(run, RunDir) else RunDir(run)
        self._watch = RunWatch(self.run)
        self._series: dict[str, SeriesFollower] = {}
        self._curves: dict[str, Curve] = {}
        self._folder_version = 0
        self._view: RunView | None = None

    def look(self) -> Message | None:  # noqa: D102
        self._watch.poll()
        curves = self._look_at_curves()
        watch, before = self._watch, self._view
        view = RunView(self.run.path, watch.name, watch.state, watch.status, watch.over, curves)
        if before is not None and _same(view, before):
            return None
        self._view = view
        return RunChanged(self.run.path, view)

    def rest(self) -> float:  # noqa: D102
        return RESTING if self._watch.over else INTERVAL

    def _look_at_curves(self) -> Mapping[str, Curve]:
        """The curves; the same object as before when no series grew."""
        from dlcore import series

        for name in self._new_names():
            self._series[name] = series.SeriesFollower(self.run.metrics_path, name)
        grown = [name for name, follower in self._series.items() if follower.poll()]
        if grown:
            fresh = {name: self._series[name].series for name in grown}
            self._curves = self._curves | {
                name: Curve(name, found.step, found.time, found.value) for name, found in fresh.items()
            }
        return self._curves

    def _new_names(self) -> list[str]:
        from dlcore import series

        try:
            version = self.run.metrics_path.stat().st_mtime_ns
        except OSError:
            return []
        if version == self._folder_version:
            return []
        self._folder_version = version
        return [name for name in series.names(self.run.metrics_path) if name not in self._series]


def _same(one: RunView, other: RunView) -> bool:
    """Whether nothing was read between the two: state and curves are replaced, never changed."""
    unread = one.state is other.state and one.curves is other.curves
    return unread and (one.status, one.over) == (other.status, other.over)
