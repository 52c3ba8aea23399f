"""A new run: pick an architecture and data, set what matters, see every shape follow, start.

The screen holds a draft and shows what others know about it: the catalogue and every check come from the
engine process. Without an engine the draft can still be saved and started; the worker checks it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import DescendantFocus, Resize
from textual.widget import Widget
from textual.widgets import Static

from dlcore.text_safety import safe_text
from tui import field_text
from tui.catalogue import OWN, Builder, Catalogue, builder
from tui.draft_checks import Checks
from tui.engine_client import EngineClient, shared
from tui.form_rows import MORE, NAME, Row, choices, default_of, form_rows, name_of
from tui.messages import EngineAnswered
from tui.screens.dialogs import Prompt
from tui.screens.draft_chores import DraftChores
from tui.shape_rows import ShapeRow, shapes
from tui.widgets.form import Form
from tui.widgets.frame import Frame
from tui.widgets.line_list import LineList
from tui.widgets.shape_table import ShapeTable
from tui.widgets.tab_line import TabLine
from tui.widgets.tree import OWN_FILE, ArchitectureTree

PANELS = ("Architecture", "Settings", "Shapes")
WIDE = 100  # columns from which all three panels are shown
BEFORE_OTHERS = ("digits", "iris")  # data that a model brings along: here at once, trained in seconds
LOADING = "Starting the engine: a few seconds the first time."
REMEDY = "ctrl+l asks again, ctrl+r starts the run in any case."


class NewRunScreen(DraftChores):
    """Three panels over one draft.

    Args:
        preset: name or path of what to begin from; None for a blank one.
        engine: who is asked; the app's own when left out.
    """

    WHERE = "new run"
    AUTO_FOCUS = ""
    KEYS = ("new.start", "new.text", "new.save", "new.preset", "new.next")
    DEFAULT_CSS = """
    NewRunScreen {
        #panels { height: 1fr; }
        #architecture { width: 28; }
        #settings { width: 5fr; min-width: 36; }
        #shapes { width: 6fr; }
        #about { height: 2; padding: 0 1; color: $foreground 80%; }
        TabLine { display: none; }
        &.-narrow {
            TabLine { display: block; }
            #panels > Frame { display: none; width: 1fr; min-width: 0; }
            #panels > Frame.-active { display: block; }
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "start", "Start", id="new.start", tooltip="Start training this"),
        Binding("ctrl+t", "text", "TOML", id="new.text", tooltip="As a command and as a preset, to copy"),
        Binding("ctrl+s", "save", "Save", id="new.save", tooltip="Save as a preset"),
        Binding("ctrl+o", "preset", "Preset", id="new.preset", tooltip="Begin from a preset"),
        Binding("tab", "panel(1)", "Next panel", id="new.next", tooltip="To the next panel"),
        Binding("shift+tab", "panel(-1)", "Back", id="new.before", tooltip="To the panel before", show=False),
        Binding("1", "go(0)", "Architecture", id="new.1", tooltip="To the architectures", show=False),
        Binding("2", "go(1)", "Settings", id="new.2", tooltip="To the settings", show=False),
        Binding("3", "go(2)", "Shapes", id="new.3", tooltip="To the shape table", show=False),
        Binding("ctrl+l", "restart", "Ask again", id="new.restart", tooltip="Ask the engine once more"),
    ]  # fmt: skip

    def __init__(self, preset: str | None = None, engine: EngineClient | None = None) -> None:
        super().__init__()
        self._preset = preset
        self.engine = engine or shared()
        self.checks = Checks(self.engine, self.post_message)
        self.catalogue: Catalogue | None = None
        self._everything = False  # rows that hardly anybody needs
        self._active = 0
        self._start_wanted = False  # once the latest edit has been judged

    def compose_body(self) -> ComposeResult:
        """Tab line, panels, two lines about what is under the cursor."""
        self.set_class(self.app.size.width < WIDE, "-narrow")
        yield TabLine(PANELS)
        with Horizontal(id="panels"):
            with Frame(title=PANELS[0], id="architecture", classes="-active"):
                yield ArchitectureTree()
            with Frame(title=PANELS[1], id="settings"):
                yield Form()
            with Frame(title=PANELS[2], id="shapes"):
                yield ShapeTable()
        yield Static("", id="about", markup=False)

    @property
    def architectures(self) -> ArchitectureTree:
        """The first panel's content."""
        return self.query_one(ArchitectureTree)

    @property
    def form(self) -> Form:
        """The second's."""
        return self.query_one(Form)

    @property
    def table(self) -> ShapeTable:
        """The third's."""
        return self.query_one(ShapeTable)

    # Coming and going.

    def on_mount(self) -> None:
        """Reads the preset and asks for the catalogue; both come as they can."""
        self.architectures.show_notice(LOADING)
        self.table.show_notice("The shapes of every layer will be here.")
        self.open_draft(self._preset)
        self.checks.ask_catalogue()
        self.watch(self.app, "app_focus", self._came_back, init=False)

    def on_screen_resume(self) -> None:
        """In front again."""
        self._came_back(True)

    def _came_back(self, focus: bool) -> None:
        """The user's own files may have been edited meanwhile."""
        if focus and self.draft is not None and self.checks.entries:
            self.checks.ask(self.draft, again=True)

    def draft_replaced(self) -> None:
        """Another draft, or another name for it."""
        self._everything = False
        if self.catalogue is None and self.checks.catalogue is not None:
            self._begin()
        elif self.catalogue is not None:
            self._draft_edited()

    def _begin(self) -> None:
        """Both the catalogue and the draft are there."""
        if self.checks.catalogue is None or self.draft is None:
            return
        self.catalogue = Catalogue.read(self.checks.catalogue)
        self._draft_edited()
        if self.focused is None:
            self.action_go(0)

    def action_back(self) -> None:
        """Leaves; asks where something would be lost."""
        self.leave()

    # The draft and what is said about it.

    def _draft_edited(self) -> None:
        """Shows the draft as it is and has it judged."""
        assert self.draft is not None
        self._show_draft()
        self.checks.ask(self.draft)

    def _show_draft(self) -> None:
        if self.catalogue is None or self.draft is None:
            return
        faults = self.checks.faults
        self.form.show(form_rows(self.catalogue, self.draft, everything=self._everything, shown=faults))
        model = name_of(self.catalogue, self.draft, "model")
        self.architectures.show(list(self.catalogue.builders["model"].values()), model)
        source = safe_text(self.draft.source, limit=60)
        changed = "changed" if self.draft.changed else ""
        begun = f"from {source}" if source else "from scratch"
        self.header.facts = tuple(fact for fact in (begun, changed) if fact)
        self.query_one("#architecture", Frame).frame_state = safe_text(model, limit=60)

    @on(EngineAnswered)
    def _answered(self, message: EngineAnswered) -> None:
        news = self.checks.take(message)
        if news == "catalogue":
            self._begin()
            if self.checks.errors:
                self.architectures.show_notice("\n".join([*self.checks.errors, "", REMEDY]), error=True)
        elif news == "faults":
            self._show_faults()
        elif news == "shapes":
            self._show_shapes()
        if news:
            self.refresh_bindings()
        if self._start_wanted and not self.checks.checking:
            self.action_start()

    def _show_faults(self) -> None:
        if self.catalogue is not None:
            for section, entry in self.checks.entries.items():
                self.catalogue = self.catalogue.with_own(section, builder(entry))
        self._show_draft()
        faults = self.checks.faults
        self.form.show_errors(faults)
        frame = self.query_one("#settings", Frame)
        frame.frame_tone = "error" if faults else ""
        frame.frame_state = f"{len(faults)} to mend" if faults else ""
        self._mark()

    def _show_shapes(self) -> None:
        answer = self.checks.shapes
        frame = self.query_one("#shapes", Frame)
        if self.checks.errors:
            self.table.show_notice("\n".join([*self.checks.errors, "", REMEDY]), error=True)
            frame.frame_state, frame.frame_tone = "", "error"
        elif answer:
            self.table.show(answer)
            inputs = shapes(answer.get("inputs", ()))
            failed = answer.get("state") == "failed"
            frame.frame_tone = "error" if failed else "warning" if self.checks.outdated else ""
            told = f"input {inputs}" if inputs else ""
            late = "before the error" if self.checks.outdated else ""
            frame.frame_state = "does not fit" if failed else late or told
            self.header.device = safe_text((answer.get("device") or {}).get("name", ""), limit=40)
        self._mark()

    def _mark(self) -> None:
        failed = self.checks.shapes.get("state") == "failed" or bool(self.checks.errors)
        self.query_one(TabLine).marks = ("", "✗" if self.checks.faults else "", "✗" if failed else "")

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The engine is started again only when it is down."""
        return bool(self.checks.errors) if action == "restart" else super().check_action(action, parameters)

    def action_start(self) -> None:
        """Starts the run, or goes to what must be mended first."""
        if self.draft is None or self.starting:
            return
        unchecked = bool(self.checks.errors) or self.catalogue is None
        self._start_wanted = self.checks.checking and not unchecked
        if self._start_wanted:
            return
        wrong = self._wrong() if not unchecked else ""
        if wrong:
            self.tell(wrong, "error")
        else:
            self.start_draft(unchecked=unchecked)

    def _wrong(self) -> str:
        """Goes to the first thing to mend and says what it is; "" where there is none."""
        for place in [row.place for row in self.form.rows if row.place in self.checks.faults]:
            self.action_go(1)
            self.form.go_to(place)
            return f"{place[0]}.{place[1]}: {self.checks.faults[place]}"
        if self.checks.lines:
            return self.checks.lines[0]
        data = self.checks.shapes.get("data", {})
        if data.get("state") == "wrong":
            self.action_go(1)
            self.form.go_to(("data", NAME))
            return str(data["message"])
        if self.checks.shape_error:
            self.action_go(2)
        return self.checks.shape_error

    def starting_changed(self) -> None:
        """Says so while it starts."""
        self.header.clock = "starting …" if self.starting else ""

    def action_text(self) -> None:
        """The same as a command and as TOML."""
        self.show_text()

    def action_save(self) -> None:
        """Saves as a preset."""
        self.save_draft()

    def action_preset(self) -> None:
        """Begins from another preset."""
        self.choose_preset()

    def action_restart(self) -> None:
        """Starts the engine again."""
        self.engine.restart()
        if self.catalogue is None:
            self.architectures.show_notice(LOADING)
            self.checks.ask_catalogue()
        elif self.draft is not None:
            self.checks.ask(self.draft, again=True)

    # What is under the cursor.

    def panel_changed(self) -> None:
        """Another panel has the focus."""
        self._tell_about()

    @on(ArchitectureTree.Looked)
    @on(ShapeTable.Looked)
    @on(LineList.Highlighted, "Form")
    def _tell_about(self) -> None:
        """Two lines about what is under the cursor of the active panel."""
        if self.catalogue is None or self.draft is None:
            return
        here, row, layer = self.architectures.lines.here, self.form.current, self.table.lines.here
        texts: tuple[str, ...] = ()
        if self.active == 0 and here is not None and here.builder is not None:
            texts = about_model(self.catalogue, here.builder, name_of(self.catalogue, self.draft, "data"))
        elif self.active == 1 and row is not None:
            texts = about_row(row)
        elif self.active == 2 and layer is not None and not layer.tone:
            texts = about_layer(layer)
        about = self.query_one("#about", Static)
        text = "\n".join(texts)
        if text != str(about.content):
            about.update(text)
