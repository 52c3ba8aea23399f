"""The New-run screen: every key, what follows an edit, what keeps a run from starting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.binding import Binding
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Input

from dlcore.errors import UserError
from tests.tui.piloting import NOW, until
from tests.tui.recorded_engine import RecordedEngine
from tui import draft_files
from tui.app import DltuiApp
from tui.messages import OpenRun
from tui.screens.dialogs import Confirm, Prompt
from tui.screens.new_run import NewRunScreen
from tui.screens.picker import Picker
from tui.screens.preset_text import PresetText
from tui.widgets import preset_list
from tui.widgets.form import Form
from tui.widgets.preset_list import Offer
from tui.widgets.tree import SearchLine, TreeLines

PRESET = """# A header that explains.
[about]
title = "Digits"
[data]
name = "digits"
[model]
name = "cnn"
channels = [16, 32]
[training]
epochs = 5
"""
OWN = """
from torch import nn


class Net(nn.Module):
    '''Two layers that do not fit.'''

    def __init__(self, spec, *, width: int = 32):
        super().__init__()
        self.conv1 = nn.Conv2d(spec.input_shape[0], width, 3, padding=1)
        self.pool1 = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(width * 49, 64)
        self.fc2 = nn.Linear(64, spec.num_outputs)

    def forward(self, inputs):
        features = self.pool1(self.conv1(inputs)).flatten(1)
        return self.fc2(self.fc1(features).relu())
"""


class Recorder(DltuiApp):
    """The app, with notices, copies and the opening of runs written down instead."""

    def __init__(self, runs: Path) -> None:
        super().__init__(runs, now=lambda: NOW)
        self.opened: list[Path] = []
        self.told: list[str] = []
        self.copied: list[str] = []

    def on_open_run(self, message: OpenRun) -> None:
        message.prevent_default()
        self.opened.append(message.path)

    def notify(self, message: str, **options: Any) -> None:
        assert options["markup"] is False
        self.told.append(message)

    def copy_to_clipboard(self, text: str) -> None:
        self.copied.append(text)


class Scene:
    """The screen, its app and its pilot."""

    def __init__(self, app: Recorder, screen: NewRunScreen, pilot: Pilot[None]) -> None:
        self.app, self.screen, self.pilot = app, screen, pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type_at(self, place: tuple[str, str], text: str) -> None:
        """Into a field, from its start."""
        self.screen.action_go(1)
        assert self.screen.form.go_to(place), place
        await self.press(*({" ": "space", ",": "comma", ".": "full_stop"}.get(sign, sign) for sign in text))

    async def until(self, condition: Callable[[], object]) -> None:
        await until(self.pilot, condition)

    @property
    def top(self) -> Any:
        return self.app.screen

    @property
    def focus(self) -> Any:
        return self.app.focused

    def values(self, section: str) -> dict[str, Any]:
        assert self.screen.draft is not None
        return self.screen.draft.values.get(section, {})


@asynccontextmanager
async def scene(
    runs: Path,
    preset: str | None = None,
    *,
    engine: RecordedEngine | None = None,
    size: tuple[int, int] = (120, 40),
) -> AsyncIterator[Scene]:
    """The screen with everything answered that the engine is willing to answer."""
    app = Recorder(runs)
    async with app.run_test(size=size) as pilot:
        asked = engine or RecordedEngine()
        screen = NewRunScreen(preset, asked)
        await app.push_screen(screen)
        late = "catalogue" in {*asked.silent, *asked.errors}
        await until(pilot, lambda: screen.draft is not None and (late or screen.catalogue is not None))
        yield Scene(app, screen, pilot)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was started, instead of starting it."""
    calls: list[dict[str, Any]] = []

    def start(draft: Any, runs: Path, **options: Any) -> Path:
        calls.append({"toml": draft.toml(), "runs": runs, "wait_ready": options["wait_ready"]})
        return runs / "made"

    monkeypatch.setattr(draft_files, "start", start)
    return calls


# Every key.


async def _starts(it: Scene) -> None:
    await it.until(lambda: it.app.opened)
    assert it.app.opened == [it.app.runs / "made"]
    assert not isinstance(it.top, NewRunScreen)


