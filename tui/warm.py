"""Gets ready what the next screens need while nobody waits for it, in a thread of its own.

Modules are imported, then the engine is started, which takes seconds to load torch in a process of its own.
DLTUI_WARM=0 leaves the engine for when it is needed.

What lives by then lives as long as the app: the garbage collector is told to pass over it, or it would hold up
a key for a tenth of a second now and then.

A module that is not there, or does not load, is met again where it is needed, with its error.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
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


def start(*, engine: bool) -> None:
    """Begins; the interpreter may end meanwhile.

    Args:
        engine: start it, too.
    """
    wanted = engine and os.environ.get("DLTUI_WARM", "1") != "0"
    threading.Thread(target=_load, args=(wanted,), name="imports", daemon=True).start()


def _load(engine: bool) -> None:
    for name in MODULES:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    with contextlib.suppress(Exception):
        from tui.panels import panel_types

        panel_types()  # which imports them
    gc.freeze()
    gc.enable()
    if engine:
        from tui.engine_client import shared

        shared().warm_up()
