"""The panels of the Run screen, one a module; a new module is a new panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.widgets.panel import Panel


def panel_types() -> list[type[Panel]]:
    """All panels in the order in which they stand at first."""
    from importlib import import_module
    from pkgutil import iter_modules

    from tui.widgets.panel import Panel

    found: list[type[Panel]] = []
    for info in iter_modules(__path__):
        module = import_module(f"{__name__}.{info.name}")
        types = [value for value in vars(module).values() if isinstance(value, type)]
        own = [value for value in types if value.__module__ == module.__name__]
        found += [value for value in own if issubclass(value, Panel) and value.KEY]
    return sorted(found, key=lambda panel: (panel.ORDER, panel.KEY))
