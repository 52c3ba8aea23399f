"""The shape calculator: a prompt with a history, the answer below it, errors under the character they are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Input, Static

from tui import calculation, words
from tui.calculation import Line
from tui.engine_client import EngineClient
from tui.messages import EngineAnswered
from tui.widgets.gauge import Part
from tui.widgets.page import Page
from tui.widgets.text_lines import wrapped

MOST_LINES = 12
INDENT = "  "  # below the prompt's sign
ASKING = "The engine works it out; it takes a few seconds when it has to start."
AGAIN = "F5 asks again."


class Prompt(Input):
    """Where a line is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "typed(-1)", "Line before", id="calculator.before", tooltip="The line typed before this one",
                show=False),
        Binding("down", "typed(1)", "Line after", id="calculator.after", tooltip="The line typed after this one",
                show=False),
        Binding("escape", "leave", "Leave", id="calculator.leave", tooltip="Back to the panel before", show=False),
        Binding("f5", "again", "Ask again", id="calculator.again", tooltip="Ask the engine once more", show=False),
    ]  # fmt: skip

    class Left(Message):
        """Esc was pressed."""

    class Turned(Message):
        """Wish: another line of the history."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    class Again(Message):
        """Wish: ask once more."""

    def action_typed(self, by: int) -> None:
        """Another line of the history."""
        self.post_message(self.Turned(by))

    def action_leave(self) -> None:
        """Somewhere else."""
        self.post_message(self.Left())

    def action_again(self) -> None:
        """The same question."""
        self.post_message(self.Again())


class Calculator(Vertical):
    """Asks the engine when enter is pressed.

    Args:
        engine: who is asked.
        typed: lines of the history, oldest first.

    Attributes:
        x: shape of what goes into a line of layers that does not begin with one; "" for none.
        answer: the last one, plain data; None before there is one.
    """

    HELP_TITLE = "Shape calculator"
    DEFAULT_CSS = """
    Calculator {
        height: auto;
        & > Horizontal { height: 1; }
        & > Horizontal > Static { width: 2; color: $accent; }
        & > Horizontal > Prompt { width: 1fr; }
        & > Page { height: 0; }
    }
    """

    x: reactive[str] = reactive("", layout=False, repaint=False)

    class Remember(Message):
        """Another line was asked: the whole history, to be kept."""

        def __init__(self, typed: Sequence[str]) -> None:
            super().__init__()
            self.typed = list(typed)

    def __init__(self, engine: EngineClient, typed: Sequence[str] = ()) -> None:
        super().__init__()
        self.engine = engine
        self.answer: object = None
        self._typed = list(typed)
        self._at = len(self._typed)
        self._draft = ""  # what stood there before the history was gone through
        self._asked = 0
        self._line = ""
        self._errors: Sequence[str] = ()
        self._pointing = False

    def compose(self) -> ComposeResult:
        """The prompt, and the answer."""
        with Horizontal():
            yield Static("> ", markup=False)
            line = Prompt(
                placeholder="layers or tensors; enter works it out", compact=True, select_on_focus=False
            )
            line.cursor_blink = False
            yield line
        yield Page()

    @property
    def prompt(self) -> Prompt:
        """Where the line is typed."""
        return self.query_one(Prompt)

    @property
    def page(self) -> Page:
        """The answer."""
        return self.query_one(Page)

    @property
    def waiting(self) -> bool:
        """Whether the engine has not answered yet."""
        return bool(self._asked)

    def on_mount(self) -> None:
        """What may be asked, until something is."""
        self._show()

    def ask(self, line: str) -> None:
        """Has a line worked out."""
        self._line, self._errors, self._pointing = line, (), False
        self._typed = calculation.with_line(self._typed, line)
        self._at = len(self._typed)
        self.post_message(self.Remember(self._typed))
        self._asked = self.engine.ask(self.post_message, "shape", text=line, input=self.x)
        self._show()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip():
            self.ask(event.value)

    @on(Input.Changed)
    def _edited(self, event: Input.Changed) -> None:
        event.stop()
        if self._pointing and event.value != self._line:
            self._pointing = False
            self._show()

    @on(Prompt.Again)
    def _again(self, event: Prompt.Again) -> None:
        event.stop()
        self.engine.restart()
        if self._line:
            self.ask(self._line)

    @on(Prompt.Turned)
    def _turned(self, event: Prompt.Turned) -> None:
        event.stop()
        if self._at == len(self._typed):
            self._draft = self.prompt.value
        self._at = min(max(self._at + event.by, 0), len(self._typed))
        self.prompt.value = self._draft if self._at == len(self._typed) else self._typed[self._at]
        self.prompt.cursor_position = len(self.prompt.value)

    @on(EngineAnswered)
    def _answered(self, message: EngineAnswered) -> None:
        message.stop()
        if message.id != self._asked:
            return
        self._asked = 0
        self.answer, self._errors = message.answer, message.errors
        problem = calculation.problem_of(self.answer)
        self._pointing = problem is not None and self.prompt.value == self._line
        if problem is not None and self._pointing:
            self.prompt.cursor_position = min(problem[1], len(self._line))
        self.call_after_refresh(self._point)  # the prompt scrolls to its cursor first

    def _point(self) -> None:
        """Shows the answer; what is wrong in the line comes into sight first."""
        problem = calculation.problem_of(self.answer)
        if problem is not None and self._pointing:
            _, start, end = problem
            left = words.cells(self._line[:start])
            wide = min(words.cells(self._line[start:end]) or 1, self.prompt.size.width)
            self.prompt.scroll_to_region(Region(left, 0, wide, 1), force=True, animate=False)
        self._show()

    @on(Page.Resized)
    def _show(self) -> None:
        lines = self._lines(max(12, self.page.width - words.cells(INDENT)))
        self.page.styles.height = min(MOST_LINES, len(lines))
        self.page.show([[Part(INDENT), *line] for line in lines])

    def _lines(self, width: int) -> list[Line]:
        if self.waiting:
            return [[Part(row, "quiet")] for row in wrapped(ASKING, width)]
        if self._errors:
            return [[Part(row, "error")] for said in (*self._errors, AGAIN) for row in wrapped(said, width)]
        if self.answer is None:
            return calculation.examples(width)
        problem = calculation.problem_of(self.answer)
        if problem is None:
            return calculation.answer_lines(self.answer, width)
        message, start, end = problem
        scrolled = int(self.prompt.scroll_offset.x)
        room = self.prompt.size.width
        under = calculation.pointer(self._line, start, end, scrolled, room) if self._pointing else ""
        said = [[Part("✗ " if row == 0 else "  ", "error"), Part(line)]
                for row, line in enumerate(wrapped(message, width - 2))]  # fmt: skip
        return [
            *([[Part(under, "error")]] if under else []),
            *said,
            *calculation.answer_lines(self.answer, width),
        ]
