"""Small questions in front of a screen: yes or no, one of several, a line of text.

Each is pushed with ``push_screen_wait`` or a callback and gives None when it was left without an answer.
Texts are shown as they are, never as markup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.events import Resize
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from dlcore.text_safety import safe_text
from tui import words
from tui.widgets.text_lines import wrapped

T = TypeVar("T")
_QUIET = "$foreground 70%"
WIDEST = 70  # columns of a text
LOW = 16  # lines below which the air around the texts goes


def key_line(*keys: tuple[str, str]) -> Content:
    """What the keys do, as on the last line of a screen."""
    parts: list[str | tuple[str, str]] = []
    for key, what in keys:
        parts += [(key, "bold $foreground"), f" {what}   "]
    return Content.assemble(*parts).rstrip()


def hint(*keys: tuple[str, str]) -> Static:
    """A line that says what the keys do."""
    return Static(key_line(*keys), classes="hint")


class Choice(NamedTuple):
    """One answer: what it gives, what it says, and what it means."""

    value: str
    label: str
    detail: str = ""


class Dialog(ModalScreen[T | None]):
    """A titled box in the middle; esc leaves it without an answer."""

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        background: $background 60%;

        & > Vertical {
            width: auto;
            min-width: 32;
            max-width: 100%;
            height: auto;
            max-height: 100%;
            border: round $accent;
            border-title-color: $foreground;
            border-title-style: bold;
            background: $background;
            padding: 1 2;
            overflow-y: auto;
        }

        .question { width: auto; height: auto; }
        #choices.-below { margin-top: 1; }
        .hint { width: auto; height: auto; color: $foreground 70%; margin-top: 1; }
        .error { width: auto; height: auto; color: $error; }
        &.-low > Vertical { padding: 0 1; }
        &.-low .hint { margin-top: 0; dock: bottom; }
        &.-low #choices.-below { margin-top: 0; }
    }
    """

    BINDINGS = [Binding("escape", "leave", "Leave", id="dialog.leave", tooltip="Close without an answer")]

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = safe_text(title, limit=80)

    def compose(self) -> ComposeResult:
        """The box."""
        with Vertical() as box:
            box.border_title = Content(self._title)
            yield from self.compose_box()

    def compose_box(self) -> ComposeResult:
        """What is in the box."""
        yield from ()

    def on_mount(self) -> None:
        """As wide as its texts, as long as they fit."""
        self._fit(self.app.size)

    def on_resize(self, event: Resize) -> None:
        """Another width for the texts, which wrap."""
        self._fit(event.size)

    def _fit(self, size: Size) -> None:
        self.set_class(size.height < LOW, "-low")
        around = 4 if size.height < LOW else 6
        for text in self.query(".question, .hint, .error"):
            text.styles.max_width = max(8, min(WIDEST, size.width - around))

    def action_leave(self) -> None:
        """No answer."""
        self.dismiss(None)


class Confirm(Dialog[bool]):
    """A question that ``y`` agrees to; enter agrees only where nothing is lost by it.

    Args:
        question: with its consequences; may have several lines.
        agree: what ``y`` does, such as "delete".
        enter_agrees: whether enter means yes.
    """

    BINDINGS = [
        Binding("y", "answer(True)", "Yes", id="dialog.yes", tooltip="Agree"),
        Binding("n,q", "answer(False)", "No", id="dialog.no", tooltip="Do not"),
        Binding("enter", "enter", "Enter", id="dialog.enter", tooltip="The harmless answer", show=False),
    ]

    def __init__(self, title: str, question: str, *, agree: str = "yes", enter_agrees: bool = False) -> None:
        super().__init__(title)
        self._question = safe_text(question, newlines=True)
        self._agree = agree
        self._enter_agrees = enter_agrees

    def compose_box(self) -> ComposeResult:
        """Question and keys."""
        yield Static(self._question, classes="question", markup=False)
        yes, no = ("y, enter", "n") if self._enter_agrees else ("y", "n, enter")
        yield hint((yes, self._agree), (no, "leave it"))

    def action_answer(self, agreed: bool) -> None:
        """Answers."""
        self.dismiss(agreed)

    def action_enter(self) -> None:
        """The answer that enter stands for."""
        self.dismiss(self._enter_agrees)