async def _shows_text(it: Scene) -> None:
    assert isinstance(it.top, PresetText)


async def _asks_for_a_file(it: Scene) -> None:
    await it.until(lambda: isinstance(it.top, Prompt))
    assert it.top.query_one(Input).value == "digits-cnn.toml"


async def _offers_presets(it: Scene) -> None:
    await it.until(lambda: isinstance(it.top, Picker))


async def _goes_back(it: Scene) -> None:
    await it.until(lambda: not isinstance(it.top, NewRunScreen))


def _focuses(widget: type[Any]) -> Callable[[Scene], Awaitable[None]]:
    async def check(it: Scene) -> None:
        assert isinstance(it.focus, widget)

    return check


def _folds(group: str, is_open: bool) -> Callable[[Scene], Awaitable[None]]:
    async def check(it: Scene) -> None:
        branches = it.screen.architectures.lines.branches
        assert next(branch for branch in branches if branch.group == group).open is is_open

    return check


def _chooses(model: str) -> Callable[[Scene], Awaitable[None]]:
    async def check(it: Scene) -> None:
        assert it.values("model")["name"] == model

    return check


async def _forgets(it: Scene) -> None:
    assert it.screen.query_one(SearchLine).value == "" and isinstance(it.focus, TreeLines)
    assert len(it.screen.architectures.lines.branches) > 5


async def _asked_again(it: Scene) -> None:
    engine = it.screen.engine
    assert isinstance(engine, RecordedEngine) and engine.restarts == 1


SEARCH = ("slash", *"resnet")
CASES: dict[str, tuple[tuple[str, ...], Callable[[Scene], Awaitable[None]]]] = {
    "new.start": (("ctrl+r",), _starts),
    "new.text": (("ctrl+t",), _shows_text),
    "new.save": (("ctrl+s",), _asks_for_a_file),
    "new.preset": (("ctrl+o",), _offers_presets),
    "new.ask-again": (("f5",), _asked_again),
    "back": (("escape",), _goes_back),
    "panels.next": (("tab",), _focuses(Form)),
    "panels.back": (("tab", "shift+tab"), _focuses(TreeLines)),
    "panels.1": (("tab", "1"), _focuses(TreeLines)),
    "panels.2": (("2",), _focuses(Form)),
    "panels.3": (("3",), _focuses(type(None))),
    "tree.take": (("up", "up", "up", "enter"), _chooses("mlp")),
    "tree.close": (("left",), _folds("images", False)),
    "tree.open": (("left", "right"), _folds("images", True)),
    "tree.search": (("slash",), _focuses(SearchLine)),
    "search.down": ((*SEARCH, "down", "enter"), _chooses("resnet")),
    "search.clear": ((*SEARCH, "escape"), _forgets),
}


def _own_bindings(*kinds: type[Any]) -> set[str]:
    found = {
        binding.id
        for kind in kinds
        for binding in vars(kind).get("BINDINGS", ())
        if isinstance(binding, Binding)
    }
    assert None not in found
    return {str(name) for name in found}


def test_every_key_has_a_case() -> None:
    from tui.screens.base import AppScreen
    from tui.screens.panels import PanelScreen
    from tui.widgets.tree import ArchitectureTree

    kinds = (NewRunScreen, PanelScreen, AppScreen, ArchitectureTree, TreeLines, SearchLine)
    assert _own_bindings(*kinds) - {"new.fix"} == set(CASES)  # that one has tests of its own


@pytest.mark.parametrize("name", CASES)
async def test_key(name: str, home: Path, started: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preset_list, "offers", lambda: [Offer("digits-cnn", "Digits", 2)])
    broken = {"shapes": ["It broke."]} if name in ("new.ask-again", "panels.3") else None
    async with scene(home, engine=RecordedEngine(broken)) as it:
        keys, check = CASES[name]
        if name == "panels.3":
            it.screen.table.lines.can_focus = True
            check = _in_sight_without_a_table
        await it.until(lambda: it.screen.architectures.lines.here is not None)
        await it.press(*keys)
        await check(it)


async def _in_sight_without_a_table(it: Scene) -> None:
    """There is nothing to focus in an empty panel, and it is the active one all the same."""
    assert it.screen.active == 2


