"""The Run screen: what it says of a run, every key, and commands that count when the worker says so."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.binding import Binding
from textual.events import AppBlur, AppFocus
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Input

from dlcore import launch
from dlcore.control import Command
from dlcore.run_dir import RunDir
from tests.tui.piloting import app_on, until
from tests.tui.recorded import HOSTILE, make_run
from tests.tui.run_cases import ONE, Machine, full_run, open_run, playing_worker, settled, tell, write_samples
from tui import run_actions
from tui.follow import RunFollower
from tui.messages import OpenRun, RunChanged
from tui.panels import times
from tui.preferences import Preferences
from tui.screens.dialogs import Choose, Confirm, Prompt
from tui.screens.help import groups
from tui.screens.palette import entries
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.widgets.asked_line import AskedLine
from tui.widgets.chart import Chart
from tui.widgets.ending import Ending
from tui.widgets.gauge import Gauges
from tui.widgets.keys import KeyBar
from tui.widgets.page import Page
from tui.widgets.panel import Panel
from tui.widgets.panel_line import PanelLine
from tui.widgets.search_box import SearchBox

WIDE = (120, 40)
SMALL = (80, 24)


def current(screen: RunScreen) -> str:
    return screen.current.KEY if screen.current is not None else ""


def asked(screen: RunScreen) -> tuple[str, str]:
    return screen.query_one(AskedLine).said


def facts(screen: RunScreen) -> str:
    shown = [fact if isinstance(fact, str) else fact[0] for fact in screen.header.facts]
    return " | ".join([screen.header.where, *shown, screen.header.clock])


def ending(screen: RunScreen) -> str:
    widget = screen.query_one(Ending)
    return str(widget.content) if widget.display else ""


def panel(screen: RunScreen, key: str) -> Panel:
    return screen.query_one(f"#{key}", Panel)


def lines(screen: RunScreen, key: str) -> list[str]:
    return [entry.text for entry in panel(screen, key).query_one(SearchBox).lines.entries]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every look at the run's directory."""
    found: list[int] = []
    original = RunFollower.look

    def look(follower: RunFollower) -> Message | None:
        message = original(follower)
        found.append(1)
        return message

    monkeypatch.setattr(RunFollower, "look", look)
    return found


async def looked(pilot: Pilot[Any], screen: RunScreen, looks: list[int]) -> None:
    """Waits until the directory was read again and what was found is shown."""
    wanted = len(looks) + 3

    def enough() -> bool:
        screen.runs_touched()
        return len(looks) >= wanted

    await until(pilot, enough)


# What it says of a run.


async def test_a_running_run_says_where_it_is(home: Path) -> None:
    run = full_run(home, status="running")
    with run.lock():
        async with app_on(home).run_test(size=WIDE) as pilot:
            screen = await open_run(pilot, run)
            assert facts(screen) == (
                "digits-cnn | ● running | epoch 7/20 | lr 1e-3 | 3,420 samples/s | step 161 | cpu | 55 s left"
            )
            assert ending(screen) == ""
            assert [s.name for s in panel(screen, "loss").query_one(Chart).series] == ["train", "val"]
            assert panel(screen, "metric").frame_title == "Accuracy"


async def test_what_another_screen_has_read_is_shown_before_it_is_read_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, gate = full_run(home), threading.Event()
    known = RunFollower(lambda message: None, run).look()
    assert isinstance(known, RunChanged)
    original = RunFollower.look
    monkeypatch.setattr(RunFollower, "look", lambda follower: (gate.wait(), original(follower))[1])
    app = app_on(home)
    async with app.run_test(size=WIDE) as pilot:
        app.post_message(OpenRun(run.path, known.view))
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.view is known.view)
        assert isinstance(app.screen, RunScreen)
        assert "finished" in facts(app.screen)
        gate.set()
        await until(pilot, lambda: app.screen.view is not known.view)  # type: ignore[attr-defined]


