"""The draft as others write it: the command that does the same, and the preset as TOML."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from dlcore.text_safety import safe_text
from tui.draft import Draft
from tui.engine_client import EngineClient
from tui.messages import EngineAnswered
from tui.screens.dialogs import Dialog, key_line

SAVE = "save"


class PresetText(Dialog[str]):
    """Shows and copies; gives `SAVE` when it is to be saved.

    Args:
        draft: as it stands.
        engine: spells out the defaults.
    """

    HELP_TITLE = "Preset"
    DEFAULT_CSS = """
    PresetText {
        & > Vertical { width: 100; max-width: 96%; height: 90%; padding: 0 1; }
        & VerticalScroll { height: 1fr; border: none; padding: 1 0 0 0; }
        & .command { width: 1fr; height: auto; max-height: 8; margin-top: 1; }
        & .hint { width: 1fr; max-width: 100%; }
        & .toml { width: 1fr; height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy(False)", "Copy", id="text.copy", tooltip="Copy the preset (OSC 52)"),
        Binding("m", "copy(True)", "Command", id="text.command", tooltip="Copy the command (OSC 52)"),
        Binding("f", "complete", "Full", id="text.complete", tooltip="Spell every default out, or not"),
        Binding("ctrl+s", "save", "Save", id="text.save", tooltip="Save the preset as a file"),
        Binding("q,ctrl+t", "leave", "Close", id="text.leave", tooltip="Close this page", show=False),
        Binding("down,j", "scroll(1)", "Down", id="text.down", tooltip="One line down", show=False),
        Binding("up,k", "scroll(-1)", "Up", id="text.up", tooltip="One line up", show=False),
        Binding("pagedown", "scroll(15)", "Page down", id="text.page-down", tooltip="Page down", show=False),
        Binding("pageup", "scroll(-15)", "Page up", id="text.page-up", tooltip="Page up", show=False),
    ]  # fmt: skip

    def __init__(self, draft: Draft, engine: EngineClient) -> None:
        super().__init__("Command and preset")
        self._draft = draft
        self._engine = engine
        self._given = draft.toml()
        self._complete: str | None = None  # once the engine has told
        self._wanted = False  # with every default
        self._asked = 0

    def compose_box(self) -> ComposeResult:
        """The command above, the preset below."""
        yield Static(self._command(), classes="command", markup=False)
        with VerticalScroll() as page:
            page.can_focus = False
            yield Static(_coloured(self._given), classes="toml", markup=False)
        yield Static("", classes="hint", markup=False)

    def on_mount(self) -> None:
        """Says what can be done."""
        self._hint()

    @property
    def text(self) -> str:
        """The preset as shown."""
        return self._complete if self._wanted and self._complete is not None else self._given

    def _command(self) -> Content:
        note = "" if self._draft.source else "  (once it is saved there)"
        return Content.assemble(
            ("$ ", "$accent"), safe_text(self._draft.command(), limit=4_000), (note, "$foreground 60%")
        )

    def _hint(self, said: str = "") -> None:
        defaults = "only chosen" if self._wanted else "every default"
        keys = ("c", "copy"), ("m", "copy command"), ("f", defaults), ("ctrl+s", "save"), ("esc", "close")
        self.query_one(".hint", Static).update(Content(safe_text(said)) if said else key_line(*keys))

    def action_copy(self, command: bool) -> None:
        """To the clipboard of the terminal."""
        self.app.copy_to_clipboard(self._draft.command() if command else self.text)
        what = "command" if command else "preset"
        self._hint(f"copied the {what}; if it is not there, the terminal does not allow it (OSC 52)")

    def action_complete(self) -> None:
        """Every default, or only what was chosen."""
        self._wanted = not self._wanted
        if self._wanted and self._complete is None:
            base = str(self._draft.base) if self._draft.base else None
            self._asked = self._engine.ask(
                self.post_message, "toml", values=self._draft.values, base=base, source=self._draft.title
            )
        self._show()
        self._hint()

    def on_engine_answered(self, message: EngineAnswered) -> None:
        """The preset with every default."""
        if message.id != self._asked:
            return
        self._complete = message.answer["complete"] if message.answer else None
        self._wanted = self._complete is not None
        self._show()
        self._hint("" if self._wanted else "its errors must be mended before the defaults can be spelled out")

    def action_save(self) -> None:
        """Leaves, to be saved."""
        self.dismiss(SAVE)

    def action_scroll(self, by: int) -> None:
        """Lines down, or up where negative."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def _show(self) -> None:
        self.query_one(".toml", Static).update(_coloured(self.text))


def _coloured(toml: str) -> Content:
    """TOML with its sections and keys told apart from values."""
    lines = []
    for line in toml.splitlines():
        shown = safe_text(line, limit=2_000)
        key, equals, value = shown.partition(" = ")
        if line.startswith("["):
            lines.append(Content.styled(shown, "bold"))
        elif equals:
            lines.append(Content.assemble((key, "$foreground 70%"), (equals, "$foreground 50%"), value))
        else:
            lines.append(Content(shown))
    return Content("\n").join(lines)