async def test_the_third_panel_takes_the_keys_where_it_has_rows(home: Path) -> None:
    async with scene(home) as it:
        await it.press("3", "down", "enter")
        assert it.focus is it.screen.table.lines and it.screen.table.lines.cursor == 1


# Following edits.


async def test_an_edit_reaches_the_shapes(home: Path) -> None:
    async with scene(home) as it:
        await it.type_at(("model", "channels"), "8,16")
        await it.until(lambda: it.screen.checks.shapes["totals"]["parameters"] < 20_000)
        lines = it.screen.table.lines
        assert any("64×16×4×4" in lines.render_line(y).text for y in range(12))


async def test_what_is_wrong_stands_under_its_field_and_the_table_stays(home: Path) -> None:
    def shown(it: Scene) -> list[str]:
        lines = it.screen.table.lines
        return [lines.row_cells(at, 40, False)[0].text.strip() for at in range(lines.row_count)]

    async with scene(home) as it:
        before = shown(it)
        await it.type_at(("model", "channels"), "x")
        assert it.screen.form.errors[("model", "channels")].startswith("entry 1: must be a whole number")
        assert it.screen.panels[1].frame_state == "1 to mend"
        assert it.screen.panels[2].frame_state == "before the error"
        assert shown(it)[: len(before)] == before
        assert any("✗ cnn cannot be built" in row for row in shown(it))
        await it.press("ctrl+d")
        assert not it.screen.form.errors and it.screen.panels[2].frame_state == "input 64×1×8×8"


async def test_a_failure_below_a_long_table_comes_into_sight(home: Path) -> None:
    async with scene(home) as it:
        answer = dict(it.screen.checks.shapes)
        lines = it.screen.table.lines
        failure = {
            "path": "last", "type": "Linear", "kind": "shape", "inputs": [[4, 3]], "message": "needs 5", "source": "",
        }  # fmt: skip
        fixes = [
            {"say": "model.hidden = 5", "why": "", "set": {"model": {"hidden": 5}}, "diff": "", "file": ""}
        ]
        long = {**answer, "rows": answer["rows"] * 9, "state": "failed", "failure": failure, "fixes": fixes}

        def shown() -> str:
            return "\n".join(lines.render_line(y).text for y in range(lines.size.height))

        it.screen.table.show(long)
        await it.until(lambda: "✗ last" in shown() and "model.hidden = 5" in shown())
        it.screen.table.show(answer)
        await it.until(lambda: lines.cursor == 0 and "✗" not in shown())


async def test_only_what_the_shapes_depend_on_has_them_traced_again(home: Path) -> None:
    async with scene(home) as it:
        engine = it.screen.engine
        assert isinstance(engine, RecordedEngine)
        before = engine.asked.count("shapes")
        await it.type_at(("training", "epochs"), "3")
        assert engine.asked[-1] == "validate" and engine.asked.count("shapes") == before


async def test_late_answers_are_passed_over(home: Path) -> None:
    async with scene(home) as it:
        shapes = it.screen.checks.shapes
        from tui.messages import EngineAnswered

        it.screen.post_message(EngineAnswered(1, "shapes", {"state": "wrong", "problems": ["late"]}))
        await it.pilot.pause()
        assert it.screen.checks.shapes is shapes


async def test_a_model_brings_along_data_that_it_can_take(home: Path) -> None:
    async with scene(home, preset=_file(home, PRESET.replace("digits", "iris").replace("cnn", "mlp"))) as it:
        await it.press("slash", *"resnet", "enter")
        assert it.values("data") == {"name": "digits"}
        assert it.app.told == ["The data is digits now: resnet takes images."]


async def test_options_of_a_model_come_back_with_it(home: Path) -> None:
    async with scene(home, preset=_file(home, PRESET)) as it:
        for model in ("mlp", "cnn"):
            await it.press("1", "slash", *model, "enter", "slash", "escape")
        assert it.values("model") == {"name": "cnn", "channels": [16, 32]}


async def test_a_field_steps_through_what_goes_with_the_rest(home: Path) -> None:
    async with scene(home) as it:
        it.screen.action_go(1)
        it.screen.form.go_to(("optimizer", "name"))
        await it.press("left")
        assert it.values("optimizer") == {"name": "adam"}
        await it.press("right")
        assert it.values("optimizer") == {}


