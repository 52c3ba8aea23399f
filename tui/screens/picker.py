"""One out of many with a word on each: a line to type in and a list; what cannot be taken says why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from dlcore.text_safety import safe_text
from tui.screens.dialogs import Dialog
from tui.widgets.line_list import Cell, LineList, fitted


class Item(NamedTuple):
    """Something to pick.

    Attributes:
        value: what is given when it is picked.
        against: why it cannot be picked; "" when it can.
    """

    value: str
    about: str = ""
    group: str = ""
    against: str = ""


class ItemList(LineList):
    """Items, one line each; what cannot be taken is dimmed and says why."""

    def __init__(self, chosen: str) -> None:
        super().__init__()
        self.items: Sequence[Item] = ()
        self.chosen = chosen

    @property
    def here(self) -> Item | None:
        """The item under the cursor."""
        return self.items[self.cursor] if 0 <= self.cursor < len(self.items) else None

    @property
    def row_count(self) -> int:  # noqa: D102
        return len(self.items)

    def row_key(self, index: int) -> object:  # noqa: D102
        return self.items[index]

    def row_cells(self, index: int, width: int, here: bool) -> Sequence[Cell]:  # noqa: D102
        item = self.items[index]
        lead = min(26, max(len(each.value) for each in self.items)) + 2
        mark = Cell("● " if item.value == self.chosen else "  ", "accent")
        name = Cell(fitted(safe_text(item.value, limit=80), lead), "quiet" if item.against else "")
        about = f"– {item.against}" if item.against else item.about
        return [mark, name, Cell(fitted(about, max(0, width - lead - 2)), "quiet")]


class Picker(Dialog[str]):
    """Gives the value of the item that was picked.

    Args:
        items: all of them; they can be searched when there are more than a few.
        chosen: the one in use, where the cursor begins.
    """

    DEFAULT_CSS = """
    Picker {
        & > Vertical { width: 90; max-width: 96%; height: auto; max-height: 90%; padding: 0 1; }
        & ItemList { height: auto; max-height: 100%; }
        & Input { margin-bottom: 1; }
        & .hint { width: 1fr; max-width: 100%; height: 2; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", id="picker.up", tooltip="The one above", show=False),
        Binding("down", "move(1)", "Down", id="picker.down", tooltip="The one below", show=False),
        Binding("pageup", "page(-1)", "Page up", id="picker.page-up", tooltip="A screenful up", show=False),
        Binding("pagedown", "page(1)", "Page down", id="picker.page-down", tooltip="Down", show=False),
    ]  # fmt: skip

    def __init__(self, title: str, items: Sequence[Item], chosen: str = "") -> None:
        super().__init__(title)
        self._items = items
        self._chosen = chosen

    def compose_box(self) -> ComposeResult:
        """Line, list, and the whole text of the item under the cursor."""
        line = Input(placeholder="type to search", compact=True)
        line.cursor_blink = False
        yield line
        items = ItemList(self._chosen)
        items.can_focus = False
        yield items
        yield Static("", classes="hint", markup=False)

    def on_mount(self) -> None:
        """All of them, until something is typed."""
        self._show("")

    @property
    def _list(self) -> ItemList:
        return self.query_one(ItemList)

    def _show(self, text: str) -> None:
        items = self._list
        items.items = [item for item in self._items if _matches(text, item)]
        items.styles.height = max(1, min(len(self._items), self.app.size.height - 9))
        items.rows_changed()
        at = next((i for i, item in enumerate(items.items) if item.value == self._chosen), 0)
        items.cursor = at if not text else 0
        items.refresh_changed()
        self._look()

    def _look(self) -> None:
        here = self._list.here
        text = "nothing is called so" if here is None else here.against or here.about
        self.query_one(".hint", Static).update(safe_text(text, limit=400))

    @on(LineList.Highlighted)
    def _highlighted(self, event: LineList.Highlighted) -> None:
        event.stop()
        self._look()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._show(event.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._list.action_take()

    @on(LineList.Taken)
    def _taken(self, event: LineList.Taken) -> None:
        event.stop()
        here = self._list.here
        if here is not None and not here.against:
            self.dismiss(here.value)

    def action_move(self, by: int) -> None:
        """Marks the one above or below."""
        self._list.action_move(by)

    def action_page(self, by: int) -> None:
        """Screenfuls."""
        self._list.action_page(by)


def _matches(text: str, item: Item) -> bool:
    where = f"{item.value} {item.about} {item.group}".lower()
    return all(word in where for word in text.lower().split())
