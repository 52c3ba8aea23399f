"""Lays panels out by a plan of regions: rearranging them moves no widget in the tree and loses no state."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

Plan = Mapping[str, Region]


class _Planned(Layout):
    """Puts each child with an id where the plan says; the others are nowhere."""

    name = "planned"

    def __init__(self, plan: Callable[[Size], Plan]) -> None:
        self._plan = plan

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> ArrangeResult:
        parent.pre_layout(self)
        plan = self._plan(size)
        return [
            WidgetPlacement(plan[child.id], NULL_OFFSET, NULL_SPACING, child)
            for child in children
            if child.id is not None and child.id in plan
        ]


class PanelGrid(Widget):
    """Shows those of its children that a plan for its size names, each in its region.

    Args:
        plan: regions by id for a size; a pure function of it until `rearrange` is called.
    """

    DEFAULT_CSS = """
    PanelGrid { width: 1fr; height: 1fr; overflow: hidden; }
    """

    def __init__(self, *children: Widget, plan: Callable[[Size], Plan]) -> None:
        super().__init__(*children)
        self._make_plan = plan
        self._planned = _Planned(plan)

    @property
    def layout(self) -> Layout:
        """By the plan; styles have no say in it."""
        return self._planned

    @property
    def plan(self) -> Plan:
        """Regions by id, for the present size."""
        return self._make_plan(self.size)

    def rearrange(self) -> None:
        """To be called when the plan is another."""
        for child in self.children[:1]:
            child.refresh(layout=True)  # which is what makes its parents forget where things are
