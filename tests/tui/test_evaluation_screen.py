"""The evaluation screen: how far the engine is, what it found, and samples chosen by verdict, class and confidence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from rich.segment import Segment
from textual.color import Color
from textual.pilot import Pilot

from tests.tui.evaluation_cases import NAMES, JudgingEngine, classified, regressed, samples, section
from tests.tui.piloting import app_on, until
from tests.tui.recorded import HOSTILE
from tui import evaluation_views, heat, report_lines
from tui.evaluation import Judged, Wish, parse
from tui.screens.evaluation import EvaluationScreen
from tui.widgets.chart_style import contrast
from tui.widgets.frame import Frame
from tui.widgets.page import Page

WIDE, NARROW = (120, 40), (80, 24)


async def open_evaluation(pilot: Pilot[Any], path: Path, engine: JudgingEngine) -> EvaluationScreen:
    screen = EvaluationScreen(path / "animals", engine=engine)
    await pilot.app.push_screen(screen)
    await until(pilot, lambda: screen.errors or screen.judged.state != "loading")
    return screen


def page(screen: EvaluationScreen, name: str) -> str:
    return screen.query_one(f"#{name}-page", Page).text


def state(screen: EvaluationScreen, name: str) -> str:
    return screen.query_one(f"#{name}", Frame).frame_state


async def test_it_tells_how_far_it_is_and_then_what_was_found(home: Path) -> None:
    engine = JudgingEngine()
    engine.holds = True
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_evaluation(pilot, home, engine)
        assert "measured 16 of 40 samples" in page(screen, "figures")
        engine.holds = False
        await pilot.press("r")
        await until(pilot, lambda: screen.judged.state == "done")
        assert "40 samples, test part of animals" in page(screen, "figures")
        assert "best, epoch 4, step 120" in page(screen, "figures")
        assert "accuracy" in page(screen, "figures")
        assert "net.py has changed since" in page(screen, "figures")
        assert screen.query_one("#report", Frame).frame_title == "Classes"
        assert "horse" in page(screen, "report")


async def test_tables_follow_each_other_round(home: Path) -> None:
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_evaluation(pilot, home, JudgingEngine())
        titles = []
        for _ in range(4):
            titles.append(screen.query_one("#report", Frame).frame_title)
            await pilot.press("right_square_bracket")
        assert titles == ["Classes", "Confusion matrix", "Calibration", "Classes"]
        await pilot.press("left_square_bracket")
        assert screen.query_one("#report", Frame).frame_title == "Classes"


async def test_samples_are_chosen_by_verdict_class_and_confidence(home: Path) -> None:
    wrong = [row for row in samples() if row["target"] != row["prediction"]]
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_evaluation(pilot, home, JudgingEngine())
        await until(pilot, lambda: screen.total == len(wrong))
        surest = max(wrong, key=lambda row: max(row["probabilities"]))
        said = (
            f"{NAMES[surest['prediction']]} not {NAMES[surest['target']]} {max(surest['probabilities']):.0%}"
        )
        assert said in page(screen, "gallery")
        await pilot.press("w")
        await until(pilot, lambda: screen.total == 40 - len(wrong))
        assert state(screen, "gallery").startswith("right · 1–12 of")
        await pilot.press("s")
        await until(pilot, lambda: "99 % to 100 % sure" in state(screen, "gallery"))
        await pilot.press("x")
        await until(pilot, lambda: screen.total == 40)
        await pilot.press("c", *"horse", "enter")
        await until(pilot, lambda: screen.total == 13)
        assert "true horse" in state(screen, "gallery")
        await pilot.press("t", *"cat", "enter")
        await until(pilot, lambda: screen.total < 13)
        assert "taken for cat" in state(screen, "gallery")
        await pilot.press("c", *"any", "enter")
        await until(pilot, lambda: screen.wish.target is None)


async def test_one_goes_through_many_samples_and_turns_their_order(home: Path) -> None:
    engine = JudgingEngine()
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_evaluation(pilot, home, engine)
        await pilot.press("x", "full_stop")
        await until(pilot, lambda: "13–24 of 40" in state(screen, "gallery"))
        await pilot.press("full_stop", "full_stop", "full_stop")
        await until(pilot, lambda: "37–40 of 40" in state(screen, "gallery"))
        await pilot.press("comma")
        await until(pilot, lambda: "25–36 of 40" in state(screen, "gallery"))
        await pilot.press("o")
        await until(pilot, lambda: "least sure first · 1–12 of 40" in state(screen, "gallery"))


async def test_numbers_have_no_verdict_and_the_worst_come_first(home: Path) -> None:
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_evaluation(pilot, home, JudgingEngine(regressed()))
        await until(pilot, lambda: "worst first" in state(screen, "gallery"))
        assert "⡀" <= max(page(screen, "report")) <= "⣿", "points in braille"
        assert page(screen, "gallery").splitlines()[1].split()[0] == "111.0"
        await pilot.press("w")
        await pilot.pause()
        assert "worst first" in state(screen, "gallery")
        await pilot.press("o")
        await until(pilot, lambda: "best first" in state(screen, "gallery"))


async def test_another_part_and_other_weights_are_measured_anew(home: Path) -> None:
    engine = JudgingEngine()
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_evaluation(pilot, home, engine)
        await pilot.press("p", "k")
        await until(pilot, lambda: screen.judged.state == "done")
        asked = [content for kind, content in engine.asked if kind == "evaluation"]
        assert [(each["split"], each["checkpoint"]) for each in asked] == [
            ("", "best"), ("val", "best"), ("val", "last"),
        ]  # fmt: skip


async def test_an_error_is_told_with_a_remedy_and_can_be_tried_again(home: Path) -> None:
    engine = JudgingEngine(errors=("run animals has no checkpoint yet: nothing is trained",))
    async with app_on(home).run_test(size=NARROW) as pilot:
        screen = await open_evaluation(pilot, home, engine)
        assert "no checkpoint yet" in page(screen, "figures")
        assert "r tries again" in page(screen, "figures")
        await pilot.press("r")
        await until(pilot, lambda: screen.judged.state == "done")


async def test_whoever_leaves_early_stops_the_measuring(home: Path) -> None:
    engine = JudgingEngine()
    engine.holds = True
    async with app_on(home).run_test(size=WIDE) as pilot:
        screen = await open_evaluation(pilot, home, engine)
        await pilot.press("escape")
        await until(pilot, lambda: not screen.is_attached)
    assert engine.asked[-1] == ("evaluation", {"run": ""})


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"state": "done", "result": 3},
        {"state": "done", "result": {"report": {"x": 3}, "metrics": []}},
    ],
)
def test_an_answer_of_any_shape_is_read(answer: Any) -> None:
    assert isinstance(parse(answer), Judged)


@pytest.mark.parametrize("kind", ["table", "matrix", "bars", "points", "novel", None])
def test_a_section_that_is_not_whole_is_passed_over(kind: Any) -> None:
    for content in ({"kind": kind}, {"kind": kind, "rows": 3, "names": [1], "x": ["a"], "y": None}):
        assert report_lines.lines(content, 60, 10) == []
        assert "nothing in it" in "".join(part.text for part in evaluation_views.section(content, 60, 20)[0])


def test_nothing_of_a_run_reaches_the_terminal_raw() -> None:
    answer = classified(samples()) | {"classes": [HOSTILE] * 3}
    answer["result"]["notes"] = [HOSTILE]
    answer["result"]["report"] = {HOSTILE: section("matrix", HOSTILE, HOSTILE, names=[HOSTILE], cells=[[3]])}
    judged = parse(answer)
    lines = evaluation_views.figures(judged, 60)
    for content in judged.sections.values():
        lines = [*lines, *evaluation_views.section(content, 60, 20)]
    shown = "".join(part.text for line in lines for part in line) + "".join(judged.classes)
    assert shown.isprintable()


def test_many_classes_are_a_picture_without_numbers() -> None:
    names = [f"class {at}" for at in range(100)]
    cells = [[int(row == column) for column in range(100)] for row in range(100)]
    lines = evaluation_views.section(section("matrix", "confusion", names=names, cells=cells), 50, 30)
    assert all(sum(len(part.text) for part in line) <= 50 for line in lines)
    assert len(lines) > 20


@pytest.mark.parametrize("palette", [heat.DARK, heat.LIGHT], ids=["dark", "light"])
def test_every_count_can_be_read_on_the_theme_s_ground(palette: heat.Palette) -> None:
    cells = [[100 - wrong, wrong] for wrong in range(0, 101, 5)]
    square = [(row + [0] * 21)[:21] for row in cells]
    content = section("matrix", "confusion", names=[str(at) for at in range(21)], cells=square)
    theme = Color(*palette.middle)
    drawn = [part for line in evaluation_views.section(content, 120, 40, palette) for part in line]
    shaded = [part.style for part in drawn if isinstance(part, Segment) and part.style and part.style.bgcolor]
    grounds = [Color.from_rich_color(style.bgcolor) for style in shaded]
    inks = [Color.from_rich_color(style.color) for style in shaded]
    assert min(map(contrast, inks, grounds)) >= 4.4
    least = min(grounds, key=lambda ground: abs(ground.brightness - theme.brightness))
    assert abs(least.brightness - theme.brightness) < 0.3, "few samples are a light shade of the ground"


def test_a_wish_says_what_is_seen() -> None:
    judged = Judged(sorted_by="class", classes=tuple(NAMES))
    wish = Wish("right", 0, 2, 2, False)
    assert wish.told(judged) == "right · true cat · taken for horse · 90 % to 99 % sure · least sure first"


Before = Callable[[Pilot[Any]], Awaitable[None]]


def evaluating(home: Path, engine: JudgingEngine, *keys: str) -> Before:
    async def before(pilot: Pilot[Any]) -> None:
        screen = await open_evaluation(pilot, home, engine)
        await until(pilot, lambda: screen.total)
        for key in keys:
            await pilot.press(key)
        await pilot.pause()

    return before


@pytest.mark.parametrize(
    ("size", "keys"), [(WIDE, ("right_square_bracket",)), (NARROW, ()), (NARROW, ("x",))],
    ids=["120x40", "80x24-figures", "80x24-gallery"],
)  # fmt: skip
def test_a_classifier(home: Path, snap_compare: Any, size: tuple[int, int], keys: tuple[str, ...]) -> None:
    before = evaluating(home, JudgingEngine(), *keys)
    assert snap_compare(app_on(home), terminal_size=size, run_before=before)


def test_residuals(home: Path, snap_compare: Any) -> None:
    before = evaluating(home, JudgingEngine(regressed()))
    assert snap_compare(app_on(home), terminal_size=WIDE, run_before=before)
