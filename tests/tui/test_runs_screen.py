"""The home screen: its rows, its keys, what it asks before something is lost."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.binding import Binding
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Input

from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from tests.tui.piloting import NOW, home_screen, listed, run_list, until
from tests.tui.recorded import HOSTILE, START, make_run
from tui import run_actions
from tui.app import DltuiApp
from tui.messages import OpenCompare, OpenEvaluation, OpenNewRun, OpenRun
from tui.screens.dialogs import Confirm, Prompt
from tui.screens.runs import RunsScreen
from tui.widgets import preset_list
from tui.widgets.line_list import LineList
from tui.widgets.preset_list import Offer, PresetList
from tui.widgets.preview import RunPreview

FIVE = {
    "e-paused": {"status": "stopped", "done": 9, "preset": "fashion-mlp", "model": "mlp"},
    "d-finished": {"status": "finished", "preset": "fashion-vit"},
    "c-failed": {"status": "failed"},
    "b-died": {"status": "died", "done": 0},
    "a-finished": {"status": "finished", "epochs": 5},
}


class Recorder(DltuiApp):
    """The app, with other screens' openings and notices written down instead."""

    def __init__(self, runs: Path) -> None:
        super().__init__(runs, now=lambda: NOW)
        self.wishes: list[Message] = []
        self.told: list[str] = []

    def wish(self, message: Message) -> None:
        message.prevent_default()
        self.wishes.append(message)

    on_open_run = on_open_new_run = on_open_compare = on_open_evaluation = wish

    def notify(self, message: str, **options: Any) -> None:
        assert options["markup"] is False
        self.told.append(message)


@pytest.fixture(scope="module")
def recorded_five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("five")
    for number, (name, how) in enumerate(FIVE.items()):
        make_run(runs, name, started=START - 600 * number, **how)
    return runs


@pytest.fixture
def five(home: Path, recorded_five: Path) -> Recorder:
    shutil.copytree(recorded_five, home, dirs_exist_ok=True)
    return Recorder(home)


def chosen(pilot: Pilot[Any]) -> set[str]:
    return {path.name for path in run_list(pilot).selected}


def names(pilot: Pilot[Any]) -> list[str]:
    return [run.name for run in run_list(pilot).rows]


def recorder(pilot: Pilot[Any]) -> Recorder:
    assert isinstance(pilot.app, Recorder)
    return pilot.app


