"""Inside the network: its layers, how the gradient flows, and any of their tensors, at any look that was taken.

The slider goes through the looks; a pinned one stands beside the one that is shown. Arrays are read in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.events import Resize
from textual.widget import Widget

from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from dlcore.text_safety import safe_text
from tui import calculation, heat, inspection, inspector_views, words
from tui.engine_client import EngineClient, shared
from tui.folder_follower import FolderFollower, FolderRead
from tui.inspection import Inspection
from tui.inspector_views import VIEWS, Choice, View
from tui.screens.panels import PanelScreen
from tui.widgets.calculator import Calculator, Prompt
from tui.widgets.frame import Frame
from tui.widgets.gauge import Part
from tui.widgets.layer_list import LayerList
from tui.widgets.line_list import LineList
from tui.widgets.page import Line, Page
from tui.widgets.slider import Slider
from tui.widgets.tab_line import TabLine

if TYPE_CHECKING:
    from tui.inspection import Array

EMPTY = "No look inside yet. They come by themselves at the first, best and last step; i asks for one now."
OVER = "No look inside this network was kept. Train with inspection.every_epochs = 1, or press i while a run trains."
ASKED = "Asked for a look: it comes after the step that is running."
DAMAGED = "This look cannot be read. [ and ] go to others."
GAP = 3
TYPED = "calculator"  # key of the preferences: the lines typed into the calculator
SIDE_BY_SIDE = 60  # columns of the view from which two steps stand beside each other


class InspectorScreen(PanelScreen):
    """Looks of one run.

    Args:
        path: of the run directory.
        engine: works the shape calculator's lines out; the app's own when left out.
    """

    HELP_TITLE = "Inspector"
    WHERE = "inspector"
    KEYS = (
        "inspector.earlier",
        "inspector.later",
        "inspector.pin",
        "inspector.calculate",
        "panels.next",
        "back",
    )
    DEFAULT_CSS = """
    InspectorScreen {
        #panels { layout: grid; grid-size: 2 3; grid-columns: 1fr 1fr; grid-rows: 3fr 2fr auto; }
        #view, #flow { row-span: 2; }
        #calculator { height: auto; }
        &.-pinned #panels { grid-columns: 2fr 5fr; }
        &.-narrow #panels { grid-size: 1 1; grid-columns: 1fr; grid-rows: 1fr; }
        &.-narrow #view, &.-narrow #flow { row-span: 1; }
        &.-narrow #calculator, &.-narrow Calculator { height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket", "turn(-1)", "Earlier", key_display="[", id="inspector.earlier",
                tooltip="The look before this one"),
        Binding("right_square_bracket", "turn(1)", "Later", key_display="]", id="inspector.later",
                tooltip="The look after this one"),
        Binding("equals_sign", "go(3)", "Calculate", key_display="=", id="inspector.calculate",
                tooltip="Work shapes out: layers in a row, tensors, gradients"),
        Binding("4", "go(3)", "Panel 4", id="panels.4", tooltip="To the shape calculator", show=False),
        Binding("c", "pin", "Compare", id="inspector.pin", tooltip="Keep this step beside the others, or no longer"),
        *(Binding(key, f"view('{view}')", view.capitalize(), id=f"inspector.{view}", show=False,
                  tooltip=f"{view.capitalize()} of the marked layer") for view, key in VIEWS),
        Binding("i", "look", "Inspect", id="inspector.look", show=False,
                tooltip="Look inside the network now, while it trains"),
        Binding("t", "numbers", "Numbers", id="inspector.numbers", tooltip="Values as numbers, or as colours",
                show=False),
        Binding("x", "axes", "Axes", id="inspector.axes", tooltip="Show other axes of the tensor", show=False),
        Binding("comma", "index(0, -1)", "Sample back", key_display=",", id="inspector.sample-back",
                tooltip="The sample before, or one back on the first axis that is not shown", show=False),
        Binding("full_stop", "index(0, 1)", "Sample on", key_display=".", id="inspector.sample-on",
                tooltip="The next sample, or one further on the first axis that is not shown", show=False),
        Binding("semicolon", "index(1, -1)", "Index back", key_display=";", id="inspector.index-back",
                tooltip="One back on the second axis that is not shown", show=False),
        Binding("colon", "index(1, 1)", "Index on", key_display=":", id="inspector.index-on",
                tooltip="One further on the second axis that is not shown", show=False),
    ]  # fmt: skip

    def __init__(self, path: Path, engine: EngineClient | None = None) -> None:
        super().__init__()
        self.run = RunDir(path)
        self.engine = engine or shared()
        self.choice = Choice()
        self.look = Inspection()
        self.pinned: tuple[str, Inspection] | None = None
        self.file = ""
        self.files: tuple[str, ...] = ()
        self._arrays: dict[tuple[str, str], Array | None] = {}
        self.settled = False
        folder = self.run.inspections_path
        self._follower = FolderFollower(self.post_message, self.run, folder, inspection.read)

    def compose_body(self) -> ComposeResult:
        """Slider, tab line, layers, view, gradient flow, shape calculator."""
        self.place_panels(self.app.size)
        yield Slider()
        yield TabLine(("Layers", "View", "Gradient flow", "Calculator"))
        with Container(id="panels"):
            with Frame(title="Layers", id="layers", classes="-active"):
                yield LayerList()
            with Frame(title="Statistics", id="view"):
                yield Page(id="view-page")
            with Frame(title="Gradient flow", id="flow"):
                yield Page(id="flow-page")
            with Frame(title="Shape calculator", id="calculator"):
                yield Calculator(self.engine, calculation.remembered(self.dltui.preferences.get(TYPED, [])))

    @property
    def _empty(self) -> str:
        """Why there is nothing, and what to do."""
        return EMPTY if self.run.is_locked() else OVER

    @property
    def layer_list(self) -> LayerList:
        """The layers."""
        return self.query_one(LayerList)

    @property
    def calculator(self) -> Calculator:
        """The shape calculator."""
        return self.query_one(Calculator)

    def key_ids(self) -> Sequence[str]:
        """What turns a tensor, where one is shown."""
        if not self.files:
            return ("inspector.look", "inspector.calculate", "panels.next", "back")
        if self.choice.view in ("statistics", "embedding"):
            return self.KEYS
        return ("inspector.sample-on", "inspector.numbers", "inspector.axes", *self.KEYS[:3])

    def panel_targets(self) -> Sequence[Widget]:  # noqa: D102
        pages = self.query_one("#view-page", Page), self.query_one("#flow-page", Page)
        return self.layer_list, *pages, self.calculator.prompt

    # Following.

    def on_mount(self) -> None:
        """Reads once the first paint is done."""
        self.header.where = words.fit(
            f"{words.short_run_name(safe_text(self.run.name, limit=80))} · inspector",
            max(20, self.size.width // 2),
        )
        self.query_one(Slider).told = "reading …"
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())
        self.call_after_refresh(self._follower.start)
        self.call_after_refresh(self.layer_list.focus)

    def on_screen_resume(self) -> None:
        """In front again."""
        self._follower.start()

    def on_screen_suspend(self) -> None:
        """Behind another screen nothing is read."""
        self._follower.stop()

    def on_unmount(self) -> None:
        """The thread ends with the screen."""
        self._follower.stop()

    @on(FolderRead)
    def _read(self, message: FolderRead) -> None:
        message.stop()
        if message.name != self.file:
            self._arrays = {
                key: array for key, array in self._arrays.items() if self.pinned and key[0] == self.pinned[0]
            }
        before, self.files, self.file = self.files, message.names, message.name
        if bool(before) != bool(self.files):
            self.refresh_bindings()  # other keys matter when there is something to see
        self.look = message.content or Inspection()
        damaged = bool(message.name) and message.content is None
        self.layer_list.show(self.look.rows)
        slider = self.query_one(Slider)
        slider.count, slider.at = (
            len(self.files),
            self.files.index(self.file) if self.file in self.files else 0,
        )
        slider.told = DAMAGED if damaged else told(self.look) if self.files else self._empty
        self.calculator.x = self.look.fed
        self.query_one("#calculator", Frame).frame_state = f"x: {self.look.fed}" if self.look.fed else ""
        troubles = sum(bool(row.trouble) for row in self.look.rows)
        frame = self.query_one("#layers", Frame)
        frame.frame_state, frame.frame_tone = (f"▲ {troubles}", "warning") if troubles else ("", "")
        self._show_flow()
        self.show()

    # What is shown.

    def show(self) -> None:
        """Draws the view; arrays that are missing are read first."""
        wanted = [(self.file, self.look)] + ([self.pinned] if self.pinned is not None else [])
        missing = []
        for name, look in wanted:
            array = inspector_views.array_for(look, self.choice)
            if array and (name, array) not in self._arrays:
                missing.append((name, array))
        self.settled = not missing
        if missing:
            self._load(missing)
        else:
            self._draw()

    @work(exclusive=True, group="arrays")
    async def _load(self, missing: list[tuple[str, str]]) -> None:
        for name, array in missing:
            path = self.run.inspections_path / name
            self._arrays[name, array] = await asyncio.to_thread(inspection.load, path, array)
        self.settled = True
        self._draw()

    def _draw(self) -> None:
        page, frame = self.query_one("#view-page", Page), self.query_one("#view", Frame)
        width, height = page.width, max(6, page.size.height)
        frame.frame_title = self._title()
        frame.frame_state = keys_told(self.choice.view, frame.size.width - words.cells(frame.frame_title))
        if self.pinned is None:
            page.show(self._lines(self.file, self.look, width, height))
            return
        if width >= SIDE_BY_SIDE:
            half = (width - GAP) // 2
            left = self._headed(*self.pinned, half, height)
            right = self._headed(self.file, self.look, half, height)
            page.show(beside(left, right, half))
        else:
            above = self._headed(*self.pinned, width, height // 2)
            page.show([*above, [], *self._headed(self.file, self.look, width, height // 2)])

    def _title(self) -> str:
        row = self.look.rows[self.choice.layer] if self.choice.layer < len(self.look.rows) else None
        whole = self.choice.view in ("filters", "embedding")
        if self.choice.view == "attention":
            array = inspector_views.array_for(self.look, self.choice)
            path = next((path for path, name in inspection.attention_names(self.look) if name == array), "")
            return f"Attention · {path}" if path else "Attention"
        return self.choice.view.capitalize() + (f" · {row.path}" if row is not None and not whole else "")

    def _headed(self, name: str, look: Inspection, width: int, height: int) -> list[Line]:
        return [[Part(words.fit(told(look), width), "strong")], *self._lines(name, look, width, height - 1)]

    def _lines(self, name: str, look: Inspection, width: int, height: int) -> list[Line]:
        array = self._arrays.get((name, inspector_views.array_for(look, self.choice)))
        palette = heat.on_theme(dark=self.app.current_theme.dark)
        return list(inspector_views.lines(look, self.choice, array, width, height, palette))

    def _show_flow(self) -> None:
        page = self.query_one("#flow-page", Page)
        here = self.look.rows[self.choice.layer].path if self.choice.layer < len(self.look.rows) else ""
        page.show(list(inspector_views.flow_lines(self.look, here, page.width)) if self.look.rows else [])

    @on(Page.Resized)
    def _page_resized(self) -> None:
        self._show_flow()
        self._draw()

    def on_resize(self, event: Resize) -> None:  # noqa: D102
        super().on_resize(event)
        self.query_one(Slider).refresh()

    @on(LineList.Highlighted)
    def _layer_marked(self, message: LineList.Highlighted) -> None:
        message.stop()
        self.choice = replace(self.choice, layer=max(0, message.index))
        self._show_flow()
        self.show()

    @on(LineList.Taken)
    def _layer_taken(self, message: LineList.Taken) -> None:
        message.stop()
        self.action_go(1)

    @on(Calculator.Remember)
    def _remember(self, message: Calculator.Remember) -> None:
        message.stop()
        self.dltui.preferences.set(TYPED, message.typed)

    @on(Prompt.Left)
    def _prompt_left(self, message: Prompt.Left) -> None:
        message.stop()
        self.action_go(0)

    # Keys.

    def action_look(self) -> None:
        """Asks the worker for a look now; where there is none, says so."""
        from dlcore import control

        if not self.run.is_locked():
            self.tell("This run is over: nobody can look inside its network now.", "warning")
            return
        try:
            control.send(self.run, "inspect")
        except (UserError, OSError) as error:
            self.tell(f"Nobody could be asked: {error}", "error")
        else:
            self.tell(ASKED)

    def action_turn(self, by: int) -> None:
        """The look of another time; behind the last one always the newest."""
        if not self.files:
            return
        at = self.files.index(self.file) + by if self.file in self.files else len(self.files) - 1
        at = min(max(at, 0), len(self.files) - 1)
        self._follower.choose("" if at == len(self.files) - 1 else self.files[at])

    def action_pin(self) -> None:
        """Keeps this step beside the others, or no longer."""
        self.pinned = None if self.pinned is not None else (self.file, self.look)
        self.set_class(self.pinned is not None, "-pinned")
        self.show()

    def action_view(self, view: View) -> None:
        """Another view of the marked layer."""
        self.choice = replace(self.choice, view=view, indices=(), turned=0)
        self.refresh_bindings()
        if self.has_class("-narrow"):
            self.action_go(1)
        self.show()

    def action_numbers(self) -> None:
        """Values as numbers, or as colours."""
        self.choice = replace(self.choice, numbers=not self.choice.numbers)
        self.show()

    def action_axes(self) -> None:
        """The axes moved on by one."""
        self.choice = replace(self.choice, turned=self.choice.turned + 1, indices=())
        self.show()

    def action_index(self, hidden: int, by: int) -> None:
        """One further along an axis that is not shown."""
        self.choice = self.choice.moved(hidden, by)
        self.show()


def keys_told(chosen: View, room: int) -> str:
    """The keys of the views, with their names where there is room; the chosen one in brackets."""
    named = [f"[{key} {view}]" if view == chosen else f"{key} {view}" for view, key in VIEWS]
    whole = "  ".join(named)
    if words.cells(whole) <= room - 8:
        return whole
    return " ".join(f"[{key}]" if view == chosen else key for view, key in VIEWS)


def told(look: Inspection) -> str:
    """``step 3,200 · best``."""
    step = f"step {words.count(look.step)}" if look.step is not None else "a look"
    return f"{step} · {look.why}" if look.why else step


def beside(left: Sequence[Line], right: Sequence[Line], width: int) -> list[Line]:
    """Two pages side by side, the left one filled up to its width."""
    page: list[Line] = []
    for at in range(max(len(left), len(right))):
        one = list(left[at]) if at < len(left) else []
        used = sum(words.cells(part.text) for part in one)
        other = list(right[at]) if at < len(right) else []
        page.append([*one, Part(" " * max(0, width - used + GAP)), *other])
    return page
