"""The shell around the screens: opening them, themes, help, the palette, leaving."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from textual.binding import Binding
from textual.content import Content
from textual.pilot import Pilot
from textual.theme import Theme
from textual.widgets import Input, Static

from tests.tui.piloting import NOW, app_on, home_screen, listed, until
from tests.tui.recorded import make_run
from tui import themes
from tui.app import DltuiApp
from tui.preferences import Preferences
from tui.screens import help as help_screen
from tui.screens.dialogs import Choice, Choose, Confirm, Prompt
from tui.screens.help import HelpScreen
from tui.screens.palette import EntryList, PaletteScreen, entries
from tui.widgets.header import Header
from tui.widgets.keys import KeyBar


def text_of(widget: Any) -> str:
    shown = widget.render()
    return shown.plain if isinstance(shown, Content) else str(shown)


# The two lines around every screen.


async def test_the_header_says_where_one_is_and_how_many_runs_there_are(home: Path) -> None:
    make_run(home)
    async with app_on(home).run_test(size=(80, 24)) as pilot:
        await listed(pilot, 1)
        line = text_of(pilot.app.screen.query_one(Header))
        assert line.startswith(" dltui   runs") and line.endswith("runs/ · 1 run ")
        assert len(line) == 80


async def test_the_header_leaves_out_what_does_not_fit_from_the_right(home: Path) -> None:
    async with app_on(home).run_test(size=(40, 12)) as pilot:
        header = pilot.app.screen.query_one(Header)
        header.facts = ("epoch 7/20", ("● running", "$primary"), "48,210 samples/s")
        header.device, header.clock = "NVIDIA H100", "2 min 10 s left"
        line = text_of(header)
        assert "epoch 7/20" not in line and "2 min 10 s left" in line and len(line) <= 40


async def test_the_footer_shows_five_keys_and_help(home: Path) -> None:
    make_run(home, status="stopped")
    async with app_on(home).run_test(size=(80, 24)) as pilot:
        await listed(pilot, 1)
        bar = pilot.app.screen.query_one(KeyBar)
        await until(pilot, lambda: "resume" in text_of(bar))
        assert text_of(bar).split() == [
            "n",
            "new",
            "enter",
            "open",
            "space",
            "select",
            "r",
            "resume",
            "/",
            "filter",
            "?",
            "keys",
        ]
        await pilot.press("space")
        await until(pilot, lambda: "compare" in text_of(bar))


# Help and palette: made from the bindings.


def tips(screen: Any) -> set[str]:
    """What the keys of a screen do, except Textual's own."""
    bound = [active.binding for active in screen.active_bindings.values()]
    return {binding.tooltip for binding in bound if binding.tooltip and not binding.system}


async def test_help_tells_every_key_of_the_screen(home: Path) -> None:
    make_run(home)
    async with app_on(home).run_test(size=(80, 60)) as pilot:
        await listed(pilot, 1)
        expected = tips(pilot.app.screen)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        told = {what for _, rows in help_screen.groups(home_screen(pilot)) for _, what in rows}
        assert expected <= told
        lines = str(pilot.app.screen.query_one(Static).render()).splitlines()
        assert all(line == "" or line[0] != " " or line.startswith("  ") for line in lines)
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is home_screen(pilot))


async def test_the_palette_has_every_action_and_does_it(home: Path) -> None:
    make_run(home)
    async with app_on(home).run_test(size=(80, 24)) as pilot:
        await listed(pilot, 1)
        offered = {entry.about for entry in entries(pilot.app.screen)}
        cursor_moves = {tip for tip in tips(pilot.app.screen) if "row" in tip or "screen" in tip.split()[-1:]}
        assert tips(pilot.app.screen) - cursor_moves - {"Find any action"} <= offered
        await pilot.press("ctrl+p", *"select all runs")
        await until(pilot, lambda: pilot.app.screen.query_one(EntryList).row_count == 1)
        await pilot.press("enter")
        await until(pilot, lambda: home_screen(pilot).run_list.selected)


async def test_the_palette_offers_first_what_is_called_so(home: Path) -> None:
    make_run(home)
    async with app_on(home).run_test(size=(80, 24)) as pilot:
        await listed(pilot, 1)
        await pilot.press("ctrl+p", *"the")
        rows = lambda: [entry.title for entry in pilot.app.screen.query_one(EntryList).rows]  # noqa: E731
        await until(
            pilot, lambda: isinstance(pilot.app.screen, PaletteScreen) and rows()[0] == "Theme dltui-16"
        )
        assert rows()[-1][:5] != "Theme"