# What every key does. Each entry: keys to press on five runs, and what then holds.
Check = Callable[[Pilot[Any]], object]
KEYS: dict[str, list[tuple[str, Check]]] = {
    "list.down": [("down", lambda p: run_list(p).cursor == 1), ("j", lambda p: run_list(p).cursor == 1)],
    "list.up": [
        ("end up", lambda p: run_list(p).cursor == 3),
        ("end k k", lambda p: run_list(p).cursor == 2),
        ("up", lambda p: run_list(p).cursor == 0),
    ],
    "list.page-down": [("pagedown", lambda p: run_list(p).cursor == 4)],
    "list.page-up": [("end pageup", lambda p: run_list(p).cursor == 0)],
    "list.first": [
        ("end home", lambda p: run_list(p).cursor == 0),
        ("end g", lambda p: run_list(p).cursor == 0),
    ],
    "list.last": [("end", lambda p: run_list(p).cursor == 4), ("G", lambda p: run_list(p).cursor == 4)],
    "list.take": [("down enter", lambda p: [m.path.name for m in recorder(p).wishes] == ["d-finished"])],
    "runs.new": [("n", lambda p: [m.preset for m in recorder(p).wishes] == [None])],
    "runs.select": [
        ("space space", lambda p: chosen(p) == {"e-paused", "d-finished"}),
        ("space up space", lambda p: chosen(p) == set()),
    ],
    "runs.all": [("a", lambda p: len(chosen(p)) == 5), ("space a a", lambda p: chosen(p) == set())],
    "runs.compare": [
        ("space space c", lambda p: [len(m.paths) for m in recorder(p).wishes] == [2]),
        ("c", lambda p: not recorder(p).wishes and "Select two" in recorder(p).told[0]),
    ],
    "runs.filter": [
        ("slash v i t", lambda p: names(p) == ["d-finished"]),
        ("slash f a i l enter", lambda p: names(p) == ["c-failed"] and run_list(p).has_focus),
        ("slash z z", lambda p: home_screen(p).query_one("#note").display),
    ],
    "runs.try": [("t", lambda p: "nothing to try" in recorder(p).told[0])],
    "runs.evaluation": [("E", lambda p: isinstance(recorder(p).wishes[0], OpenEvaluation))],
    "runs.resume": [("end r", lambda p: isinstance(p.app.screen, Prompt))],
    "runs.stop": [("X", lambda p: "Nothing to stop" in recorder(p).told[0])],
    "runs.delete": [
        ("d", lambda p: isinstance(p.app.screen, Confirm)),
        ("delete", lambda p: isinstance(p.app.screen, Confirm)),
    ],
    "runs.preview": [
        ("v", lambda p: home_screen(p).query_one(RunPreview).display),
        ("v v", lambda p: p.app.preferences.get("runs_preview", "") == "hidden"),
    ],
    "back": [
        ("slash v i t escape", lambda p: len(names(p)) == 5 and run_list(p).has_focus),
        ("slash v i t enter escape", lambda p: len(names(p)) == 5),
        ("space escape", lambda p: chosen(p) == set()),
        ("escape", lambda p: p.app.screen is home_screen(p)),
    ],
}


@pytest.mark.parametrize(
    ("keys", "holds"), [pytest.param(*case, id=case[0]) for cases in KEYS.values() for case in cases]
)
async def test_keys(five: Recorder, keys: str, holds: Check) -> None:
    async with five.run_test(size=(80, 24)) as pilot:
        await listed(pilot, 5)
        await pilot.press(*keys.split())
        await until(pilot, lambda: holds(pilot))


def test_every_key_is_tried_here() -> None:
    bound = {
        entry.id
        for owner in (RunsScreen, LineList)
        for base in owner.__mro__
        if base.__module__.startswith("tui.")
        for entry in base.__dict__.get("BINDINGS", [])
        if isinstance(entry, Binding)
    }
    assert bound == set(KEYS)


async def test_rows_are_newest_first_and_the_cursor_is_on_the_newest(five: Recorder) -> None:
    async with five.run_test(size=(80, 24)) as pilot:
        rows = await listed(pilot, 5)
        assert names(pilot) == list(FIVE)
        assert rows.cursor == 0 and rows.has_focus


async def test_a_new_run_comes_in_above_and_the_cursor_stays_on_its_run(five: Recorder, home: Path) -> None:
    async with five.run_test(size=(80, 24)) as pilot:
        rows = await listed(pilot, 5)
        await pilot.press("down", "down")
        make_run(home, "newest", started=START + 60)
        await listed(pilot, 6)
        assert names(pilot)[0] == "newest"
        assert rows.current is not None and rows.current.name == "c-failed"


async def test_at_the_top_the_cursor_stays_at_the_top(five: Recorder, home: Path) -> None:
    async with five.run_test(size=(80, 24)) as pilot:
        rows = await listed(pilot, 5)
        make_run(home, "newest", started=START + 60)
        await listed(pilot, 6)
        assert rows.cursor == 0


async def test_a_run_that_goes_takes_its_selection_along(five: Recorder, home: Path) -> None:
    async with five.run_test(size=(80, 24)) as pilot:
        await listed(pilot, 5)
        await pilot.press("space")
        RunDir(home / "e-paused").remove()
        await listed(pilot, 4)
        assert chosen(pilot) == set()


