"""A screen of panels side by side, or of one at a time with a line of tabs where there is less room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.events import DescendantFocus, Resize
from textual.geometry import Size
from textual.widget import Widget

from tui.screens.base import AppScreen
from tui.widgets.frame import Frame
from tui.widgets.tab_line import TabLine


class PanelScreen(AppScreen):
    """Yields a `TabLine` and, in a container called ``panels``, a `Frame` for each panel.

    Attributes:
        WIDE: columns from which all panels are shown.
        active: index of the panel with the focus, the one in sight where there is room for one.
    """

    WIDE = 100
    DEFAULT_CSS = """
    PanelScreen {
        #panels { height: 1fr; }
        TabLine { display: none; }
        &.-narrow {
            TabLine { display: block; }
            #panels > Frame { display: none; width: 1fr; min-width: 0; }
            #panels > Frame.-active { display: block; }
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "panel(1)", "Next panel", id="panels.next", tooltip="To the next panel"),
        Binding("shift+tab", "panel(-1)", "Back", id="panels.back", tooltip="To the last panel", show=False),
        Binding("1", "go(0)", "Panel 1", id="panels.1", tooltip="To the first panel", show=False),
        Binding("2", "go(1)", "Panel 2", id="panels.2", tooltip="To the second panel", show=False),
        Binding("3", "go(2)", "Panel 3", id="panels.3", tooltip="To the third panel", show=False),
    ]

    active = 0

    def panel_targets(self) -> Sequence[Widget]:
        """What takes the focus in each panel."""
        raise NotImplementedError

    def panel_changed(self) -> None:
        """Another panel, or another widget in it, has the focus."""

    @property
    def panels(self) -> list[Frame]:
        """The frames, left to right."""
        return list(self.query("#panels > Frame").results(Frame))

    def place_panels(self, size: Size) -> None:
        """One panel or all, for a size of the terminal; before the first paint too."""
        self.set_class(size.width < self.WIDE, "-narrow")

    def on_resize(self, event: Resize) -> None:
        """One panel or all."""
        self.place_panels(event.size)

    def action_panel(self, by: int) -> None:
        """To the next panel, or the one before where negative."""
        self.action_go((self.active + by) % len(self.panels))

    def action_go(self, index: int) -> None:
        """To a panel; where there is room for one, it is then the one in sight."""
        self._activate(index)
        target = self.panel_targets()[index]
        if target.display:
            target.focus()

    @on(TabLine.Wanted)
    def _tab_wanted(self, event: TabLine.Wanted) -> None:
        self.action_go(event.index)

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """The panel with the focus is the active one."""
        for number, frame in enumerate(self.panels):
            if frame in event.widget.ancestors and number != self.active:
                self._activate(number)
        self.panel_changed()

    def _activate(self, index: int) -> None:
        self.active = index
        for number, frame in enumerate(self.panels):
            frame.set_class(number == index, "-active")
        self.query_one(TabLine).active = index
        self.panel_changed()