async def test_the_palette_moves_with_the_arrows_and_leaves_with_escape(home: Path) -> None:
    async with app_on(home).run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(pilot.app.screen, PaletteScreen))
        actions = pilot.app.screen.query_one(EntryList)
        await pilot.press("down", "down", "up")
        await until(pilot, lambda: actions.cursor == 1)
        await pilot.press("pagedown", "pageup", "pageup")
        await until(pilot, lambda: actions.cursor == 0)
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is home_screen(pilot))


def test_every_binding_says_what_it_does() -> None:
    for owner in (DltuiApp, HelpScreen, PaletteScreen, Confirm, Choose, Prompt):
        for binding in owner.__dict__.get("BINDINGS", []):
            assert isinstance(binding, Binding)
            assert binding.id and binding.description and binding.tooltip, binding


# Themes and preferences.


@pytest.mark.parametrize("name", [*(theme.name for theme in themes.THEMES), "nord", "textual-light"])
async def test_themes_apply_and_are_remembered(home: Path, tmp_path: Path, name: str) -> None:
    make_run(home)
    kept = tmp_path / "config" / "preferences.json"
    async with app_on(home, preferences=Preferences(kept)).run_test(size=(80, 24)) as pilot:
        await listed(pilot, 1)
        await pilot.press("ctrl+p", *f"theme {name}", "enter")
        await until(pilot, lambda: pilot.app.theme == name)
        assert "row-cursor" in pilot.app.theme_variables
    assert DltuiApp(home, preferences=Preferences(kept)).theme == name


ENVIRONMENT = """
import asyncio
from pathlib import Path
from tui.app import DltuiApp

async def main():
    app = DltuiApp(Path("no-runs"))
    async with app.run_test() as pilot:
        await pilot.pause()
        print(app.screen.styles.background.hex)

asyncio.run(main())
"""


@pytest.mark.parametrize("theme", [themes.LIGHT, themes.CONTRAST])
def test_the_environment_chooses_among_our_own_themes(theme: Theme) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENVIRONMENT],
        env={**os.environ, "TEXTUAL_THEME": theme.name},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip().lower() == theme.background, done.stderr


def test_a_theme_that_is_gone_is_not_missed(home: Path) -> None:
    preferences = Preferences(None)
    preferences.set("theme", "of-yesteryear")
    assert DltuiApp(home, preferences=preferences).theme == themes.DEFAULT


# Leaving.


async def test_q_leaves(home: Path) -> None:
    app = app_on(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("q")
    assert app.return_code == 0


async def test_ctrl_c_never_leaves(home: Path) -> None:
    make_run(home)
    async with app_on(home).run_test(size=(80, 24), notifications=True) as pilot:
        await listed(pilot, 1)
        await pilot.press("ctrl+c", "ctrl+c")
        await until(pilot, lambda: pilot.app.screen.query("Toast"))
        assert pilot.app.is_running and pilot.app.return_code is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_leaving_from_outside_gives_the_shells_code(
    home: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.app.threading.Timer", lambda *_: Idle())
    app = app_on(home)
    async with app.run_test(size=(80, 24)) as pilot:
        await asyncio.to_thread(app.leave_from_outside, number)
        await until(pilot, lambda: app.return_code is not None)
    assert app.return_code == 128 + number


class Idle:
    """A timer that never rings."""

    daemon = False

    def start(self) -> None:
        pass


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (10, 4), (40, 12), (300, 100)])
async def test_every_size_is_survived(home: Path, size: tuple[int, int]) -> None:
    make_run(home, hostile=True, status="failed")
    async with app_on(home).run_test(size=size) as pilot:
        await listed(pilot, 1)
        await pilot.press("down", "question_mark", "escape", "slash", "a", "escape")
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: home_screen(pilot).run_list.size.width > 40)


# Small questions.


async def asked(pilot: Pilot[Any], dialog: Any, *keys: str) -> list[Any]:
    answers: list[Any] = []
    pilot.app.push_screen(dialog, answers.append)
    await until(pilot, lambda: pilot.app.screen is dialog and dialog.is_mounted)
    await pilot.press(*keys)
    await until(pilot, lambda: answers)
    return answers


@pytest.mark.parametrize(
    ("keys", "answer"), [("y", True), ("n", False), ("q", False), ("enter", False), ("escape", None)]
)
async def test_confirm(home: Path, keys: str, answer: bool | None) -> None:
    async with app_on(home).run_test() as pilot:
        assert await asked(pilot, Confirm("Delete?", "[b]x[/b]"), keys) == [answer]


async def test_enter_agrees_where_nothing_is_lost(home: Path) -> None:
    async with app_on(home).run_test() as pilot:
        assert await asked(pilot, Confirm("Go on?", "", enter_agrees=True), "enter") == [True]


