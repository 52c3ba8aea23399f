"""Textual's terminal driver, made to survive what happens to terminals.

A terminal that goes away in the middle of a write or a read ends the app instead of blocking it or spinning;
a locale without Unicode gets signs that it has; the app is drawn on standard output, wherever errors go.
"""

from __future__ import annotations

import select
import signal
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, cast

from textual.drivers.linux_driver import LinuxDriver

from tui.terminal import is_ascii_only, to_ascii

if TYPE_CHECKING:
    from tui.app import DltuiApp


class Screen:
    """A text file that never fails: once the terminal is gone, what is written is dropped.

    Args:
        gone: called once, from the writing thread, when the terminal went.
    """

    def __init__(self, file: IO[str], gone: Callable[[], None], *, ascii_only: bool) -> None:
        self._file = file
        self._gone: Callable[[], None] | None = gone
        self._ascii_only = ascii_only

    def write(self, text: str) -> None:
        """Passes the text on, in signs the terminal has."""
        if self._gone is not None:
            try:
                self._file.write(to_ascii(text) if self._ascii_only else text)
            except (OSError, ValueError):
                self._lost()

    def flush(self) -> None:
        """Passes on what waits."""
        if self._gone is not None:
            try:
                self._file.flush()
            except (OSError, ValueError):
                self._lost()

    def fileno(self) -> int:
        """Of the file behind it."""
        return self._file.fileno()

    def _lost(self) -> None:
        gone, self._gone = self._gone, None
        if gone is not None:
            gone()


class TerminalDriver(LinuxDriver):
    """Draws on standard output; ends the app when the terminal hangs up."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        assert sys.__stdout__ is not None
        screen = Screen(sys.__stdout__, self._hung_up, ascii_only=is_ascii_only())
        self._file = cast("Any", screen)

    def start_application_mode(self) -> None:
        """Takes the terminal, at first or after a time in the shell: it is empty then."""
        app, again = cast("DltuiApp", self._app), self._must_signal_resume
        app.shown.forget()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if again:
            app.redraw_soon()

    def _sigcont_application(self, *_: object) -> None:
        """Going on after ctrl+z starts the threads again; after a bare SIGSTOP they are all still there."""
        if self._must_signal_resume:
            super()._sigcont_application()
        else:
            cast("DltuiApp", self._app).redraw_soon()

    def run_input_thread(self) -> None:
        """Reads keys until told to end, or until there is nobody to type them."""
        try:
            super().run_input_thread()
        except OSError:  # EIO: the terminal is gone
            self._hung_up()

    def is_hung_up(self) -> bool:
        """Whether the terminal is gone for good, which reading from it would not tell."""
        watch = select.poll()
        watch.register(self.fileno, 0)
        return any(event & (select.POLLHUP | select.POLLNVAL) for _, event in watch.poll(0))

    def _hung_up(self) -> None:
        cast("DltuiApp", self._app).leave_from_outside(signal.SIGHUP)
