"""Every key of every screen, panel and dialog is pressed somewhere and does something that can be seen.

The screens that are followed here are gone through key by key; what is pressed in tests of its own is named
in `ELSEWHERE`, and a binding that is neither here nor there is found.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest
from textual.binding import Binding
from textual.pilot import Pilot

import tui
from dlcore.run_dir import RunDir
from tests.tui import test_compare_screen, test_new_run, test_runs_screen
from tests.tui.inspection_cases import ailing_run, inspected_run
from tests.tui.piloting import NOW, app_on, until
from tests.tui.recorded import make_run
from tests.tui.run_cases import full_run, open_run, write_inspection, write_samples
from tests.tui.test_inspector import open_inspector
from tui.app import DltuiApp
from tui.messages import OpenEvaluation

Opener = Callable[[Pilot[Any], Path, ExitStack], Awaitable[object]]

ELSEWHERE = {
    "calculator.": "test_calculator.py::test_lines_typed_before_come_back",
    "calculator.leave": "test_calculator.py::test_esc_leaves_the_prompt_and_not_the_screen",
    "calculator.again": "test_calculator.py::test_without_an_engine_it_says_so_and_can_be_asked_again",
    "dialog.yes": "test_app.py::test_confirm",
    "dialog.no": "test_app.py::test_confirm",
    "dialog.enter": "test_app.py::test_enter_agrees_where_nothing_is_lost",
    "doctor.apply": "test_doctor_panel.py::test_a_key_sets_up_a_run_with_the_remedy",
    "evaluation.": "test_evaluation_screen.py::test_samples_are_chosen_by_verdict_class_and_confidence",
    "evaluation.again": "test_evaluation_screen.py::test_an_error_is_told_with_a_remedy_and_can_be_tried_again",
    "evaluation.next": "test_evaluation_screen.py::test_tables_follow_each_other_round",
    "evaluation.order": "test_evaluation_screen.py::test_one_goes_through_many_samples_and_turns_their_order",
    "evaluation.split": "test_evaluation_screen.py::test_another_part_and_other_weights_are_measured_anew",
    "fix.": "test_fixes.py::test_every_key_of_the_change_is_tried",
    "new.fix": "test_fixes.py::test_one_key_mends_it",
    "form.": "test_form.py::test_the_cursor_moves_in_the_text_and_edits_there",
    "inspector.calculate": "test_calculator.py::test_a_line_is_worked_out_step_by_step",
    "palette.": "test_app.py::test_the_palette_moves_with_the_arrows_and_leaves_with_escape",
    "leave": "test_app.py::test_q_leaves",
    "picker.": "test_new_run.py::test_the_pickers_keys_move",
    "run.continue": "test_run_screen.py::test_pause_becomes_continue",
    "redraw": "test_shown.py::test_the_screen_can_be_drawn_anew",
    "text.": "test_new_run.py::test_every_key_of_the_text_has_a_case",
}
TEXTUALS = {"quit", "suspend"}  # Textual's own actions, which only a real terminal shows


def bound() -> set[str]:
    """The ids of all bindings that the app's own classes make."""
    found = set()
    for module in pkgutil.walk_packages(tui.__path__, "tui."):
        if module.name.startswith(("tui.commands", "tui.verbs")):
            continue
        for kind in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(kind) and kind.__module__ == module.name:
                found |= {b.id for b in kind.__dict__.get("BINDINGS", ()) if isinstance(b, Binding)}
    return found


def seen(app: DltuiApp) -> tuple[object, ...]:
    """All that a key may change: the screens, the focus, every cell, what was told, copied or remembered."""
    strips = app.screen._compositor.render_strips()
    return (
        [type(screen) for screen in app.screen_stack],
        id(app.focused),
        [[(segment.text, segment.style) for segment in strip] for strip in strips],
        len(app._notifications),
        app.clipboard,
        repr(app.preferences._values),
    )


def episodes(run: RunDir) -> None:
    """Newer samples, with moments to step through, and a second look inside."""
    rows = [{"frames": ["left", "right", "down"]}]
    (run.samples_path / "step-00000999.json").write_text(json.dumps({"step": 999, "samples": rows}))
    write_inspection(run, 300)