async def test_more_settings_unfold_and_fold(home: Path) -> None:
    async with scene(home) as it:
        places = [row.place for row in it.screen.form.rows]
        assert ("training", "ema") not in places
        it.screen.action_go(1)
        await it.press("ctrl+end", "enter")
        assert ("training", "ema") in [row.place for row in it.screen.form.rows]
        await it.press("enter")
        assert [row.place for row in it.screen.form.rows] == places


async def test_hidden_settings_that_a_preset_chooses_are_shown_with_what_they_belong_to(home: Path) -> None:
    text = PRESET.replace("epochs = 5", "ema = 0.9") + "[task]\nlabel_smoothing = 0.1\n"
    async with scene(home, preset=_file(home, text)) as it:
        places = [row.place for row in it.screen.form.rows]
        assert {("training", "ema"), ("task", "name"), ("task", "label_smoothing")} <= set(places)
        assert places.index(("task", "name")) < places.index(("task", "label_smoothing"))


async def test_a_key_that_nobody_knows_can_be_taken_out(home: Path) -> None:
    text = PRESET.replace("channels", "chanels")
    async with scene(home, preset=_file(home, text)) as it:
        it.screen.action_go(1)
        assert "did you mean 'channels'" in it.screen.form.errors[("model", "chanels")]
        assert it.screen.form.go_to(("model", "chanels"))
        await it.press("ctrl+d")
        assert it.values("model") == {"name": "cnn"} and not it.screen.form.errors


async def test_data_that_does_not_fit_is_dimmed_and_cannot_be_picked(home: Path) -> None:
    async with scene(home) as it:
        it.screen.action_go(1)
        it.screen.form.go_to(("data", "name"))
        await it.press("enter")
        await it.until(lambda: isinstance(it.top, Picker))
        await it.press(*"iris")
        assert it.top.query_one("ItemList").here.against == "cnn takes images, this has rows of numbers"
        await it.press("enter")
        assert isinstance(it.top, Picker)
        await it.press(*["backspace"] * 4, *"fashion", "enter")
        await it.until(lambda: isinstance(it.top, NewRunScreen))
        assert it.values("data") == {"name": "fashion"}


async def test_the_users_own_model_can_be_named(home: Path) -> None:
    (home.parent / "net.py").write_text(OWN)
    async with scene(home) as it:
        await it.press("end", "enter")
        await it.until(lambda: isinstance(it.top, Prompt))
        await it.press(*"nonsense", "enter")
        assert isinstance(it.top, Prompt)
        it.top.query_one(Input).value = "net.py:Net"
        await it.press("enter")
        await it.until(lambda: it.screen.checks.shapes.get("state") == "failed")
        assert [row.place for row in it.screen.form.rows if row.place[0] == "model"][1] == ("model", "width")
        assert it.screen.architectures.lines.here.builder.name == "net.py:Net"
        assert it.screen.panels[2].frame_state == "does not fit"


# Presets, text, files.


def _file(home: Path, text: str) -> str:
    """A preset in the working folder."""
    (home.parent / "mine.toml").write_text(text)
    return "mine.toml"


async def test_a_preset_is_where_it_begins(home: Path) -> None:
    async with scene(home, preset=_file(home, PRESET)) as it:
        await it.until(lambda: it.screen.form.rows)
        texts = {row.place: row.text for row in it.screen.form.rows if row.chosen}
        assert texts[("model", "channels")] == "16, 32" and texts[("training", "epochs")] == "5"
        assert it.screen.header.facts == ("from mine.toml",)


@pytest.mark.parametrize("source", ["no-such-preset", "missing.toml", "damaged.toml"])
async def test_a_preset_that_cannot_be_read_is_told_and_a_blank_one_is_there(source: str, home: Path) -> None:
    (home.parent / "damaged.toml").write_text("[model\n")
    async with scene(home, preset=source) as it:
        assert len(it.app.told) == 1 and source.partition(".")[0] in it.app.told[0]
        assert it.values("model") == {"name": "cnn"}


