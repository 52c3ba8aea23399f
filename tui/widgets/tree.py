"""Architectures in a tree by problem: groups that open and close, and a line to search in.

The mark shows the one in use; the cursor only looks. Choosing and looking are told as messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, Static

from dlcore.text_safety import safe_text
from tui.catalogue import OWN, Builder, groups
from tui.widgets.line_list import Cell, LineList, fitted

_SUMMARY = 40  # columns beside the names from which a summary is worth having
OWN_FILE = Builder("file.py:Name …", OWN, "Your own nn.Module: the file and the class or function in it.")


class Branch(NamedTuple):
    """A line of the tree: a group, or a builder in it."""

    group: str
    builder: Builder | None = None
    open: bool = True


class TreeLines(LineList):
    """The lines of the tree."""

    HELP_TITLE = "Architectures"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "take", "Choose", id="tree.take", tooltip="Use it; open or close a group"),
        Binding("left", "fold(False)", "Close", id="tree.close", tooltip="Close the group", show=False),
        Binding("right", "fold(True)", "Open", id="tree.open", tooltip="Open the group", show=False),
    ]  # fmt: skip

    class Folded(Message):
        """A group is to be opened or closed; None for the other way."""

        def __init__(self, group: str, open: bool | None) -> None:
            super().__init__()
            self.group = group
            self.open = open

    def __init__(self) -> None:
        super().__init__()
        self.branches: Sequence[Branch] = ()
        self.chosen = ""

    @property
    def row_count(self) -> int:  # noqa: D102
        return len(self.branches)

    @property
    def here(self) -> Branch | None:
        """The line under the cursor."""
        return self.branches[self.cursor] if 0 <= self.cursor < len(self.branches) else None

    def row_key(self, index: int) -> object:  # noqa: D102
        branch = self.branches[index]
        name = branch.builder.name if branch.builder is not None else ""
        return branch.group, branch.open, name, name == self.chosen, len(self.branches)

    def row_cells(self, index: int, width: int, here: bool) -> Sequence[Cell]:  # noqa: D102
        branch = self.branches[index]
        if branch.builder is None:
            return [Cell("▾ " if branch.open else "▸ ", "quiet"), Cell(fitted(branch.group, width - 2))]
        chosen = branch.builder.name == self.chosen
        mark = Cell("  ● " if chosen else "    ", "accent")
        tone = "accent" if chosen else ""
        longest = max(len(each.builder.name) for each in self.branches if each.builder is not None) + 2
        name = safe_text(branch.builder.name, limit=80)
        if width - 4 - longest < _SUMMARY:
            return [mark, Cell(fitted(name, width - 4), tone, chosen)]
        summary = Cell(fitted(branch.builder.summary, width - 4 - longest), "quiet")
        return [mark, Cell(fitted(name, longest), tone, chosen), summary]

    def action_fold(self, open: bool) -> None:
        """Opens or closes the group that the cursor is in."""
        if self.here is not None:
            self.post_message(self.Folded(self.here.group, open))


class ArchitectureTree(Vertical):
    """Search line and tree."""

    DEFAULT_CSS = """
    ArchitectureTree {
        height: 1fr;
        & > #search { height: 1; margin-bottom: 1; }
        & > .notice { height: 1fr; color: $foreground 60%; }
        & > .notice.-error { color: $error; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", id="tree.search", tooltip="Search names and descriptions"),
    ]  # fmt: skip

    class Chosen(Message):
        """An architecture is to be used; `OWN_FILE` wishes to name one."""

        def __init__(self, builder: Builder) -> None:
            super().__init__()
            self.builder = builder

    class Looked(Message):
        """The cursor is on an architecture, or on a group where there is none."""

        def __init__(self, builder: Builder | None) -> None:
            super().__init__()
            self.builder = builder

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._groups: Mapping[str, Sequence[Builder]] = {}
        self._folded: set[str] = set()

    def compose(self) -> ComposeResult:
        """The line, the tree, and what stands in for it."""
        line = SearchLine(placeholder="/ search", compact=True, id="search")
        line.cursor_blink = False
        yield line
        yield TreeLines()
        yield Static("", classes="notice", markup=False)

    def on_mount(self) -> None:
        """Empty until told."""
        self.show_notice("")

    @property
    def lines(self) -> TreeLines:
        """The tree itself, which takes the focus."""
        return self.query_one(TreeLines)

    def show(self, builders: Sequence[Builder], chosen: str) -> None:
        """Takes all architectures; the cursor goes to the one in use when that is another one now."""
        self._groups = groups([*builders, OWN_FILE])
        self.query_one(".notice").display = False
        self.lines.display = True
        known = any(each.name == chosen for each in builders)
        moved = known and chosen != self.lines.chosen  # to one of the user's own only when it is listed
        if known:
            self.lines.chosen = chosen
        self._lay_out()
        if moved:
            self._go_to(chosen)
        self.lines.refresh_changed()

    def show_notice(self, text: str, *, error: bool = False) -> None:
        """Says why there is no tree."""
        notice = self.query_one(".notice", Static)
        notice.update(safe_text(text, newlines=True))
        notice.set_class(error, "-error")
        notice.display = True
        self.lines.display = False

    def _lay_out(self) -> None:
        wanted = self.query_one(SearchLine).value.lower().split()
        here = self.lines.here
        branches: list[Branch] = []
        for group, builders in self._groups.items():
            found = [each for each in builders if _matches(wanted, group, each)]
            if found:
                is_open = bool(wanted) or group not in self._folded
                branches.append(Branch(group, None, is_open))
                branches += [Branch(group, each) for each in found] if is_open else []
        self.lines.branches = branches
        self.lines.rows_changed()
        if here is not None:
            wanted_here = here.builder.name if here.builder else ""
            self._go_to(wanted_here, here.group)
        if wanted and (self.lines.here is None or self.lines.here.builder is None):
            self.lines.cursor = next((i for i, each in enumerate(branches) if each.builder), -1)

    def _go_to(self, name: str, group: str = "") -> None:
        """To an architecture, or else to a group."""
        for number, branch in enumerate(self.lines.branches):
            if (branch.builder is not None and branch.builder.name == name) or (
                not name and branch.builder is None and branch.group == group
            ):
                self.lines.cursor = number
                return
        if name and group:
            self._go_to("", group)

    def action_search(self) -> None:
        """Into the search line."""
        self.query_one(SearchLine).focus()

    @on(TreeLines.Folded)
    def _fold(self, event: TreeLines.Folded) -> None:
        event.stop()
        is_open = event.group in self._folded if event.open is None else event.open
        (self._folded.discard if is_open else self._folded.add)(event.group)
        self._lay_out()

    @on(LineList.Taken)
    def _take(self, event: LineList.Taken) -> None:
        event.stop()
        branch = self.lines.here
        if branch is None:
            return
        if branch.builder is None:
            self.post_message(TreeLines.Folded(branch.group, None))
        else:
            self.post_message(self.Chosen(branch.builder))

    @on(LineList.Highlighted)
    def _look(self, event: LineList.Highlighted) -> None:
        event.stop()
        self.post_message(self.Looked(self.lines.here.builder if self.lines.here else None))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._lay_out()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.lines.focus()
        self.lines.action_take()


class SearchLine(Input):
    """The line to search in; down goes to what was found, esc forgets it."""

    HELP_TITLE = "Search"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "to_lines", "Down", id="search.down", tooltip="To what was found", show=False),
        Binding("escape", "forget", "Clear", id="search.clear", tooltip="Show all again"),
    ]

    def action_to_lines(self) -> None:
        """Leaves the line for the list."""
        assert isinstance(self.parent, ArchitectureTree)
        self.parent.lines.focus()

    def action_forget(self) -> None:
        """Empties the line and leaves it."""
        self.value = ""
        self.action_to_lines()


def _matches(words: Sequence[str], group: str, builder: Builder) -> bool:
    where = f"{group} {builder.name} {builder.summary}".lower()
    return all(word in where for word in words)
