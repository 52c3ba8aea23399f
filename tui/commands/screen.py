"""`dltui`, `dltui attach` and `dltui reset`: into the app, and out of what it may leave behind."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tui import terminal

if TYPE_CHECKING:
    from dlcore.gauges import GaugeReader

BAD_INPUT = 2


def open_app(runs: Path | None = None) -> int:
    """Shows the list of runs.

    Returns:
        The exit code.
    """
    return _show(runs, None)


def attach(name: str | None = None, runs: Path | None = None) -> int:
    """Shows one run, the newest when no name is given.

    Returns:
        The exit code.

    Raises:
        UserError: no such run.
    """
    if terminal.unusable() is not None:
        return _show(runs, None)
    from dlcore.run_dir import RunDir
    from tui.commands.common import runs_in

    return _show(runs, RunDir.find(runs_in(runs), name).path)


def reset() -> None:
    """Mends the terminal."""
    terminal.mend()


def _show(runs: Path | None, attached: Path | None) -> int:
    problem = terminal.unusable()
    if problem is not None:
        print(problem, file=sys.stderr)
        return BAD_INPUT
    from tui.app import DltuiApp
    from tui.commands.common import runs_in
    from tui.preferences import Preferences, default_path

    app = DltuiApp(
        runs_in(runs).absolute(),
        attach=attached,
        preferences=Preferences(default_path()),
        gauges=_gauges,
        real_terminal=True,
    )
    app.run()
    return app.return_code or 0


def _gauges() -> GaugeReader:
    from dlcore.gauges import GaugeReader

    return GaugeReader()