async def test_another_preset_is_picked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(home, PRESET)
    monkeypatch.setattr(preset_list, "offers", lambda: [Offer(path, "Digits", 2)])
    async with scene(home) as it:
        await it.press("ctrl+o")
        await it.until(lambda: isinstance(it.top, Picker))
        await it.press("enter")
        await it.until(lambda: it.values("model").get("channels") == [16, 32])


async def test_a_preset_of_ones_own_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preset_list, "offers", lambda: [])
    path = _file(home, PRESET)
    async with scene(home) as it:
        await it.press("ctrl+o")
        await it.until(lambda: isinstance(it.top, Picker))
        await it.press("enter")
        await it.until(lambda: isinstance(it.top, Prompt))
        it.top.query_one(Input).value = path
        await it.press("enter")
        await it.until(lambda: it.values("model").get("channels") == [16, 32])


async def test_leaving_asks_where_changes_would_be_lost(home: Path) -> None:
    async with scene(home) as it:
        await it.type_at(("training", "epochs"), "3")
        await it.press("escape")
        await it.until(lambda: isinstance(it.top, Confirm))
        await it.press("n", "escape")
        await it.until(lambda: isinstance(it.top, Confirm))
        await it.press("y")
        await it.until(lambda: it.screen not in it.app.screen_stack)


async def test_saving_writes_the_preset_and_goes_on_from_it(home: Path) -> None:
    async with scene(home) as it:
        await it.type_at(("training", "epochs"), "3")
        await it.press("ctrl+s")
        await it.until(lambda: isinstance(it.top, Prompt))
        it.top.query_one(Input).value = str(home.parent / "saved")
        await it.press("enter")
        await it.until(lambda: it.app.told)
        written = (home.parent / "saved.toml").read_text()
        assert "epochs = 3" in written
        assert it.screen.draft is not None and not it.screen.draft.changed
        assert it.app.told == [f"Saved: dltui run {home.parent / 'saved.toml'}"]


async def test_saving_over_a_file_asks_first(home: Path) -> None:
    path = Path(_file(home, "precious"))
    async with scene(home) as it:
        for answer in ("n", "y"):
            await it.press("ctrl+s")
            await it.until(lambda: isinstance(it.top, Prompt))
            it.top.query_one(Input).value = str(path)
            await it.press("enter")
            await it.until(lambda: isinstance(it.top, Confirm))
            assert path.read_text() == "precious"
            await it.press(answer)
        await it.until(lambda: path.read_text().startswith("[data]"))


async def test_what_cannot_be_written_is_told(home: Path) -> None:
    async with scene(home) as it:
        await it.press("ctrl+s")
        await it.until(lambda: isinstance(it.top, Prompt))
        it.top.query_one(Input).value = "/proc/mine.toml"
        await it.press("enter")
        await it.until(lambda: it.app.told)
        assert "/proc/mine.toml cannot be written" in it.app.told[0]


TEXT_CASES = {
    "text.copy": "c",
    "text.command": "m",
    "text.complete": "f",
    "text.save": "ctrl+s",
    "text.leave": "q",
    "text.down": "down",
    "text.up": "up",
    "text.page-down": "pagedown",
    "text.page-up": "pageup",
}


def test_every_key_of_the_text_has_a_case() -> None:
    assert _own_bindings(PresetText) == set(TEXT_CASES)


@pytest.mark.parametrize("name", TEXT_CASES)
async def test_key_of_the_text(name: str, home: Path) -> None:
    async with scene(home, size=(80, 24)) as it:
        await it.press("ctrl+t")
        text = it.top
        assert isinstance(text, PresetText)
        page = text.query_one("VerticalScroll")
        if name in ("text.down", "text.up", "text.page-down", "text.page-up"):
            await it.press("f", *(["down"] * 30 if "up" in name else []))
            before = page.scroll_y
            await it.press(TEXT_CASES[name])
            assert (page.scroll_y > before) is ("down" in name)
            return
        await it.press(TEXT_CASES[name])
        if name == "text.copy":
            assert it.app.copied == ['[data]\nname = "digits"\n\n[model]\nname = "cnn"\n']
        elif name == "text.command":
            assert it.app.copied == ["dltui run digits-cnn.toml"]
        elif name == "text.complete":
            assert "weight_decay = 0.01" in text.text
            await it.press("f")
            assert "weight_decay" not in text.text
        elif name == "text.save":
            await it.until(lambda: isinstance(it.top, Prompt))
        else:
            assert it.top is it.screen


