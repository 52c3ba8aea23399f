"""The shape calculator of the inspector: a prompt, its history, and errors under the character they are about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.message import Message
from textual.pilot import Pilot

from tests.tui.inspection_cases import inspected_run
from tests.tui.piloting import app_on, until
from tui import calculation, inspection
from tui.engine_client import EngineClient
from tui.messages import EngineAnswered
from tui.preferences import Preferences
from tui.screens.inspector import InspectorScreen
from tui.widgets.calculator import Calculator

LONG = "8x3x32x32 > Conv2d(?,32,3,padding=1) > MaxPool2d(2) > Flatten() > Linear(?,10)"


class Answering(EngineClient):
    """The real calculator, in this process."""

    def __init__(self, errors: tuple[str, ...] = ()) -> None:
        super().__init__(["/no/engine"])
        self.errors = errors
        self.asked: list[dict[str, Any]] = []
        self.restarts = 0

    def ask(self, post: Callable[[Message], object], kind: str, **content: Any) -> int:
        from dlcore.inspecting import calculated

        self.asked.append(content)
        answer = None if self.errors else calculated(content["text"], content["input"])
        post(EngineAnswered(len(self.asked), kind, answer, self.errors))
        return len(self.asked)

    def restart(self) -> None:
        self.restarts += 1
        self.errors = ()


async def opened(pilot: Pilot[Any], home: Path, engine: EngineClient) -> Calculator:
    """The inspector with the cursor in the prompt."""
    screen = InspectorScreen(inspected_run(home).path, engine)
    await pilot.app.push_screen(screen)
    await until(pilot, lambda: screen.file and screen.settled)
    await pilot.press("equals_sign")
    await until(pilot, lambda: screen.calculator.prompt.has_focus)
    return screen.calculator


async def put(pilot: Pilot[Any], calculator: Calculator, line: str) -> None:
    """Types a line and waits for what is shown of its answer."""
    calculator.prompt.value = line
    calculator.prompt.cursor_position = len(line)
    before = calculator.answer
    await pilot.press("enter")
    await until(pilot, lambda: not calculator.waiting and calculator.answer is not before)


async def test_a_line_is_worked_out_step_by_step(home: Path) -> None:
    async with app_on(home).run_test(size=(120, 40)) as pilot:
        calculator = await opened(pilot, home, Answering())
        await put(pilot, calculator, LONG)
        said = calculator.page.text.splitlines()
        assert [line.split() for line in said[:2]] == [
            ["8x3x32x32", "8×3×32×32"],
            ["Conv2d(3,", "32,", "3,", "padding=1)", "8×32×32×32"],
        ]
        assert said[4].split()[-1] == "8×10"
        assert "Linear(8192, 10)" in "".join(said[5:]), "what each ? has become"


async def test_what_is_wrong_is_marked_under_its_characters(home: Path) -> None:
    async with app_on(home).run_test(size=(120, 40)) as pilot:
        calculator = await opened(pilot, home, Answering())
        line = "a: 3x4; b: 5x4; a @ b"
        await put(pilot, calculator, line)
        marks, said, *_ = calculator.page.text.splitlines()
        assert (marks.index("^"), marks.count("^")) == (2 + line.index("a @ b"), 5)
        assert said.startswith("  ✗ matmul cannot multiply")
        assert calculator.prompt.cursor_position == line.index("a @ b")
        await pilot.press("end", "T")
        await until(pilot, lambda: "^" not in calculator.page.text)


async def test_a_mark_keeps_its_place_in_a_line_longer_than_the_prompt(home: Path) -> None:
    async with app_on(home).run_test(size=(110, 40)) as pilot:
        calculator = await opened(pilot, home, Answering())
        line = f"{LONG} > Linaer(10,2)"
        await put(pilot, calculator, line)
        room = calculator.prompt.scrollable_content_region
        assert len(line) > room.width
        assert room.height == 1, "no scroll bar in its place"
        marks = calculator.page.text.splitlines()[0]
        place = marks.index("^") - 2 + int(calculator.prompt.scroll_offset.x)
        assert line[place:].startswith("Linaer")
        assert marks.count("^") == len("Linaer(10,2)")


async def test_lines_typed_before_come_back(home: Path) -> None:
    preferences = Preferences(home / "preferences.json")
    async with app_on(home, preferences=preferences).run_test(size=(120, 40)) as pilot:
        calculator = await opened(pilot, home, Answering())
        await put(pilot, calculator, "a: 2x3; a.T")
        await put(pilot, calculator, "2x5 > Linear(5,1)")
        calculator.prompt.value = "half"
        await pilot.press("up")
        assert calculator.prompt.value == "2x5 > Linear(5,1)"
        await pilot.press("up", "up")
        assert calculator.prompt.value == "a: 2x3; a.T"
        await pilot.press("down", "down")
        assert calculator.prompt.value == "half"
    async with app_on(home, preferences=Preferences(home / "preferences.json")).run_test() as pilot:
        screen = InspectorScreen(home / "other", Answering())
        await pilot.app.push_screen(screen)
        await until(pilot, lambda: screen.layer_list.has_focus)
        await pilot.press("equals_sign", "up")
        await until(pilot, lambda: screen.calculator.prompt.value == "2x5 > Linear(5,1)")


async def test_esc_leaves_the_prompt_and_not_the_screen(home: Path) -> None:
    async with app_on(home).run_test(size=(80, 24)) as pilot:
        calculator = await opened(pilot, home, Answering())
        await pilot.press("q", "escape")
        screen = pilot.app.screen
        assert isinstance(screen, InspectorScreen)
        await until(pilot, lambda: screen.layer_list.has_focus)
        assert calculator.prompt.value == "q"


async def test_without_an_engine_it_says_so_and_can_be_asked_again(home: Path) -> None:
    engine = Answering(("The engine cannot be started: no torch",))
    async with app_on(home).run_test(size=(120, 40)) as pilot:
        calculator = await opened(pilot, home, engine)
        calculator.prompt.value = "2x5 > Linear(5,1)"
        await pilot.press("enter")
        await until(pilot, lambda: "cannot be started" in calculator.page.text)
        await pilot.press("f5")
        await until(pilot, lambda: "2×1" in calculator.page.text)
        assert engine.restarts == 1


async def test_layers_alone_work_on_what_goes_into_the_network(home: Path) -> None:
    engine = Answering()
    async with app_on(home).run_test(size=(120, 40)) as pilot:
        calculator = await opened(pilot, home, engine)
        calculator.x = "64x1x8x8"
        await put(pilot, calculator, "Flatten() > Linear(?,10)")
        assert "64×10" in calculator.page.text


@pytest.mark.parametrize(
    ("spec", "fed"),
    [
        ({"input_shape": [1, 8, 8], "input_dtype": "float32"}, "64x1x8x8"),
        ({"input_shape": [33], "input_dtype": "int64", "vocabulary": ["a"] * 50}, "64x33:int64<50"),
        ({"input_shape": [0, "x"]}, ""),
        (None, ""),
    ],
)
def test_the_batch_that_went_in(spec: Any, fed: str) -> None:
    assert inspection.read({"batch": 64, "layers": []}, {"spec": spec}).fed == fed


anything = st.recursive(
    st.none() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["rows", "say", "output", "problem", "at", "message"]), inner)
    ),
    max_leaves=12,
)


@given(anything, st.integers(12, 80))
def test_answers_may_hold_anything(answer: Any, width: int) -> None:
    for line in calculation.answer_lines(answer, width):
        assert "\x1b" not in "".join(part.text for part in line)
    calculation.problem_of(answer)
    calculation.remembered(answer)


def test_the_history_is_bounded_and_without_repeats() -> None:
    typed: list[str] = []
    for number in range(3 * calculation.MOST_TYPED):
        typed = calculation.with_line(typed, f"{number % (2 * calculation.MOST_TYPED)}x1")
    assert len(typed) == len(set(typed)) == calculation.MOST_TYPED


@pytest.mark.usefixtures("universal_time")
@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
def test_picture(home: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        calculator = await opened(pilot, home, Answering())
        await put(pilot, calculator, "8x3x32x32 > Conv2d(3,32,3) > Flaten() > Linear(?,10)")
        await until(pilot, lambda: "^" in calculator.page.text)

    assert snap_compare(app_on(home), terminal_size=size, run_before=before)