CHOICES = [Choice("detach", "Detach", "training goes on"), Choice("stop", "Stop"), Choice("kill", "Kill")]


@pytest.mark.parametrize(
    ("keys", "answer"),
    [("enter", "detach"), ("down enter", "stop"), ("up enter", "kill"), ("j k enter", "detach"), ("escape", None)],
)  # fmt: skip
async def test_choose(home: Path, keys: str, answer: str | None) -> None:
    async with app_on(home).run_test() as pilot:
        assert await asked(pilot, Choose("Leave?", CHOICES), *keys.split()) == [answer]


async def test_a_click_chooses(home: Path) -> None:
    async with app_on(home).run_test() as pilot:
        answers: list[Any] = []
        pilot.app.push_screen(Choose("Leave?", CHOICES), answers.append)
        await until(pilot, lambda: pilot.app.screen.query("#choices"))
        await pilot.click("#choices", offset=(4, 1))
        await until(pilot, lambda: answers == ["stop"])


@pytest.mark.parametrize("size", [(40, 12), (80, 24)])
async def test_long_answers_stand_in_full(home: Path, size: tuple[int, int]) -> None:
    said = "Another width: watch what becomes of the validation loss, and of the time a step takes. " * 2
    dialog = Choose("Try", [Choice("a", "model.width=64", said), Choice("b", "model.width=8" * 9, said)])
    async with app_on(home).run_test(size=size) as pilot:
        answers: list[Any] = []
        pilot.app.push_screen(dialog, answers.append)
        await until(pilot, lambda: dialog.is_mounted and dialog.query("#choices").first().size.width)
        box = dialog.query("#choices").first()
        lines = str(box.render()).splitlines()
        assert max(map(len, lines)) <= box.size.width <= size[0] - 4
        if size[1] > 12:
            assert " ".join(" ".join(lines).split()).count(said.strip()) == 2
        second = next(number for number, line in enumerate(lines) if "width=8" in line)
        await pilot.click("#choices", offset=(4, second))
        await until(pilot, lambda: answers == ["b"])


async def test_every_text_of_a_dialog_is_within_a_narrow_terminal(home: Path) -> None:
    asked = Confirm(
        "Delete 5 runs?", "\n".join(["20261121-103140-digits-logistic"] * 5) + "\n\nAll of it. " * 3
    )
    async with app_on(home).run_test(size=(40, 12)) as pilot:
        pilot.app.push_screen(asked)
        await until(pilot, lambda: asked.is_mounted and asked.query(".hint").first().size.width)
        shown = pilot.app.screen.region
        assert all(shown.contains_region(box.region) for box in asked.query("Vertical, .hint"))


async def test_prompt_takes_only_what_will_do(home: Path) -> None:
    async with app_on(home).run_test() as pilot:
        dialog = Prompt("Rate", value="x", check=lambda text: None if text == "1" else "a number [red]")
        answers: list[Any] = []
        pilot.app.push_screen(dialog, answers.append)
        await until(pilot, lambda: dialog.is_mounted and dialog.query(Input))
        await pilot.press("enter")
        await until(pilot, lambda: text_of(dialog.query_one("#complaint")) == "a number [red]")
        dialog.query_one(Input).value = "1"
        await pilot.press("enter")
        await until(pilot, lambda: answers == ["1"])


def test_the_clock_is_the_one_that_was_given(home: Path) -> None:
    assert app_on(home).now() == NOW


async def test_attaching_shows_the_run_and_escape_the_list(home: Path) -> None:
    run = make_run(home, "attached")
    async with app_on(home, attach=run.path).run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: len(pilot.app.screen_stack) == 2)
        assert pilot.app.screen.query_one(Header).where == "attached"
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is home_screen(pilot))
        await listed(pilot, 1)
        assert home_screen(pilot).query_one("#body").display
        assert pilot.app.screen.query_one(Header).where == "runs"


# What it costs to begin.

BEGINNING = """
import sys
sys.argv = ["dltui"]
import tui.start, tui.commands.screen, tui.commands.common, tui.driver, tui.preferences
from tui.app import DltuiApp
from pathlib import Path
DltuiApp(Path("runs"))
print(*sys.modules)
"""


def test_the_first_paint_waits_for_no_library_but_textual() -> None:
    done = subprocess.run([sys.executable, "-c", BEGINNING], capture_output=True, text=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "textual.app" in loaded, done.stderr
    assert not loaded & {
        "numpy",
        "plotext",
        "pydantic",
        "typer",
        "psutil",
        "torch",
        "dlcore.run_dir",
    }
