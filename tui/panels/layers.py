"""Inside the network: statistics of every layer at the moments when somebody asked to look."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from tui import words
from tui.folder_follower import FolderFollower, FolderRead
from tui.layer_rows import parse
from tui.messages import OpenInspector
from tui.widgets.layer_list import LayerList
from tui.widgets.line_list import LineList
from tui.widgets.panel import Context, Panel

if TYPE_CHECKING:
    from tui.follow import RunView

_NONE = "Looks inside the network appear here, from the first step on. Press i for one now."
_OVER = "This run is over, and nobody looked inside its network."
_DAMAGED = "This inspection cannot be read. [ and ] go to others."


class LayersPanel(Panel):
    """The newest inspection; `[` and `]` go back and forth in time."""

    KEY = "layers"
    TAB = "inspector"
    ORDER = 8
    SHARE = 6
    DEFAULT_CSS = """
    LayersPanel > Static { height: auto; color: $foreground 60%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket", "turn(-1)", "Earlier", key_display="[", id="layers.earlier",
                tooltip="The inspection before this one"),
        Binding("right_square_bracket", "turn(1)", "Later", key_display="]", id="layers.later",
                tooltip="The inspection after this one"),
    ]  # fmt: skip

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._follower = FolderFollower(self.post_message, context.run, context.run.inspections_path, parse)
        self._names: tuple[str, ...] = ()
        self._read_once = self._over = False
        self._name = ""

    def compose(self) -> ComposeResult:
        """The table, and what to say while there is none."""
        yield Static(_NONE, markup=False)
        yield LayerList()

    @property
    def heart(self) -> Widget:  # noqa: D102
        return self.query_one(LayerList)

    def show_view(self, view: RunView) -> None:
        """The files are all there is to show; without any, whether some may still come."""
        if view.over != self._over:
            self._over = view.over
            self._note()

    @property
    def ready(self) -> bool:  # noqa: D102
        return self._read_once

    def follow(self, wanted: bool) -> None:  # noqa: D102
        if wanted:
            self._follower.start()
        else:
            self._follower.stop()

    @on(FolderRead)
    def _read(self, event: FolderRead) -> None:
        event.stop()
        self._read_once = True
        self._names, self._name = event.names, event.name
        step, rows = event.content or (None, [])
        self.query_one(LayerList).show(rows)
        self._note()
        self.query_one(Static).display = not rows
        parts = [f"step {words.count(step)}"] if step is not None and rows else []
        if len(self._names) > 1:
            parts.append(f"{self._names.index(self._name) + 1}/{len(self._names)}")
        troubles = sum(bool(row.trouble) for row in rows)
        parts += [f"▲ {troubles}"] if troubles else []
        self.frame_state = " · ".join(parts)
        self.frame_tone = "warning" if troubles else ""

    def _note(self) -> None:
        self.query_one(Static).update(_DAMAGED if self._name else _OVER if self._over else _NONE)

    @on(LineList.Taken)
    def action_inspector(self) -> None:
        """All that these looks hold, on a screen of their own."""
        self.post_message(OpenInspector(self.context.run.path))

    def action_turn(self, by: int) -> None:
        """The inspection of another time; behind the last one always the newest."""
        if not self._names:
            return
        at = self._names.index(self._name) + by if self._name in self._names else len(self._names) - 1
        at = min(max(at, 0), len(self._names) - 1)
        self._follower.choose("" if at == len(self._names) - 1 else self._names[at])