class Choose(Dialog[str]):
    """One of a few answers, by arrow and enter, by its first letter, or by mouse."""

    BINDINGS = [
        Binding("up,k", "move(-1)", "Up", id="dialog.up", tooltip="The answer above", show=False),
        Binding("down,j", "move(1)", "Down", id="dialog.down", tooltip="The answer below", show=False),
        Binding("enter", "take", "Take", id="dialog.take", tooltip="Take the marked answer"),
    ]

    def __init__(
        self, title: str, choices: Sequence[Choice], *, question: str = "", default: int = 0
    ) -> None:
        super().__init__(title)
        self._question = safe_text(question, newlines=True)
        self._choices = tuple(choices)
        self._at = default
        self._owners: list[int] = []  # the answer that each line is of

    def compose_box(self) -> ComposeResult:
        """The answers, one a line."""
        if self._question:
            yield Static(self._question, classes="question", markup=False)
        below = " -below" if self._question else ""
        yield Static(self._lines(), id="choices", classes=f"question{below}", markup=False)
        yield hint(("↑↓", "choose"), ("enter", "take"), ("esc", "leave"))

    def _lines(self) -> Content:
        """Details beside the labels where all fit, else below them; left out where lines are few."""
        lead = max(words.cells(choice.label) for choice in self._choices)
        longest = max(words.cells(choice.detail) for choice in self._choices)
        width = min(WIDEST, self.app.size.width - 6)
        beside, low = lead + longest + 5 <= width, self.app.size.height < LOW
        lines: list[Content] = []
        self._owners = []
        for number, choice in enumerate(self._choices):
            here = number == self._at
            label = words.fit(choice.label, max(8, width - 2))
            line = Content.styled(f"{'▸ ' if here else '  '}{label}", "bold $accent" if here else "")
            if beside and choice.detail:
                space = " " * (lead - words.cells(label) + 3)
                line = Content.assemble(line, space, (choice.detail, _QUIET))
            below = [] if beside or low else wrapped(choice.detail, max(8, width - 4))
            lines += [line, *(Content.styled(f"    {text}", _QUIET) for text in below if text)]
            self._owners += [number] * (len(lines) - len(self._owners))
        return Content("\n").join(lines)

    def _fit(self, size: Size) -> None:
        super()._fit(size)
        self.query_one("#choices", Static).update(self._lines())

    def action_move(self, by: int) -> None:
        """Marks the answer above or below."""
        self._at = (self._at + by) % len(self._choices)
        self.query_one("#choices", Static).update(self._lines())

    def action_take(self) -> None:
        """Answers with the marked one."""
        self.dismiss(self._choices[self._at].value)

    def on_click(self, event: object) -> None:
        """A click on an answer takes it."""
        from textual.events import Click

        if isinstance(event, Click) and event.widget is self.query_one("#choices"):
            offset = event.get_content_offset(self.query_one("#choices"))
            if offset is not None and offset.y < len(self._owners):
                self.dismiss(self._choices[self._owners[offset.y]].value)


class Prompt(Dialog[str]):
    """A line of text.

    Args:
        check: gives the sentence to show for a text that will not do, or None.
    """

    def __init__(
        self,
        title: str,
        *,
        question: str = "",
        value: str = "",
        placeholder: str = "",
        check: Callable[[str], str | None] | None = None,
    ) -> None:
        super().__init__(title)
        self._question = safe_text(question, newlines=True)
        self._value = value
        self._placeholder = placeholder
        self._check = check or (lambda _: None)

    def compose_box(self) -> ComposeResult:
        """Question, line, complaint, keys."""
        if self._question:
            yield Static(self._question, classes="question", markup=False)
        line = Input(self._value, placeholder=self._placeholder, compact=True)
        line.cursor_blink = False
        yield line
        yield Static("", id="complaint", classes="error", markup=False)
        yield hint(("enter", "take"), ("esc", "leave"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Takes the text if it will do."""
        event.stop()
        problem = self._check(event.value)
        if problem is None:
            self.dismiss(event.value)
        else:
            self.query_one("#complaint", Static).update(safe_text(problem))
