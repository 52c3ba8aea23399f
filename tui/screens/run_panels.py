"""The panels of the Run screen and their keys: go to one, hide, maximise, move; remembered for next time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.events import DescendantFocus
from textual.geometry import Size
from textual.widget import Widget

from tui.panels import panel_types
from tui.run_layout import Arrangement, plan
from tui.screens.base import AppScreen
from tui.widgets.panel import Panel
from tui.widgets.panel_grid import PanelGrid
from tui.widgets.panel_line import PanelLine, Tab

if TYPE_CHECKING:
    from textual.geometry import Region

LAYOUT = "run_layout"  # key of the preferences


class PanelScreen(AppScreen):
    """A screen with a `PanelGrid` of all panels and a `PanelLine`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("z", "maximise", "Maximise", id="run.maximise", tooltip="This panel alone, or all again"),
        Binding("h", "hide", "Hide panel", id="run.hide", tooltip="Hide it; its number brings it back"),
        Binding("less_than_sign", "move(-1)", "Move panel back", key_display="<", id="run.move-back",
                tooltip="This panel one place earlier"),
        Binding("greater_than_sign", "move(1)", "Move panel on", key_display=">", id="run.move-on",
                tooltip="This panel one place later"),
        Binding("H", "reset_panels", "Reset panels", id="run.reset-panels", tooltip="All panels as at first"),
        *(Binding(str(number), f"panel({number})", "Panel", id="run.panel", tooltip="Go to that panel")
          for number in range(1, 10)),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._types = panel_types()
        self._shares = {kind.KEY: kind.SHARE for kind in self._types}
        self.arrangement = self._at_first()

    def _at_first(self) -> Arrangement:
        return Arrangement(tuple(kind.KEY for kind in self._types))

    def recall_panels(self) -> None:
        """Takes up the arrangement of the last time."""
        remembered = self.dltui.preferences.get(LAYOUT, {})
        self.arrangement = Arrangement.from_plain(remembered, self.arrangement.order)

    @property
    def grid(self) -> PanelGrid:
        """The panels."""
        return self.query_one(PanelGrid)

    @property
    def current(self) -> Panel | None:
        """The panel with the focus."""
        return _panel_of(self.focused) if self.focused is not None else None

    def plan_panels(self, size: Size) -> dict[str, Region]:
        """Where each panel on the screen is."""
        return plan(self.arrangement, size.width, size.height, self._shares)

    def arrange_panels(self) -> None:
        """Puts them where they belong."""
        for key in self.arrangement.order:
            self._panel(key).display = key not in self.arrangement.hidden
        self.grid.rearrange()
        self.show_tabs()

    def show_tabs(self) -> None:
        """The line that names them."""
        seen = self.grid.plan if self.grid.size else {}
        here = self.current
        tabs = []
        for key in self.arrangement.order:
            panel = self._panel(key)
            tabs.append(Tab(key, panel.TAB, key in seen, key in self.arrangement.hidden, panel is here))
        self.query_one(PanelLine).tabs = tuple(tabs)

    @property
    def focus_chain(self) -> list[Widget]:
        """By the panels' order; Textual's goes by their places, which those out of sight do not have."""
        order = {key: number for number, key in enumerate(self.arrangement.order)}
        return sorted(super().focus_chain, key=lambda widget: order.get(_key_of(widget), -1))

    def focus_first_panel(self) -> None:
        """The first one that is on the screen."""
        seen = self.plan_panels(self.size)
        self._panel(next(key for key in self.arrangement.visible if key in seen)).heart.focus()

    def go_to(self, key: str) -> None:
        """Shows a panel, whatever was chosen before, and gives it the focus."""
        self._rearrange(self.arrangement.show(key))
        self._panel(key).heart.focus()

    def _panel(self, key: str) -> Panel:
        return self.query_one(f"#{key}", Panel)

    def _rearrange(self, arrangement: Arrangement) -> None:
        if arrangement == self.arrangement:
            return
        self.arrangement = arrangement
        self.dltui.preferences.set(LAYOUT, arrangement.to_plain())
        self.arrange_panels()

    @on(DescendantFocus)
    def _focus_moved(self) -> None:
        """A panel that gets the focus comes to the front."""
        panel = self.current
        if panel is not None and panel.KEY not in self.grid.plan:
            self._rearrange(self.arrangement.show(panel.KEY))
        self.show_tabs()

    @on(PanelLine.Chosen)
    def _tab_chosen(self, message: PanelLine.Chosen) -> None:
        self.go_to(message.key)

    def action_panel(self, number: int) -> None:
        """Goes to a panel; a hidden one is shown again."""
        if number <= len(self.arrangement.order):
            self.go_to(self.arrangement.order[number - 1])

    def action_maximise(self) -> None:
        """All the space for the panel with the focus, or back."""
        if self.current is not None:
            self._rearrange(self.arrangement.maximise(self.current.KEY))

    def action_hide(self) -> None:
        """Hides the panel with the focus; the next one gets it."""
        panel, visible = self.current, self.arrangement.visible
        if panel is None or len(visible) < 2:
            return
        at = visible.index(panel.KEY)
        self._rearrange(self.arrangement.hide(panel.KEY))
        left = self.arrangement.visible
        self.go_to(left[min(at, len(left) - 1)])

    def action_move(self, by: int) -> None:
        """Changes places with the panel before or after."""
        if self.current is not None:
            self._rearrange(self.arrangement.move(self.current.KEY, by))

    def action_reset_panels(self) -> None:
        """Forgets every change."""
        self._rearrange(self._at_first())
        self.focus_first_panel()


def _panel_of(widget: Widget) -> Panel | None:
    return next((node for node in widget.ancestors_with_self if isinstance(node, Panel)), None)


def _key_of(widget: Widget) -> str:
    panel = _panel_of(widget)
    return panel.KEY if panel is not None else ""
