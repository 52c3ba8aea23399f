"""ctrl+p: every action of the screen behind, and the themes, to be found by a few letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Input

from tui import words
from tui.widgets.line_list import Cell, LineList, fitted

_LEFT_OUT = ("list.", "palette", "dialog.")
_THEME = "Theme "


class Entry(NamedTuple):
    """One action: what it is called, what it does, its key, and whose it is."""

    title: str
    about: str
    key: str
    action: str
    node: DOMNode


def entries(screen: Screen[object]) -> list[Entry]:
    """Every action that is bound on the screen now, then the themes and a picture of the screen."""
    app = screen.app
    found: dict[str, Entry] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        name = binding.id or binding.action
        if active.enabled and binding.tooltip and name not in found and not name.startswith(_LEFT_OUT):
            key = app.get_key_display(binding)
            found[name] = Entry(binding.description, binding.tooltip, key, binding.action, active.node)
    themes = [
        Entry(f"{_THEME}{name}", "in use" if name == app.theme else "", "", f"app.use_theme({name!r})", app)
        for name in sorted(app.available_themes, key=lambda name: (not name.startswith("dltui"), name))
    ]
    picture = Entry("Screenshot", "Save a picture of this screen as SVG", "", "app.picture", app)
    return [*found.values(), picture, *themes]


def matches(text: str, entry: Entry) -> bool:
    """Whether each word typed is somewhere in the entry."""
    where = f"{entry.title} {entry.about} {entry.key}".lower()
    return all(word in where for word in text.lower().split())


def matching(text: str, offered: Sequence[Entry]) -> list[Entry]:
    """The entries that match, first those whose names do."""
    fitting = [entry for entry in offered if matches(text, entry)]
    typed = text.lower().split()
    return sorted(fitting, key=lambda entry: not all(word in entry.title.lower() for word in typed))


class EntryList(LineList):
    """Actions, one line each."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[Entry] = ()

    @property
    def row_count(self) -> int:  # noqa: D102
        return len(self.rows)

    def row_key(self, index: int) -> object:  # noqa: D102
        return self.rows[index]

    def row_cells(self, index: int, width: int, here: bool) -> Sequence[Cell]:  # noqa: D102
        entry = self.rows[index]
        lead = min(26, max(len(row.title) for row in self.rows)) + 2
        keys = max(words.cells(row.key) for row in self.rows) + 2  # one column stays free at the bar
        room = max(0, width - 2 - lead - keys)
        return [
            Cell("▸ " if here else "  ", "accent", bold=True),
            Cell(fitted(entry.title, max(0, min(lead, width - 2 - keys)))),
            Cell(fitted(entry.about, room), "quiet"),
            Cell(fitted(entry.key, keys - 1, right=True), "accent"),
        ]


class PaletteScreen(ModalScreen[Entry | None]):
    """A line to type in and the actions that match; gives the one that was taken.

    Args:
        about: the screen whose actions are offered.
    """

    DEFAULT_CSS = """
    PaletteScreen {
        align: center top;
        background: $background 60%;

        & > Vertical {
            width: 80;
            max-width: 96%;
            height: 80%;
            max-height: 26;
            margin-top: 2;
            border: round $accent;
            border-title-color: $accent;
            border-title-style: bold;
            background: $background;
            padding: 0 1;
        }
        & Input { margin-bottom: 1; }
        & EntryList > .lines--cursor { background: $row-cursor; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+p", "leave", "Close", id="palette.leave", tooltip="Close, doing nothing"),
        Binding("up", "move(-1)", "Up", id="palette.up", tooltip="The action above", show=False),
        Binding("down", "move(1)", "Down", id="palette.down", tooltip="The action below", show=False),
        Binding("pageup", "page(-1)", "Page up", id="palette.page-up", tooltip="A screenful up", show=False),
        Binding("pagedown", "page(1)", "Page down", id="palette.page-down", tooltip="Down", show=False),
    ]  # fmt: skip

    def __init__(self, about: Screen[object]) -> None:
        super().__init__()
        self._entries = entries(about)

    def compose(self) -> ComposeResult:
        """The line and the list; the keys stay with the line."""
        with Vertical() as box:
            box.border_title = "Actions"
            line = Input(placeholder="type to find an action", compact=True)
            line.cursor_blink = False
            yield line
            actions = EntryList()
            actions.can_focus = False
            yield actions

    def on_mount(self) -> None:
        """All of them, until something is typed."""
        self._show("")

    def _show(self, text: str) -> None:
        actions = self.query_one(EntryList)
        actions.rows = matching(text, self._entries)
        actions.rows_changed()
        actions.cursor = 0
        actions.refresh_changed()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._show(event.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one(EntryList).action_take()

    @on(LineList.Taken)
    def _taken(self, event: LineList.Taken) -> None:
        event.stop()
        self.dismiss(self.query_one(EntryList).rows[event.index])

    def action_leave(self) -> None:
        """Closes it."""
        self.dismiss(None)

    def action_move(self, by: int) -> None:
        """Marks the action above or below."""
        self.query_one(EntryList).action_move(by)

    def action_page(self, by: int) -> None:
        """Screenfuls of actions."""
        self.query_one(EntryList).action_page(by)