async def test_defaults_of_a_wrong_draft_cannot_be_spelled_out(home: Path) -> None:
    async with scene(home) as it:
        await it.type_at(("model", "channels"), "x")
        await it.press("ctrl+t", "f")
        assert it.top.text.startswith("[data]") and "complete" not in it.top.text
        assert "mended" in str(it.top.query_one(".hint").content)


async def test_the_pickers_keys_move(home: Path) -> None:
    async with scene(home) as it:
        it.screen.action_go(1)
        it.screen.form.go_to(("model", "activation"))
        await it.press("enter")
        await it.until(lambda: isinstance(it.top, Picker))
        here = []
        for key in ("down", "up", "pagedown", "pageup"):
            await it.press(key)
            here.append(it.top.query_one("ItemList").here.value)
        assert here == ["leaky_relu", "relu", "sigmoid" if "sigmoid" in here else here[2], "relu"]
        await it.press("escape")
        assert it.top is it.screen


# Starting.


async def test_a_run_starts_with_the_draft(home: Path, started: list[dict[str, Any]]) -> None:
    async with scene(home) as it:
        await it.type_at(("training", "epochs"), "3")
        await it.press("ctrl+r")
        await it.until(lambda: it.app.opened)
        (call,) = started
        assert "epochs = 3" in call["toml"] and call["runs"] == home and call["wait_ready"] is False


async def test_a_fault_keeps_it_from_starting_and_is_gone_to(home: Path, started: list[Any]) -> None:
    async with scene(home) as it:
        await it.type_at(("model", "channels"), "x")
        await it.press("3", "ctrl+r")
        assert not started and it.app.told[0].startswith("model.channels: ")
        assert it.focus is it.screen.form
        assert it.screen.form.current is not None and it.screen.form.current.place == ("model", "channels")


async def test_a_mismatch_keeps_it_from_starting(home: Path, started: list[Any]) -> None:
    (home.parent / "net.py").write_text(OWN)
    text = PRESET.replace('"cnn"', '"net.py:Net"').replace("channels = [16, 32]\n", "")
    async with scene(home, preset=_file(home, text)) as it:
        await it.until(lambda: it.screen.checks.shapes)
        await it.press("ctrl+r")
        assert not started and it.app.told[0].startswith("fc1: Linear(in_features=1568) needs 1568")
        assert it.screen.active == 2


async def test_data_that_cannot_be_read_keeps_it_from_starting(home: Path, started: list[Any]) -> None:
    text = PRESET.replace('"digits"', '"csv"\npath = "none.csv"').replace('"cnn"', '"mlp"')
    async with scene(home, preset=_file(home, text.replace("channels = [16, 32]\n", ""))) as it:
        await it.until(lambda: it.screen.checks.shapes)
        await it.press("ctrl+r")
        assert not started and "none.csv" in it.app.told[0]
        assert it.screen.form.current is not None and it.screen.form.current.place == ("data", "name")


async def test_it_waits_for_the_latest_edit_to_be_judged(home: Path, started: list[Any]) -> None:
    async with scene(home) as it:
        engine = it.screen.engine
        assert isinstance(engine, RecordedEngine)
        engine.silent = {"validate"}
        await it.type_at(("training", "epochs"), "3")
        await it.press("ctrl+r")
        assert not started
        engine.silent = set()
        assert it.screen.draft is not None
        it.screen.checks.ask(it.screen.draft)
        await it.until(lambda: started)


async def test_whoever_starts_before_the_engine_is_there_need_not_press_again(
    home: Path, started: list[Any]
) -> None:
    async with scene(home, engine=RecordedEngine(silent=["catalogue"])) as it:
        await it.press("ctrl+r")
        assert not started and it.screen.header.clock == "checking …"
        engine = it.screen.engine
        assert isinstance(engine, RecordedEngine)
        engine.silent = set()
        it.screen.checks.ask_catalogue()
        await it.until(lambda: started)