async def test_a_head_whose_time_has_come_waits_for_a_moment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timer of no time divides by it."""
    run = full_run(home, status="stopped")
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        waits: list[float] = []
        monkeypatch.setattr(screen, "set_timer", lambda wait, _: waits.append(wait))
        screen._head_time = float("-inf")
        screen._show_head_in_time()
        assert len(waits) == 1 and waits[0] > 0


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("finished", ["✓ finished 20 epochs", "test/accuracy 0.9722", "r trains on"]),
        (
            "stopped",
            ["◼ stopped at epoch 7/20 by ctrl+c, saved", "r goes on from the checkpoint at step 161"],
        ),
        ("failed", ["✗ failed at epoch 7/20", "try a smaller optimizer.lr", "Mend the cause", "Panel 6"]),
        ("died", ["† died at epoch 7/20", "r goes on from the checkpoint at step 161"]),
    ],
)
async def test_a_run_that_is_over_says_how_it_ended_and_what_to_do(
    home: Path, status: str, said: Sequence[str]
) -> None:
    run = make_run(home, status=status)
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        assert all(part in ending(screen) for part in said), ending(screen)
        assert "samples/s" not in facts(screen)


async def test_hostile_text_stays_text_everywhere(home: Path) -> None:
    run = make_run(home, name="x\x1b[31m\u202ey", status="failed", hostile=True, nan_from=3)
    run.log_path.write_text(HOSTILE.encode("utf-8", "replace").decode() + "\n[bold]no[/bold]\n")
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        for key in "12345678":
            await pilot.press(key)
            await settled(pilot, screen)
            shown = "\n".join(
                "".join(segment.text for segment in strip) for strip in screen._compositor.render_strips()
            )
            assert not any(sign in shown for sign in "\x1b\x07\x9b\u202e")
        assert "[bold]no[/bold]" in lines(screen, "log")


async def test_what_happens_next_appears(home: Path) -> None:
    run = make_run(home, status="running")
    with run.lock():
        async with app_on(home).run_test(size=WIDE) as pilot:
            screen = await open_run(pilot, run)
            metrics = {"train/loss": 0.2, "val/loss": 0.3, "val/accuracy": 0.95}
            tell(run, "epoch", epoch=8, step=184, metrics=metrics, seconds=4.2, lr=5e-4, best=True)
            tell(run, "warning", message="The data loader is slow.", kind="data")
            await until(pilot, lambda: "The data loader is slow." in lines(screen, "events"))
            await until(pilot, lambda: "epoch 8/20 | lr 5e-4" in facts(screen))
            assert panel(screen, "events").frame_state == "▲ 1"


async def test_a_run_that_was_only_just_started_has_not_died(home: Path) -> None:
    run = RunDir.create(home, "fresh", "digits-cnn")
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        assert screen.view is not None and screen.view.status == "starting"
        assert ending(screen) == ""


async def test_a_run_whose_folder_is_removed_keeps_what_was_read(home: Path, looks: list[int]) -> None:
    run = make_run(home, status="finished")
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        run.remove()
        await looked(pilot, screen, looks)
        assert "finished" in ending(screen)


# Panels.


async def test_numbers_go_to_panels_and_the_focus_goes_with_them(home: Path) -> None:
    run = full_run(home, status="stopped")
    async with app_on(home).run_test(size=SMALL) as pilot:
        screen = await open_run(pilot, run)
        for number, key in enumerate(screen.arrangement.order, 1):
            await pilot.press(str(number))
            await until(pilot, lambda key=key: current(screen) == key)  # type: ignore[misc]
            assert list(screen.grid.plan) == [key]
            assert [tab.key for tab in screen.query_one(PanelLine).tabs if tab.focused] == [key]


@pytest.mark.parametrize("size", [SMALL, WIDE, (200, 50)])
async def test_tab_goes_through_all_panels_in_their_order_however_many_fit(
    home: Path, size: tuple[int, int]
) -> None:
    async with app_on(home).run_test(size=size) as pilot:
        screen = await open_run(pilot, full_run(home))
        order = list(screen.arrangement.order)
        seen = [current(screen)]
        for _ in order:
            await pilot.press("tab")
            await until(pilot, lambda: current(screen) != seen[-1])
            seen.append(current(screen))
        assert seen == [*order, order[0]]
        await pilot.press("shift+tab")
        assert current(screen) == order[-1]


async def test_a_click_on_the_line_of_panels_goes_there(home: Path) -> None:
    run = full_run(home, status="stopped")
    async with app_on(home).run_test(size=SMALL) as pilot:
        screen = await open_run(pilot, run)
        line = screen.query_one(PanelLine)
        at = next(start for start, _, key in line._spans if key == "log")
        await pilot.click(PanelLine, offset=(at, 0))
        await until(pilot, lambda: current(screen) == "log")


async def test_maximise_hide_move_and_reset(home: Path) -> None:
    run = full_run(home, status="stopped")
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        await pilot.press("z")
        assert list(screen.grid.plan) == ["loss"]
        await pilot.press("z")
        assert len(screen.grid.plan) == 5
        await pilot.press("greater_than_sign")
        assert screen.arrangement.order[:2] == ("metric", "loss")
        await pilot.press("less_than_sign")
        assert screen.arrangement.order[:2] == ("loss", "metric")
        await pilot.press("h")
        await until(pilot, lambda: current(screen) == "metric")
        assert "loss" not in screen.grid.plan
        await pilot.press("1")
        await until(pilot, lambda: current(screen) == "loss")
        assert "loss" in screen.grid.plan
        await pilot.press("h", "H")
        assert not screen.arrangement.hidden


async def test_the_layout_is_remembered(home: Path) -> None:
    run = full_run(home, status="stopped")
    preferences = Preferences(home.parent / "preferences.json")
    async with app_on(home, preferences=preferences).run_test(size=WIDE) as pilot:
        await open_run(pilot, run)
        await pilot.press("greater_than_sign", "4", "h")
        await pilot.pause()
    again = Preferences(home.parent / "preferences.json")
    async with app_on(home, preferences=again).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        assert screen.arrangement.order[:2] == ("metric", "loss")
        assert "time" not in screen.grid.plan


async def test_a_small_terminal_still_has_state_and_a_chart(home: Path) -> None:
    run = make_run(home, status="running")
    with run.lock():
        async with app_on(home).run_test(size=(40, 12)) as pilot:
            screen = await open_run(pilot, run)
            top = screen.header.render().plain
            assert "● running" in top
            assert screen.query_one("#loss Chart", Chart).size.height >= 6


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (20, 6), (300, 100)])
async def test_no_size_breaks_it(home: Path, size: tuple[int, int]) -> None:
    run = full_run(home, status="failed")
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        await pilot.resize_terminal(*size)
        await pilot.pause()
        await pilot.resize_terminal(*WIDE)
        await settled(pilot, screen)
        assert len(screen.grid.plan) == 5


async def test_the_metric_turns_to_others_and_back(home: Path) -> None:
    run = full_run(home, status="stopped")
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        await pilot.press("2")
        titles = []
        for _ in range(4):
            titles.append(panel(screen, "metric").frame_title)
            await pilot.press("right_square_bracket")
        assert titles == ["Accuracy", "Lr", "Grad norm", "Accuracy"]
        await pilot.press("left_square_bracket")
        assert panel(screen, "metric").frame_title == "Accuracy"


async def test_where_a_step_s_time_goes(home: Path) -> None:
    run = full_run(home, status="stopped")
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        shown = panel(screen, "time").query_one(Gauges).text.splitlines()
        assert [line.split()[0] for line in shown] == ["data", "forward", "backward", "optimizer", "a"]
        assert "55 %" in shown[2] and "2 %" in shown[0]
        assert shown[4].endswith("4.2 ms")


def test_a_replayed_step_says_that_it_is_one_launch() -> None:
    shown = ["".join(part.text for part in row) for row in times.rows({"data": 1e-5, "replay": 9e-5}, 60)]
    assert [line.split()[0] for line in shown] == ["data", "replay", "a", "replay:"]
    assert shown[-1].strip() == times.ONE_LAUNCH


async def test_samples_and_their_past(home: Path) -> None:
    run = full_run(home, status="finished")
    write_samples(run, 460)
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        await pilot.press("7")
        await settled(pilot, screen)
        samples = panel(screen, "samples")
        assert samples.frame_state == "7 of 8 right · step 460 · 2/2"
        assert "✗ 5" in samples.query_one(Page).text
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: samples.frame_state.endswith("step 161 · 1/2"))
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: samples.frame_state.endswith("2/2"))


async def test_episodes_are_stepped_through(home: Path) -> None:
    run = full_run(home, status="finished")
    frames = [f"the pole at {moment}" for moment in range(3)]
    (run.samples_path / "step-00000161.json").write_text(
        json.dumps({"step": 161, "samples": [{"frames": frames, "caption": "return 2 in 2 steps"}]})
    )
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        await pilot.press("7")
        await settled(pilot, screen)
        samples = panel(screen, "samples")
        assert samples.frame_state == "step 161 · frame 1/3"
        assert "the pole at 0" in samples.query_one(Page).text
        for key, moment in (("full_stop", 1), ("full_stop", 2), ("full_stop", 2), ("comma", 1)):
            await pilot.press(key)
            assert samples.frame_state == f"step 161 · frame {moment + 1}/3"
            assert f"the pole at {moment}" in samples.query_one(Page).text


async def test_layers_with_their_troubles(home: Path) -> None:
    run = full_run(home, status="finished")
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        await pilot.press("8")
        await settled(pilot, screen)
        assert panel(screen, "layers").frame_state == "step 161 · ▲ 1"


async def test_search_in_the_log(home: Path) -> None:
    run = full_run(home, status="stopped")
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        await pilot.press("6")
        await settled(pilot, screen)
        log = panel(screen, "log")
        await pilot.press("slash", *"OWN")
        await until(pilot, lambda: log.frame_state == "/ own · 1 of 3")
        await pilot.press("q")  # a letter like any other
        await until(pilot, lambda: log.frame_state == "/ ownq · 0 of 3")
        await pilot.press("backspace", "enter")
        assert (log.frame_state, current(screen)) == ("/ own · 1 of 3", "log")
        await pilot.press("slash", "escape")
        await until(pilot, lambda: log.frame_state == "")
        assert pilot.app.screen is screen


async def test_the_log_grows_while_it_is_seen(home: Path) -> None:
    run = full_run(home, status="stopped")
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        await pilot.press("6")
        await settled(pilot, screen)
        with run.log_path.open("a") as file:
            file.write("one more\n")
        await until(pilot, lambda: lines(screen, "log")[-1:] == ["one more"])


# Gauges.


async def test_gauges_are_read_while_it_trains_and_somebody_looks(home: Path) -> None:
    run, machine = full_run(home, status="running"), Machine()
    with run.lock():
        async with app_on(home).run_test(size=WIDE) as pilot:
            screen = await open_run(pilot, run, machine)
            assert "42 %" in panel(screen, "system").query_one(Gauges).text
            ours = ("RunFollower-", "GaugeFollower-")
            followers = [thread for thread in threading.enumerate() if thread.name.startswith(ours)]
            assert len(followers) == 2
            pilot.app.post_message(AppBlur())
            await until(pilot, lambda: not any(thread.is_alive() for thread in followers))
            before = machine.asked
            pilot.app.post_message(AppFocus())
            await until(pilot, lambda: machine.asked > before)


async def test_nothing_is_measured_for_a_run_that_is_over(home: Path) -> None:
    run, machine = full_run(home, status="finished"), Machine()
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run, machine)
        assert machine.asked == 0
        assert not any("GaugeFollower" in thread.name for thread in threading.enumerate())
        assert "over" in panel(screen, "system").query_one(Gauges).text


async def test_a_driver_that_hangs_holds_up_nothing(home: Path) -> None:
    run, machine = full_run(home, status="running"), Machine(ONE)
    machine.gate.clear()
    with run.lock():
        async with app_on(home).run_test(size=WIDE) as pilot:
            screen = RunScreen(run.path, gauges=machine.gauges(deadline=0.05))
            await pilot.app.push_screen(screen)
            await until(pilot, lambda: "42 %" in panel(screen, "system").query_one(Gauges).text)
            assert panel(screen, "system").frame_state == "the NVIDIA driver does not answer"
            machine.gate.set()
            await until(pilot, lambda: "97 %" in panel(screen, "system").query_one(Gauges).text)


# Commands.

COMMANDS: tuple[tuple[Sequence[str], tuple[str, object]], ...] = (
    (["e"], ("evaluate", None)),
    (["w"], ("save", None)),
    (["i"], ("inspect", None)),
    (["l", "ctrl+u", *"5e-4", "enter"], ("lr", 5e-4)),
    (["m", "ctrl+u", *"40", "enter"], ("epochs", 40)),
    (["X", "y"], ("stop", None)),
)


async def test_a_key_asks_the_worker_and_only_its_word_settles_it(home: Path) -> None:
    run = full_run(home, status="running")
    with playing_worker(run, lambda command: None) as seen:
        async with app_on(home).run_test(size=WIDE) as pilot:
            screen = await open_run(pilot, run)
            for number, (keys, expected) in enumerate(COMMANDS, 1):
                for key in keys:
                    await pilot.press(key)
                await until(pilot, lambda: asked(screen)[0] == "pending")
                await until(pilot, lambda number=number: len(seen) == number)  # type: ignore[misc]
                command = seen[-1]
                assert (command.command, command.value) == expected
                said = {"ok": True, "message": f"{command.command} done."}
                tell(run, "command", id=command.id, command=command.command, value=command.value, **said)
                done = ("done", said["message"])
                await until(pilot, lambda done=done: asked(screen) == done)  # type: ignore[misc]


async def test_a_refusal_is_told_in_the_worker_s_words(home: Path) -> None:
    run = full_run(home, status="running")
    no = {"ok": False, "message": "epochs must be a whole number above the 7 finished ones."}
    with playing_worker(run, lambda command: no):
        async with app_on(home).run_test(size=WIDE) as pilot:
            screen = await open_run(pilot, run)
            await pilot.press("m", "ctrl+u", "3", "enter")
            await until(pilot, lambda: asked(screen) == ("refused", no["message"]))


async def test_pause_becomes_continue(home: Path) -> None:
    run = full_run(home, status="running")

    def obey(command: Command) -> dict[str, Any]:
        tell(run, "paused" if command.command == "pause" else "continued", step=161)
        return {"ok": True, "message": command.command}

    with playing_worker(run, obey) as seen:
        async with app_on(home).run_test(size=WIDE) as pilot:
            screen = await open_run(pilot, run)
            await pilot.press("p")
            await until(pilot, lambda: "‖ paused" in facts(screen))
            await until(pilot, lambda: "p continue" in str(screen.query_one(KeyBar).render()))
            await pilot.press("p")
            await until(pilot, lambda: "● running" in facts(screen))
            assert [command.command for command in seen] == ["pause", "continue"]


async def test_a_run_that_ends_first_leaves_nothing_pending(home: Path) -> None:
    run = full_run(home, status="running")
    async with app_on(home).run_test(size=WIDE) as pilot:
        with run.lock():
            screen = await open_run(pilot, run)
            await pilot.press("e")
            await until(pilot, lambda: asked(screen)[0] == "pending")
        await until(pilot, lambda: asked(screen)[0] == "refused")
        assert "ended first" in asked(screen)[1]


async def test_a_bad_learning_rate_is_refused_where_it_is_typed(home: Path) -> None:
    run = full_run(home, status="running")
    with run.lock():
        async with app_on(home).run_test(size=WIDE) as pilot:
            await open_run(pilot, run)
            await pilot.press("l")
            await until(pilot, lambda: isinstance(pilot.app.screen, Prompt))
            assert pilot.app.screen.query_one(Input).value == "1e-3"
            await pilot.press("ctrl+u", "-", "1", "enter")
            assert "above 0" in str(pilot.app.screen.query_one("#complaint").render())
            await pilot.press("escape")
            assert not run.control_path.exists()


async def test_a_run_that_cannot_be_written_says_so(home: Path) -> None:
    run = full_run(home, status="running")
    run.control_path.mkdir()
    with run.lock():
        async with app_on(home).run_test(size=WIDE) as pilot:
            screen = await open_run(pilot, run)
            await pilot.press("w")
            await until(pilot, lambda: asked(screen)[0] == "refused")
            assert "cannot tell" in asked(screen)[1]


async def test_a_run_that_is_over_takes_no_commands(home: Path) -> None:
    run = full_run(home, status="stopped")
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        for number, key in enumerate("pewlX", 1):
            await pilot.press(key)
            await until(pilot, lambda number=number: len(pilot.app._notifications) == number)  # type: ignore[misc]
            assert pilot.app.screen is screen
        assert not run.control_path.exists()


async def test_one_key_resumes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = full_run(home, status="died")
    asked_for: list[tuple[Path, int | None]] = []
    monkeypatch.setattr(run_actions, "resume", lambda path, epochs=None: asked_for.append((path, epochs)))
    async with app_on(home).run_test(size=WIDE) as pilot:
        await open_run(pilot, run)
        await pilot.press("r")
        await until(pilot, lambda: asked_for == [(run.path, None)])


async def test_a_finished_run_is_asked_how_far_to_train_on(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = full_run(home, status="finished")
    asked_for: list[tuple[Path, int | None]] = []
    monkeypatch.setattr(run_actions, "resume", lambda path, epochs=None: asked_for.append((path, epochs)))
    async with app_on(home).run_test(size=WIDE) as pilot:
        await open_run(pilot, run)
        await pilot.press("m")
        await until(pilot, lambda: isinstance(pilot.app.screen, Prompt))
        await pilot.press("enter")
        await until(pilot, lambda: asked_for == [(run.path, 40)])


# Other runs over its charts.


async def overlaid(pilot: Pilot[Any], screen: RunScreen, count: int) -> list[str]:
    chart = panel(screen, "loss").query_one(Chart)
    await until(pilot, lambda: len(chart.series) == 2 + count)
    return [item.name for item in chart.series if item.role == "run"]


async def test_other_runs_are_laid_over_the_charts_and_taken_off(home: Path) -> None:
    run = full_run(home, status="stopped")
    for name in ("one", "two"):
        make_run(home, name=name, status="finished", seed=3)
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        for keys, expected in ((["enter"], 1), (["down", "enter"], 2), (["enter"], 1), (["up", "enter"], 0)):
            await pilot.press("o")
            await until(pilot, lambda: isinstance(pilot.app.screen, Choose))
            await pilot.press(*keys)
            names = await overlaid(pilot, screen, expected)
            assert set(names) <= {"one", "two"} and len(names) == expected


async def test_a_run_alone_in_its_folder_has_nothing_to_lay_over(home: Path) -> None:
    run = full_run(home, status="stopped")
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        await pilot.press("o")
        await until(pilot, lambda: len(pilot.app._notifications) == 1)
        assert pilot.app.screen is screen


# Leaving.


async def leave(pilot: Pilot[Any], *keys: str) -> None:
    await pilot.press("q")
    await until(pilot, lambda: isinstance(pilot.app.screen, Choose))
    await pilot.press(*keys)


async def test_leaving_leaves_it_training(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = full_run(home, status="running")
    with run.lock():
        app = app_on(home)
        async with app.run_test(size=WIDE) as pilot:
            await open_run(pilot, run)
            await leave(pilot, "enter")
            await until(pilot, lambda: app._exit)
        assert not run.control_path.exists()
    assert "trains on; dltui attach shows it again." in capsys.readouterr().err


async def test_esc_at_the_question_stays(home: Path) -> None:
    run = full_run(home, status="running")
    with run.lock():
        async with app_on(home).run_test(size=WIDE) as pilot:
            screen = await open_run(pilot, run)
            await leave(pilot, "escape")
            await until(pilot, lambda: pilot.app.screen is screen)
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen))


async def test_save_and_stop_leaves_when_it_is_saved(home: Path) -> None:
    run = full_run(home, status="running")
    app = app_on(home)
    ended = asyncio.Event()
    with playing_worker(run, lambda command: {"ok": True, "message": "Stopping at step 161; saved."}) as seen:
        async with app.run_test(size=WIDE) as pilot:
            screen = await open_run(pilot, run)
            await leave(pilot, "down", "enter")
            await until(pilot, lambda: [command.command for command in seen] == ["stop"])
            await until(pilot, lambda: asked(screen)[0] == "done")
            assert not app._exit
            pilot.app.post_message(AppBlur())  # even when nobody looks any more
            tell(run, "stopped", by="asked to", exit=130, step=161)
            await until(pilot, lambda: app._exit)
            ended.set()
    assert ended.is_set()


async def test_kill_asks_again_and_kills(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = full_run(home, status="running")
    killed: list[tuple[Path, int]] = []

    def stop(victim: RunDir, timeout: float, *, number: int) -> bool:
        killed.append((victim.path, number))
        return True

    monkeypatch.setattr(launch, "stop", stop)
    app = app_on(home)
    with run.lock():
        async with app.run_test(size=WIDE) as pilot:
            await open_run(pilot, run)
            await leave(pilot, "down", "down", "enter")
            await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
            question = str(pilot.app.screen.query_one(".question").render())
            assert "checkpoint at step 161" in question
            await pilot.press("enter")  # the harmless answer
            await pilot.pause()
            assert not killed
            await leave(pilot, "down", "down", "enter")
            await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
            await pilot.press("y")
            await until(pilot, lambda: killed == [(run.path, signal.SIGKILL)])


async def test_a_run_that_is_over_is_left_without_a_question(home: Path) -> None:
    run = full_run(home, status="finished")
    app = app_on(home)
    async with app.run_test(size=WIDE) as pilot:
        await open_run(pilot, run)
        await pilot.press("q")
        await until(pilot, lambda: app._exit)


# Keys.


async def test_every_key_is_named_and_can_be_found_in_the_palette(home: Path) -> None:
    run = full_run(home, status="running")
    with run.lock():
        async with app_on(home).run_test(size=WIDE) as pilot:
            screen = await open_run(pilot, run)
            own = [
                binding
                for kind in (RunScreen, *RunScreen.__bases__)
                for binding in kind.__dict__.get("BINDINGS", ())
                if isinstance(binding, Binding)
            ]
            assert own and all(binding.id and binding.description and binding.tooltip for binding in own)
            meant = {binding.tooltip for binding in own if binding.id != "run.continue"}  # of a paused one
            assert meant <= {what for _, rows in groups(screen) for _, what in rows}
            assert meant <= {entry.about for entry in entries(screen)}


@pytest.mark.parametrize(
    ("status", "keys"),
    [
        ("running", ["pause", "learning rate", "smooth", "inspector", "leave"]),
        ("stopped", ["resume", "smooth", "evaluation", "inspector", "leave"]),
    ],
)
async def test_the_keys_that_matter_fit_the_state(home: Path, status: str, keys: Sequence[str]) -> None:
    run = full_run(home, status=status)
    with run.lock():
        async with app_on(home).run_test(size=WIDE) as pilot:
            screen = await open_run(pilot, run)
            bar = screen.query_one("KeyBar")
            await until(pilot, lambda: [key.description for key in bar.keys] == keys)  # type: ignore[attr-defined]


async def test_nothing_is_drawn_when_nothing_changes(home: Path, looks: list[int]) -> None:
    run = full_run(home, status="finished")
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_run(pilot, run)
        await looked(pilot, screen, looks)
        drawn: list[object] = []
        original = screen._compositor.render_partial_update
        screen._compositor.render_partial_update = lambda: (drawn.append(1), original())[1]  # type: ignore[method-assign]
        await looked(pilot, screen, looks)
        assert not drawn