async def living(pilot: Pilot[Any], home: Path, held: ExitStack) -> object:
    run = full_run(home, name="20251120-231502-digits-cnn", status="running")
    for name in ("other", "third"):
        make_run(home, name)
    episodes(run)
    held.enter_context(run.lock())
    return await open_run(pilot, run)


async def over(pilot: Pilot[Any], home: Path, held: ExitStack) -> object:
    run = full_run(home, status="finished")
    write_samples(run)
    episodes(run)
    return await open_run(pilot, run)


async def ailing(pilot: Pilot[Any], home: Path, held: ExitStack) -> object:
    return await open_run(pilot, ailing_run(home))


async def looked_into(pilot: Pilot[Any], home: Path, held: ExitStack) -> object:
    return await open_inspector(pilot, inspected_run(home))


# Keys in turn, each of which must change something.
SCENES: dict[str, tuple[Opener, str]] = {
    "chart": (
        over,
        "y y s S x home right left end left plus shift+left shift+right shift+up shift+down minus 0 equals_sign 0",
    ),
    "panels": (
        over,
        "2 right_square_bracket left_square_bracket 3 4 5 1 greater_than_sign less_than_sign h H z z"
        " 6 slash x escape c C"
        " 7 full_stop comma left_square_bracket right_square_bracket"
        " 8 left_square_bracket right_square_bracket enter escape 2 I escape r escape t",
    ),
    "commands": (
        living,
        "l escape m escape p e w i X escape o down k j up enter t q escape question_mark down up escape"
        " ctrl+p down up pagedown pageup escape",
    ),
    "doctor": (ailing, "9 n N space escape"),
    "inspector": (
        looked_into,
        "left_square_bracket right_square_bracket a full_stop comma t colon semicolon t b w x f m e s c i"
        " down j k up end home G g pagedown pageup tab shift+tab 2 3 4 1 question_mark escape escape",
    ),
}


async def walk(pilot: Pilot[Any], keys: str) -> set[str]:
    """Presses keys one by one and gives whose they were."""
    app, pressed = pilot.app, set()
    assert isinstance(app, DltuiApp)
    for key in keys.split():
        active = app.screen.active_bindings.get(key)
        before = seen(app)
        await pilot.press(key)
        try:
            await until(pilot, lambda before=before: seen(app) != before)  # type: ignore[misc]
        except AssertionError as error:
            raise AssertionError(f"{key} ({active and active.binding.id}) changed nothing") from error
        if active is not None and active.binding.id:
            pressed.add(active.binding.id)
    return pressed


async def test_every_key_does_something(home: Path) -> None:
    pressed: set[str] = set()
    for name, (opener, keys) in SCENES.items():
        runs = home / name
        runs.mkdir()
        with ExitStack() as held:
            async with app_on(runs).run_test(size=(120, 40)) as pilot:
                await opener(pilot, runs, held)
                pressed |= await walk(pilot, keys)
    tables = (test_runs_screen.KEYS, test_compare_screen.KEYS, test_new_run.CASES)
    known = pressed.union(*tables) | TEXTUALS | {"run.evaluation"}  # has a test below
    assert {name for name in bound() - known if not _elsewhere(name)} == set()


class Wishing(DltuiApp):
    """The app, with the wish for an evaluation written down instead."""

    wishes: ClassVar[list[Path]] = []

    def on_open_evaluation(self, message: OpenEvaluation) -> None:
        message.prevent_default()
        self.wishes.append(message.path)


async def test_an_evaluation_is_opened_from_a_run(home: Path) -> None:
    run = full_run(home, status="finished")
    app = Wishing(home, now=lambda: NOW)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_run(pilot, run)
        await pilot.press("E")
        await until(pilot, lambda: app.wishes == [run.path])


def _elsewhere(name: str) -> bool:
    return name in ELSEWHERE or f"{name.partition('.')[0]}." in ELSEWHERE


@pytest.mark.parametrize("place", sorted(set(ELSEWHERE.values())))
def test_what_is_tried_elsewhere_is(place: str) -> None:
    file, _, test = place.partition("::")
    assert f"def {test}(" in Path(__file__).with_name(file).read_text()