async def test_metric_conditions_filter(five: Recorder) -> None:
    async with five.run_test(size=(80, 24)) as pilot:
        rows = await listed(pilot, 5)
        best = {run.name: run.best["value"] for run in rows.rows if run.best}
        await pilot.press("slash", *"acc", "greater_than_sign", *"0.9")
        wanted = [name for name in names(pilot) if best.get(name, 0) > 0.9]
        await until(pilot, lambda: names(pilot) == wanted and 0 < len(wanted) < 5)


# The preview.


async def test_the_heading_follows_the_metric_that_runs_are_judged_by(home: Path) -> None:
    run = make_run(home, "begins", status="starting", done=0)
    async with Recorder(home).run_test(size=(80, 24)) as pilot:
        rows = await listed(pilot, 1)
        assert " best " in rows.render_line(0).text
        run.write_state({"status": "stopped", "best": {"metric": "val/f1", "value": 0.5, "epoch": 1}})
        await until(pilot, lambda: "f1" in rows.render_line(0).text)


async def test_the_preview_shows_the_marked_run(five: Recorder) -> None:
    async with five.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 5)
        preview = home_screen(pilot).query_one(RunPreview)
        await pilot.press("down")
        await until(pilot, lambda: preview.query("Chart") and preview.frame_title == "d-finished")
        assert preview.frame_state == "✓ finished"


async def test_what_the_preview_has_read_goes_along_to_the_run(five: Recorder) -> None:
    async with five.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 5)
        preview = home_screen(pilot).query_one(RunPreview)
        await until(pilot, lambda: preview.shown == run_list(pilot).current.path)  # type: ignore[union-attr]
        await pilot.press("enter")
        await until(pilot, lambda: five.wishes)
        assert five.wishes[0].known is preview.view_of(five.wishes[0].path) is not None
        assert preview.view_of(five.runs / "another") is None


async def test_the_preview_follows_nothing_behind_another_screen(five: Recorder) -> None:
    async with five.run_test(size=(120, 40)) as pilot:
        await listed(pilot, 5)
        await until(pilot, lambda: _following() >= 2)
        await pilot.press("question_mark")
        await until(pilot, lambda: _following() == 0)
        await pilot.press("escape")
        await until(pilot, lambda: _following() >= 2)
    for thread in threading.enumerate():
        if "Follower-" in thread.name:
            thread.join(20)
    assert _following() == 0


def _following() -> int:
    return sum("Follower-" in thread.name for thread in threading.enumerate())


# What changes runs.


async def test_deleting_asks_first_and_enter_is_no(five: Recorder, home: Path) -> None:
    async with five.run_test(size=(80, 24)) as pilot:
        await listed(pilot, 5)
        await pilot.press("d")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is home_screen(pilot))
        assert (home / "e-paused").is_dir()


async def test_deletes_the_selected_and_leaves_the_living(five: Recorder, home: Path) -> None:
    living = make_run(home, "z-living", status="running", started=START - 9_000)
    async with five.run_test(size=(80, 24)) as pilot:
        with living.lock():
            await listed(pilot, 6)
            await pilot.press("down", "space", "end", "space", "d")
            await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
            await pilot.press("y")
            await listed(pilot, 5)
            assert not (home / "d-finished").exists() and living.path.is_dir()


async def test_a_living_run_is_stopped_through_its_control_file(home: Path) -> None:
    run = make_run(home, "living", status="running")
    async with Recorder(home).run_test(size=(80, 24)) as pilot:
        with run.lock():
            await listed(pilot, 1)
            await pilot.press("X")
            await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
            await pilot.press("y")
            await until(pilot, lambda: recorder(pilot).told)
            assert '"command":"stop"' in run.control_path.read_text()


async def test_a_living_run_is_neither_deleted_nor_resumed(home: Path) -> None:
    run = make_run(home, "living", status="running")
    async with Recorder(home).run_test(size=(80, 24)) as pilot:
        with run.lock():
            await listed(pilot, 1)
            await pilot.press("d", "r")
            await until(pilot, lambda: len(recorder(pilot).told) == 2)
            assert run.path.is_dir()


