"""A new run: pick an architecture and data, set what matters, see every shape follow, start.

The screen holds a draft and shows what others know about it: the catalogue and every check come from the
engine process. Without an engine the draft can still be saved and started; the worker checks it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Static

from dlcore.text_safety import safe_text
from tui.about_text import about_layer, about_model, about_row
from tui.catalogue import Catalogue, builder
from tui.draft_checks import Checks
from tui.engine_client import EngineClient, shared
from tui.fixes import Fix, fixes
from tui.form_rows import NAME, form_rows, name_of
from tui.messages import EngineAnswered
from tui.screens.draft_editing import DraftEditing
from tui.screens.panels import PanelScreen
from tui.shape_rows import shapes
from tui.widgets.form import Form
from tui.widgets.frame import Frame
from tui.widgets.line_list import LineList
from tui.widgets.shape_table import ShapeTable
from tui.widgets.tab_line import TabLine
from tui.widgets.tree import ArchitectureTree

LOADING = "Starting the engine: a few seconds the first time."
EMPTY = "The shapes of every layer will be here."
REMEDY = "f5 asks again, ctrl+r starts the run in any case."
LOW = 16  # lines below which there is room for the panel only
ARCHITECTURE, SETTINGS, SHAPES = range(3)  # panels


class NewRunScreen(PanelScreen, DraftEditing):
    """Three panels over one draft.

    Args:
        preset: name or path of what to begin from; None for a blank one.
        engine: who is asked; the app's own when left out.
        changes: overrides of the preset to begin with.
    """

    WHERE = "new run"
    AUTO_FOCUS = ""
    KEYS = ("new.start", "new.text", "new.save", "new.preset", "panels.next")
    DEFAULT_CSS = """
    NewRunScreen {
        #architecture { width: 28; }
        #settings { width: 5fr; min-width: 36; max-width: 64; }
        #shapes { width: 6fr; }
        #about { height: 2; padding: 0 1; color: $foreground 80%; }
        &.-narrow #settings { width: 1fr; max-width: 100%; }
        &.-low #about { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "start", "Start", id="new.start", tooltip="Start training this"),
        Binding("ctrl+t", "text", "TOML", id="new.text", tooltip="As a command and as a preset, to copy"),
        Binding("ctrl+s", "save", "Save", id="new.save", tooltip="Save as a preset"),
        Binding("ctrl+o", "preset", "Preset", id="new.preset", tooltip="Begin from a preset"),
        Binding("ctrl+f,f", "fix(0)", "Fix", id="new.fix", key_display="ctrl+f",
                tooltip="Make the network fit: a change that has been tried"),
        Binding("f5", "ask_again", "Ask again", id="new.ask-again", tooltip="Ask the engine once more"),
    ]  # fmt: skip

    def __init__(
        self, preset: str | None = None, engine: EngineClient | None = None, changes: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self._preset, self._changes = preset, changes
        self.engine = engine or shared()
        self.checks = Checks(self.engine, self.post_message)
        self._start_wanted = False  # once the latest edit has been judged

    def compose_body(self) -> ComposeResult:
        """Tab line, panels, two lines about what is under the cursor."""
        self.place_panels(self.app.size)
        yield TabLine(("Architecture", "Settings", "Shapes"))
        with Horizontal(id="panels"):
            with Frame(title="Architecture", id="architecture", classes="-active"):
                yield ArchitectureTree()
            with Frame(title="Settings", id="settings"):
                yield Form()
            with Frame(title="Shapes", id="shapes"):
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

    def place_panels(self, size: Size) -> None:
        """The lines about what is under the cursor go where there is no room."""
        super().place_panels(size)
        self.set_class(size.height < LOW, "-low")

    def key_ids(self) -> Sequence[str]:
        """What helps comes first where something is wrong."""
        first = ("new.ask-again",) if self.checks.errors else ("new.fix",) if self.fixes else ()
        return (*first, *self.KEYS)

    def panel_targets(self) -> Sequence[Widget]:
        """What takes the focus in each panel."""
        return self.architectures.lines, self.form, self.table.lines

    # Coming and going.

    def on_mount(self) -> None:
        """Reads the preset and asks for the catalogue; both come as they can."""
        self.architectures.show_notice(LOADING)
        self.table.show_notice(EMPTY)
        self.open_draft(self._preset, self._changes)
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
        self.everything = False
        self._begin()

    def _begin(self) -> None:
        """Shows the draft once it and the catalogue are there."""
        if self.catalogue is None and self.checks.catalogue is not None:
            self.catalogue = Catalogue.read(self.checks.catalogue)
        if self.catalogue is not None and self.draft is not None:
            self.draft_edited()
            if self.focused is None:
                self.action_go(ARCHITECTURE)

    def action_back(self) -> None:
        """Leaves; asks where something would be lost."""
        self.leave()

    # The draft and what is said about it.

    def draft_edited(self) -> None:
        """Shows the draft as it is and has it judged."""
        assert self.draft is not None
        self.show_draft()
        self.checks.ask(self.draft)

    def show_draft(self) -> None:
        """The draft in the tree, the form and the header."""
        if self.catalogue is None or self.draft is None:
            return
        faults = self.checks.faults
        self.form.show(form_rows(self.catalogue, self.draft, everything=self.everything, shown=faults))
        model = name_of(self.catalogue, self.draft, "model")
        self.architectures.show(list(self.catalogue.builders["model"].values()), model)
        self.panels[ARCHITECTURE].frame_state = safe_text(model, limit=60)
        begun = f"from {safe_text(self.draft.source, limit=60)}" if self.draft.source else "from scratch"
        self.header.facts = (begun, "changed") if self.draft.changed else (begun,)

    @on(EngineAnswered)
    def _answered(self, message: EngineAnswered) -> None:
        news = self.checks.take(message)
        if not news:
            return
        if news == "catalogue":
            self._begin()
            if self.checks.errors:
                self.architectures.show_notice("\n".join([*self.checks.errors, "", REMEDY]), error=True)
        elif news == "faults":
            self._show_faults()
        else:
            self._show_shapes()
        self.refresh_bindings()
        if self._start_wanted:
            self.action_start()

    def _show_faults(self) -> None:
        if self.catalogue is not None:
            for section, entry in self.checks.entries.items():
                self.catalogue = self.catalogue.with_own(section, builder(entry))
        self.show_draft()
        faults = self.checks.faults
        self.form.show_errors(faults)
        frame = self.panels[SETTINGS]
        frame.frame_tone = "error" if faults else ""
        frame.frame_state = f"{len(faults)} to mend" if faults else ""
        self._mark()

    def _show_shapes(self) -> None:
        answer, frame = self.checks.shapes, self.panels[SHAPES]
        if self.checks.errors:
            self.table.show_notice("\n".join([*self.checks.errors, "", REMEDY]), error=True)
            frame.frame_state, frame.frame_tone = "", "error"
        elif answer:
            self.table.show(answer)
            failed, late = answer.get("state") == "failed", self.checks.outdated
            inputs = shapes(answer.get("inputs", ()))
            told = f"input {inputs}" if inputs else ""
            frame.frame_tone = "error" if failed else "warning" if late else ""
            frame.frame_state = "does not fit" if failed else "before the error" if late else told
            self.header.device = safe_text((answer.get("device") or {}).get("name", ""), limit=40)
        self._mark()

    def _mark(self) -> None:
        failed = self.checks.shapes.get("state") == "failed" or bool(self.checks.errors)
        self.query_one(TabLine).marks = ("", "✗" if self.checks.faults else "", "✗" if failed else "")

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The engine is asked again only after it could not answer; only what does not fit is mended."""
        if action == "ask_again":
            return bool(self.checks.errors)
        if action == "fix":
            return bool(self.fixes)
        return super().check_action(action, parameters)

    def action_start(self) -> None:
        """Starts the run, or goes to what must be mended first."""
        if self.starting:
            return
        unchecked = bool(self.checks.errors)
        unjudged = self.catalogue is None or self.checks.checking
        self._start_wanted = self.draft is None or (unjudged and not unchecked)
        self.starting_changed()
        if self._start_wanted:
            return
        wrong = "" if unchecked else self._go_to_what_is_wrong()
        if wrong:
            self.tell(wrong, "error")
        else:
            self.start_draft(unchecked=unchecked)

    def _go_to_what_is_wrong(self) -> str:
        """What is to be mended first, in a sentence; "" where there is nothing."""
        faults, data = self.checks.faults, self.checks.shapes.get("data", {})
        place = next((row.place for row in self.form.rows if row.place in faults), None)
        if place is None and not self.checks.lines and data.get("state") == "wrong":
            faults = {("data", NAME): safe_text(data["message"])}
            place = ("data", NAME)
        if place is not None:
            self.action_go(SETTINGS)
            self.form.go_to(place)
            return f"{place[0]}.{place[1]}: {faults[place]}"
        if self.checks.lines:
            return self.checks.lines[0]
        if self.checks.shape_error:
            self.action_go(SHAPES)
        return self.checks.shape_error

    def starting_changed(self) -> None:
        """Says so while it starts, or will as soon as it has been checked."""
        self.header.clock = "starting …" if self.starting else "checking …" if self._start_wanted else ""

    def action_text(self) -> None:
        """The same as a command and as TOML."""
        self.show_text()

    def action_save(self) -> None:
        """Saves as a preset."""
        self.save_draft()

    def action_preset(self) -> None:
        """Begins from another preset."""
        self.choose_preset()

    def action_ask_again(self) -> None:
        """Asks the engine once more, started again if need be."""
        self.engine.restart()
        if self.catalogue is None:
            self.architectures.show_notice(LOADING)
            self.checks.ask_catalogue()
        elif self.draft is not None:
            self.checks.ask(self.draft, again=True)

    @property
    def fixes(self) -> Sequence[Fix]:
        """What would make the network fit, the best first."""
        return () if self.checks.errors else fixes(self.checks.shapes)

    @on(ShapeTable.FixWanted)
    def _fix_wanted(self, message: ShapeTable.FixWanted) -> None:
        self.action_fix(message.number)

    def action_fix(self, number: int) -> None:
        """Changes the draft so that it fits; a change of the user's own file is only shown."""
        if self.draft is None or number >= len(self.fixes):
            return
        fix = self.fixes[number]
        if fix.values:
            self.draft.mend(fix.values)
            self.tell(f"Mended: {fix.say}")
            self.draft_edited()
        else:
            from tui.screens.fix_text import FixText

            self.app.push_screen(FixText(fix))

    def go_to_architectures(self) -> None:
        """The model is picked in the tree."""
        self.action_go(ARCHITECTURE)

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
        if self.active == ARCHITECTURE and here is not None and here.builder is not None:
            texts = about_model(self.catalogue, here.builder, name_of(self.catalogue, self.draft, "data"))
        elif self.active == SETTINGS and row is not None:
            texts = about_row(row)
        elif self.active == SHAPES and layer is not None and not layer.tone:
            texts = about_layer(layer)
        about, text = self.query_one("#about", Static), "\n".join(texts)
        if text != str(about.content):
            about.update(text)
