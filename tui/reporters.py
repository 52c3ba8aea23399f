"""How a run's progress is told: nothing at all, or plain lines. `tui.progress_live` paints a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import IO

from tui import sentences
from tui.run_state import Event, notices_of
from tui.watch import RunWatch

LINE_EVERY = 1.0  # seconds between plain epoch lines, however fast the epochs are


class Reporter:
    """Shows a run as it goes. This one shows nothing; others say more."""

    def waiting(self, what: str) -> None:
        """There is no run yet; ``what`` is being done."""

    def update(self, watch: RunWatch, fresh: Sequence[Event]) -> None:
        """Called after every poll with the events that are new."""

    def finish(self, watch: RunWatch) -> None:
        """The last call: how it ended."""

    def close(self) -> None:
        """Gives the terminal back, whatever was shown."""


class PlainReporter(Reporter):
    """Lines for a pipe, a file or a dumb terminal: a heading, epochs (one a second at most), the end.

    Args:
        out: where the lines go.
        errors: where it is said that a run failed; the same place when left out.
        clock: seconds that only grow.
    """

    def __init__(
        self, out: IO[str], errors: IO[str] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._out = out
        self._errors = errors or out
        self._clock = clock
        self._headed = False
        self._held_back: Event | None = None
        self._last_line = -LINE_EVERY

    def update(self, watch: RunWatch, fresh: Sequence[Event]) -> None:
        """Prints what is due."""
        state = watch.state
        if not self._headed and watch.begun:
            self._headed = True
            self._print("  ".join([watch.name, *sentences.heading(state)]))
        for event in fresh:
            if event.get("event") == "epoch":
                self._held_back = event
                self._epoch_line(watch)
        self._epoch_line(watch)
        for notice in notices_of(state, fresh):
            self._print(notice.text if notice.level == "info" else f"{notice.level}: {notice.text}")

    def finish(self, watch: RunWatch) -> None:
        """Prints the last epoch, how it ended and what to do next."""
        self._last_line = -LINE_EVERY
        self._epoch_line(watch)
        bad = watch.status in ("failed", "died")
        if watch.unspoken:
            return
        print(sentences.end_line(watch), file=self._errors if bad else self._out, flush=True)
        for step in sentences.next_steps(watch.run, watch.status):
            self._print(step)

    def _epoch_line(self, watch: RunWatch) -> None:
        now = self._clock()
        if self._held_back is not None and now - self._last_line >= LINE_EVERY:
            self._print(sentences.epoch_line(self._held_back, watch.state))
            self._held_back = None
            self._last_line = now

    def _print(self, line: str) -> None:
        print(line, file=self._out, flush=True)