async def test_a_stopped_run_is_resumed(five: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int | None]] = []
    monkeypatch.setattr(run_actions, "resume", lambda path, epochs: asked.append((path.name, epochs)))
    async with five.run_test(size=(80, 24)) as pilot:
        await listed(pilot, 5)
        await pilot.press("r")
        await until(pilot, lambda: asked == [("e-paused", None)])


async def test_a_finished_run_is_asked_how_far(five: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int | None]] = []
    monkeypatch.setattr(run_actions, "resume", lambda path, epochs: asked.append((path.name, epochs)))
    async with five.run_test(size=(80, 24)) as pilot:
        await listed(pilot, 5)
        await pilot.press("end", "r")
        await until(pilot, lambda: isinstance(pilot.app.screen, Prompt))
        line = pilot.app.screen.query_one(Input)
        line.value = "3"
        await pilot.press("enter")
        await until(pilot, lambda: "above 5" in str(pilot.app.screen.query_one("#complaint").render()))
        line.value = "8"
        await pilot.press("enter")
        await until(pilot, lambda: asked == [("a-finished", 8)])


async def test_what_goes_wrong_is_told(five: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, epochs: int | None) -> None:
        raise UserError(f"no checkpoint in {HOSTILE}")

    monkeypatch.setattr(run_actions, "resume", fail)
    async with five.run_test(size=(80, 24)) as pilot:
        await listed(pilot, 5)
        await pilot.press("r")
        await until(pilot, lambda: any("no checkpoint" in line for line in recorder(pilot).told))
        assert not any("\x1b" in line for line in recorder(pilot).told)


# The mouse.


async def test_a_click_marks_and_a_second_one_opens(five: Recorder) -> None:
    async with five.run_test(size=(80, 24)) as pilot:
        rows = await listed(pilot, 5)
        await pilot.click(rows, offset=(8, 3))
        await until(pilot, lambda: rows.cursor == 2)
        await pilot.click(rows, offset=(8, 3), times=2)
        await until(pilot, lambda: [type(wish) for wish in recorder(pilot).wishes] == [OpenRun])


async def test_a_click_on_a_key_presses_it(five: Recorder) -> None:
    async with five.run_test(size=(80, 24)) as pilot:
        await listed(pilot, 5)
        await until(pilot, lambda: pilot.app.screen.query_one("KeyBar").keys)
        await pilot.click("KeyBar", offset=(2, 0))
        await until(pilot, lambda: [type(wish) for wish in recorder(pilot).wishes] == [OpenNewRun])


# No runs yet.


async def test_the_first_start_offers_the_presets(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer = Offer("digits-cnn", "Digits with a small convolutional network", 3)
    monkeypatch.setattr(preset_list, "offers", lambda: [offer])
    monkeypatch.setattr("tui.widgets.welcome.offers", lambda: [offer])
    async with Recorder(home).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: pilot.app.screen.query(PresetList) and pilot.app.focused is not None)
        await until(pilot, lambda: pilot.app.screen.query_one(PresetList).current == offer)
        await pilot.press("enter")
        await until(pilot, lambda: [wish.preset for wish in recorder(pilot).wishes] == ["digits-cnn"])


async def test_the_list_takes_the_welcomes_place_with_the_first_run(home: Path) -> None:
    async with Recorder(home).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: pilot.app.screen.query(PresetList))
        make_run(home, "first")
        rows = await listed(pilot, 1)
        await until(pilot, lambda: not pilot.app.screen.query(PresetList) and rows.has_focus)


async def test_comparing_asks_for_the_selected_runs_in_their_order(five: Recorder) -> None:
    async with five.run_test(size=(80, 24)) as pilot:
        await listed(pilot, 5)
        await pilot.press("end", "space", "home", "space", "c")
        await until(pilot, lambda: recorder(pilot).wishes)
        (wish,) = recorder(pilot).wishes
        assert isinstance(wish, OpenCompare)
        assert [path.name for path in wish.paths] == ["e-paused", "a-finished"]
