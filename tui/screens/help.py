"""`?`: every key that does something on the screen behind, made from the bindings themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.geometry import Size
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from tui import words

Group = tuple[str, list[tuple[str, str]]]

WIDTH = 72  # columns of the page
LOW = 16  # lines below which the air around it goes
LEAST = 6  # columns of keys
_LEFT_OUT = {"screen.copy_text", "app.help_quit", "app.focus_next", "app.focus_previous"}
_TITLES = {"app": "Everywhere"}


class HelpScreen(ModalScreen[None]):
    """Keys on the left, what they do on the right, grouped by what they work on.

    Args:
        about: the screen whose keys are told.
    """

    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;
        background: $background 60%;

        & > VerticalScroll {
            width: 72;
            max-width: 94%;
            height: auto;
            max-height: 90%;
            border: round $accent;
            border-title-color: $accent;
            border-title-style: bold;
            border-subtitle-color: $foreground 60%;
            background: $background;
            padding: 1 2;
            scrollbar-gutter: stable;
        }
        &.-low > VerticalScroll { padding: 0 1; max-height: 100%; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "leave", "Close", id="help.leave", tooltip="Close these keys"),
        Binding("down,j", "scroll(1)", "Down", id="help.down", tooltip="One line down", show=False),
        Binding("up,k", "scroll(-1)", "Up", id="help.up", tooltip="One line up", show=False),
    ]

    def __init__(self, about: Screen[object]) -> None:
        super().__init__()
        self._groups = list(groups(about))

    def compose(self) -> ComposeResult:
        """One scrollable page."""
        with VerticalScroll() as page:
            page.border_title = "Keys"
            page.border_subtitle = "esc close"
            page.can_focus = False
            yield Static("", markup=False)

    def on_mount(self) -> None:
        """Written for the width there is."""
        self._write(self.app.size)

    def on_resize(self, event: Resize) -> None:
        """Other lines fit."""
        self._write(event.size)

    def _write(self, size: Size) -> None:
        low = size.height < LOW
        self.set_class(low, "-low")
        width = min(WIDTH, size.width * 94 // 100) - (5 if low else 7)
        self.query_one(Static).update(page(self._groups, width))

    def action_leave(self) -> None:
        """Closes the page."""
        self.dismiss()

    def action_scroll(self, by: int) -> None:
        """Lines down, or up where negative."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)


def page(told: Sequence[Group], width: int) -> Content:
    """Keys and what they do in two columns; long texts go on below themselves."""
    from tui.widgets.text_lines import wrapped

    most = max(LEAST, width // 3 - 5)
    lead = min(most, max((words.cells(keys) for _, rows in told for keys, _ in rows), default=0))
    lines: list[Content] = []
    for title, rows in told:
        lines += [Content("")] if lines else []
        lines.append(Content.styled(title, "bold"))
        for keys, what in rows:
            left = [keys] if words.cells(keys) <= lead else list(wrapped(keys, lead))
            right = list(wrapped(what, max(8, width - lead - 5)))
            for number in range(max(len(left), len(right))):
                key = left[number] if number < len(left) else ""
                said = right[number] if number < len(right) else ""
                lines.append(Content.assemble("  ", (key.ljust(lead), "$accent"), "   ", said))
    return Content("\n").join(lines)


def groups(screen: Screen[object]) -> Iterable[Group]:
    """The bindings in force, by what they work on: the focused widget, the screen, the app."""
    found: dict[str, dict[str, tuple[list[str], str]]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if not active.enabled or not binding.description or binding.system or _is_left_out(binding):
            continue
        if active.node is screen.app:
            title = "Everywhere"
        elif active.node is screen:
            title = "This screen"
        else:
            title = str(getattr(active.node, "HELP_TITLE", "") or _spaced(type(active.node).__name__))
        keys, _ = found.setdefault(title, {}).setdefault(
            binding.id or binding.action, ([], binding.tooltip or binding.description)
        )
        shown = screen.app.get_key_display(binding)
        if shown not in keys:
            keys.append(shown)
    order = sorted(found, key=lambda title: (title == "Everywhere", title != "This screen"))
    for title in order:
        yield title, [(", ".join(ranged(keys)), what) for keys, what in found[title].values()]


def ranged(keys: Sequence[str]) -> list[str]:
    """Digits in a row as one: ``1–9``."""
    digits = [key for key in keys if len(key) == 1 and key.isdecimal()]
    if len(digits) < 3 or [int(key) for key in digits] != list(range(int(digits[0]), int(digits[-1]) + 1)):
        return list(keys)
    return [f"{digits[0]}–{digits[-1]}", *(key for key in keys if key not in digits)]


def _is_left_out(binding: Binding) -> bool:
    return binding.action in _LEFT_OUT


def _spaced(name: str) -> str:
    """``RunList`` as ``Run list``."""
    text = "".join(f" {sign.lower()}" if sign.isupper() else sign for sign in name).strip()
    return text[:1].upper() + text[1:]
