"""Imports what the next screens need while nobody waits for it, in a thread of its own.

A module that is not there, or does not load, is met again where it is needed, with its error.
"""

from __future__ import annotations

import contextlib
import importlib
import threading

MODULES = (
    "numpy",
    "plotext",
    "tui.widgets.chart",
    "tui.widgets.chart_plot",
    "tui.screens.run",
    "tui.screens.new_run",
    "tui.screens.compare",
    "tui.screens.help",
    "tui.screens.palette",
)


def start() -> None:
    """Begins; the interpreter may end meanwhile."""
    threading.Thread(target=_load, name="imports", daemon=True).start()


def _load() -> None:
    for name in MODULES:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
