"""The last line of every screen: the keys that matter now, and `?` for the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from textual.content import Content
from textual.dom import DOMNode
from textual.events import Click
from textual.reactive import reactive
from textual.widget import Widget

MOST = 5
GAP = "   "
KEYS = "keys"


class Key(NamedTuple):
    """One entry: what to press, what it does, and whose action it is."""

    key: str
    description: str
    action: str
    node: DOMNode
    show: bool


class KeyBar(Widget):
    """Shows five of the bindings in force; a click does what the key does.

    Args:
        wanted: ids of the bindings that matter now, the most important first; none: those that want to be
            shown, in their order.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    KeyBar {
        height: 1;
        dock: bottom;
        color: $foreground 70%;
    }
    """

    keys: reactive[tuple[Key, ...]] = reactive((), layout=False)

    def __init__(self, wanted: Callable[[], Sequence[str]] = tuple) -> None:
        super().__init__()
        self._wanted = wanted

    def on_mount(self) -> None:
        """Follows the bindings as focus and state change them."""
        self._spans: list[tuple[int, int, Key]] = []
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.update_keys())
        self.call_after_refresh(self.update_keys)  # when the screen's other widgets are there

    def update_keys(self) -> None:
        """Asks the screen what is bound now, and what of it matters most."""
        bound: dict[str, Key] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if active.enabled and (name := binding.id or binding.action) not in bound:
                shown = self.app.get_key_display(binding)
                bound[name] = Key(
                    shown, binding.description.lower(), binding.action, active.node, binding.show
                )
        wanted = self._wanted() or [name for name, key in bound.items() if key.show]
        self.keys = tuple(bound[name] for name in wanted if name in bound)[:MOST]

    def render(self) -> Content:
        """As many as fit; help keeps its place at the right."""
        help_text = _entry("?", KEYS)
        room = self.size.width - help_text.cell_length - 1
        line = Content(" ")
        self._spans = []
        for key in self.keys:
            part = _entry(key.key, key.description)
            start = line.cell_length
            if start + part.cell_length + len(GAP) > room:
                break
            self._spans.append((start, start + part.cell_length, key))
            line += part + GAP
        return line + " " * max(0, room - line.cell_length) + help_text

    async def on_click(self, event: Click) -> None:
        """Does what the key under the pointer does."""
        for start, end, key in self._spans:
            if start <= event.x < end:
                await self.app.run_action(key.action, key.node)
                return
        if event.x >= self.size.width - len(KEYS) - 4:
            await self.app.run_action("app.keys")


def _entry(key: str, description: str) -> Content:
    return Content.assemble((key, "bold $foreground"), " ", description)