async def test_what_keeps_the_worker_from_starting_is_told_here(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> Path:
        raise UserError(["the folder is full", "of [bold]eels[/bold]"])

    monkeypatch.setattr(draft_files, "start", fails)
    async with scene(home) as it:
        await it.press("ctrl+r")
        await it.until(lambda: it.app.told)
        assert it.app.told == ["the folder is full\nof [bold]eels[/bold]"]
        assert it.top is it.screen and not it.screen.starting and it.screen.header.clock == ""


async def test_one_start_at_a_time(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = asyncio.Event()
    calls: list[int] = []

    async def slow(self: Any, function: Any, *args: Any, **options: Any) -> None:
        calls.append(1)
        await gate.wait()

    async with scene(home) as it:
        monkeypatch.setattr(NewRunScreen, "in_thread", slow)
        await it.press("ctrl+r", "ctrl+r")
        assert it.screen.header.clock == "starting …" and len(calls) == 1
        gate.set()


# Without an engine.


async def test_an_engine_that_cannot_start_says_so_and_the_run_starts_all_the_same(
    home: Path, started: list[dict[str, Any]]
) -> None:
    engine = RecordedEngine({"catalogue": ["The engine cannot be started.", "No module named 'torch'"]})
    async with scene(home, engine=engine) as it:
        notice = it.screen.architectures.query_one(".notice")
        await it.until(lambda: "No module named" in str(notice.content))
        await it.press("ctrl+r")
        await it.until(lambda: started)
        assert started[0]["wait_ready"] is True  # nobody could check it


async def test_asking_again_brings_everything(home: Path) -> None:
    engine = RecordedEngine({"catalogue": ["No."]})
    async with scene(home, engine=engine) as it:
        await it.until(lambda: it.screen.checks.errors)
        engine.errors = {}
        await it.press("f5")
        await it.until(lambda: it.screen.checks.shapes)
        assert not it.screen.checks.errors


async def test_asking_again_is_no_key_while_all_is_well(home: Path) -> None:
    async with scene(home) as it:
        await it.until(lambda: it.screen.checks.shapes)
        bound = {active.binding.id for active in it.screen.active_bindings.values() if active.enabled}
        assert "new.ask-again" not in bound and "new.start" in bound


async def test_an_error_about_the_shapes_goes_with_the_next_answer(home: Path) -> None:
    engine = RecordedEngine({"shapes": ["No answer within 20 s: does your own code wait for something?"]})
    async with scene(home, engine=engine) as it:
        await it.until(lambda: it.screen.checks.errors)
        assert "No answer" in str(it.screen.table.query_one(".notice").content)
        engine.errors = {}
        await it.type_at(("model", "channels"), "8")
        await it.until(lambda: it.screen.table.lines.display)


# One panel at a time.


async def test_a_narrow_terminal_shows_one_panel(home: Path) -> None:
    async with scene(home, size=(80, 24)) as it:
        shown = lambda: [frame.id for frame in it.screen.panels if frame.display]  # noqa: E731
        await it.until(lambda: it.screen.form.rows)
        order = [shown()]
        for _ in range(3):
            await it.press("tab")
            order.append(shown())
        assert order == [["architecture"], ["settings"], ["shapes"], ["architecture"]]


async def test_a_click_on_a_tab_goes_there(home: Path) -> None:
    async with scene(home, size=(80, 24)) as it:
        await it.until(lambda: it.screen.form.rows)
        await it.pilot.click("TabLine", offset=(20, 0))
        assert it.focus is it.screen.form


async def test_all_panels_come_back_with_the_room(home: Path) -> None:
    async with scene(home, size=(80, 24)) as it:
        await it.pilot.resize_terminal(120, 40)
        await it.pilot.pause()
        assert all(frame.display for frame in it.screen.panels)


# Nothing that changes, nothing that is sent.


async def test_what_did_not_change_is_not_painted_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene(home) as it:
        await it.until(lambda: it.screen.checks.shapes)
        await it.pilot.pause()
        painted: list[Message] = []
        monkeypatch.setattr(type(it.screen.table.lines), "refresh", lambda *a, **k: painted.append(a[0]))
        it.screen._show_shapes()
        assert painted == []
