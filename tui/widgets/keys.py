"""The last line of every screen: the keys that matter now, and `?` for the rest."""

from __future__ import annotations

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


class KeyBar(Widget):
    """Shows the first five bindings in force that want to be shown; a click does what the key does."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    KeyBar {
        height: 1;
        dock: bottom;
        color: $foreground 70%;
    }
    """

    keys: reactive[tuple[Key, ...]] = reactive((), layout=False)

    def on_mount(self) -> None:
        """Follows the bindings as focus and state change them."""
        self._spans: list[tuple[int, int, Key]] = []
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.update_keys())
        self.update_keys()

    def update_keys(self) -> None:
        """Asks the screen what is bound now."""
        found: dict[str, Key] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled and binding.action not in found:
                shown = self.app.get_key_display(binding)
                found[binding.action] = Key(shown, binding.description.lower(), binding.action, active.node)
        self.keys = tuple(found.values())[:MOST]

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
