"""What mends a network that does not fit: told below the failing layer, taken with one key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from tests.tui.piloting import app_on, until
from tests.tui.recorded import HOSTILE
from tests.tui.recorded_engine import RecordedEngine
from tests.tui.test_new_run import OWN, PRESET, _own_bindings, scene
from tui import fixes, themes
from tui.preferences import Preferences
from tui.screens.fix_text import FixText
from tui.screens.new_run import NewRunScreen
from tui.shape_rows import fix_rows

FITS = {"model": {"name": "cnn", "channels": [16, 32]}}
DIFF = """--- net.py
+++ net.py
@@ -11,3 +11,3 @@
         self.pool1 = nn.MaxPool2d(2)
-        self.fc1 = nn.Linear(width * 49, 64)
+        self.fc1 = nn.Linear(width * 16, 64)
         self.fc2 = nn.Linear(64, spec.num_outputs)
"""
BY_VALUES = {"say": "model = cnn", "why": "It takes images of any size.", "set": FITS, "diff": "", "file": ""}
BY_FILE = {
    "say": "fc1 takes 512 numbers",
    "why": "The flatten above gives 32·4·4 = 512.",
    "set": {},
    "diff": DIFF,
    "file": "net.py",
}


class Mending(RecordedEngine):
    """Knows what mends a network that does not fit."""

    def __init__(self, *known: dict[str, Any]) -> None:
        super().__init__()
        self.known = list(known)

    def _answer(self, kind: str, content: Any) -> Any:
        answer = super()._answer(kind, content)
        return answer | {"fixes": self.known} if answer.get("state") == "failed" else answer


@pytest.fixture
def misfit(home: Path) -> str:
    """A preset of the user's own network, which does not fit its data."""
    (home.parent / "net.py").write_text(OWN)
    path = home.parent / "mine.toml"
    path.write_text(PRESET.replace('"cnn"', '"net.py:Net"').replace("channels = [16, 32]\n", ""))
    return "mine.toml"


def failed(**fix: Any) -> dict[str, Any]:
    return {"state": "failed", "fixes": [BY_VALUES | fix]}


def test_a_network_that_fits_has_nothing_to_mend() -> None:
    assert fixes.fixes({"state": "ok", "fixes": [BY_VALUES]}) == ()
    assert fixes.fixes({"state": "failed"}) == ()  # they are still being looked for


def test_three_are_told_at_most_and_none_that_changes_nothing() -> None:
    many = {"state": "failed", "fixes": [BY_VALUES | {"say": str(number)} for number in range(9)]}
    assert [fix.say for fix in fixes.fixes(many)] == ["0", "1", "2"]
    assert fixes.fixes(failed(set={}, diff="")) == ()


@pytest.mark.parametrize("width", [24, 48, 200])
def test_rows_fit_their_width_and_are_safe(width: int) -> None:
    rows = fix_rows(failed(say=HOSTILE * 3, why=HOSTILE), width)
    assert max(len(row.layer) for row in rows) <= width
    assert all(row.layer.isprintable() for row in rows)
    assert {row.fix for row in rows if row.tone == "accent"} == {0}


@pytest.mark.parametrize(("panel", "key"), [("1", "f"), ("2", "ctrl+f"), ("3", "f"), ("3", "ctrl+f")])
async def test_one_key_mends_it(panel: str, key: str, home: Path, misfit: str) -> None:
    async with scene(home, misfit, engine=Mending(BY_VALUES, BY_FILE)) as it:
        await it.until(lambda: it.screen.fixes)
        assert it.screen.key_ids()[0] == "new.fix"
        await it.press(panel, key)
        await it.until(lambda: it.screen.checks.shapes["state"] == "ok")
        assert it.values("model") == FITS["model"]
        assert it.app.told == ["Mended: model = cnn"]
        assert "new.fix" not in it.screen.key_ids()


async def test_f_is_a_letter_where_somebody_types(home: Path, misfit: str) -> None:
    engine = Mending(BY_VALUES)
    async with scene(home, misfit, engine=engine) as it:
        await it.until(lambda: it.screen.fixes)
        engine.silent |= {"validate", "shapes"}
        await it.type_at(("training", "device"), "f")
        assert it.values("training")["device"] == "f" and not it.app.told


async def test_any_fix_can_be_taken_in_the_table(home: Path, misfit: str) -> None:
    async with scene(home, misfit, engine=Mending(BY_FILE, BY_VALUES)) as it:
        await it.until(lambda: it.screen.fixes)
        lines = it.screen.table.lines
        await it.press("3", "end", "up")
        assert lines.here is not None and lines.here.fix == 1
        await it.press("enter")
        await it.until(lambda: it.screen.checks.shapes["state"] == "ok")


async def test_without_one_the_key_does_nothing(home: Path, misfit: str) -> None:
    async with scene(home, misfit) as it:
        await it.until(lambda: it.screen.checks.shapes)
        await it.press("1", "ctrl+f")
        assert it.top is it.screen and not it.app.told
        assert it.screen.key_ids() == it.screen.KEYS


def test_every_key_of_the_change_is_tried() -> None:
    assert _own_bindings(FixText) == {"fix.copy", "fix.leave", "fix.down", "fix.up"}


async def test_a_change_of_the_file_is_shown_and_copied_and_never_made(home: Path, misfit: str) -> None:
    long = BY_FILE | {"diff": DIFF + "\n".join(f"+line {number}" for number in range(60))}
    async with scene(home, misfit, engine=Mending(long), size=(80, 24)) as it:
        await it.until(lambda: it.screen.fixes)
        await it.press("ctrl+f")
        assert isinstance(it.top, FixText)
        page = it.top.query_one("VerticalScroll")
        await it.press("down", "down")
        assert page.scroll_y == 2
        await it.press("up", "c")
        assert page.scroll_y == 1 and it.app.copied == [long["diff"]]
        assert "OSC 52" in str(it.top.query_one(".hint", Static).content)
        await it.press("q")
        assert it.top is it.screen
        assert (home.parent / "net.py").read_text() == OWN
        assert not it.screen.draft.changed  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("theme", [themes.DARK.name, themes.LIGHT.name])
@pytest.mark.parametrize("shown", ["offers", "change"])
def test_pictures(
    shown: str, theme: str, size: tuple[int, int], home: Path, misfit: str, snap_compare: Any
) -> None:
    async def set_up(pilot: Pilot[Any]) -> None:
        screen = NewRunScreen(misfit, Mending(BY_FILE, BY_VALUES))
        await pilot.app.push_screen(screen)
        await until(pilot, lambda: screen.fixes)
        await pilot.press("3")
        if shown == "change":
            await pilot.press("ctrl+f")
            await until(pilot, lambda: isinstance(pilot.app.screen, FixText))

    preferences = Preferences(None)
    preferences.set("theme", theme)
    assert snap_compare(app_on(home, preferences=preferences), terminal_size=size, run_before=set_up)
