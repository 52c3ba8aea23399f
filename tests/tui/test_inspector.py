"""The inspector: what it reads, what it draws of it, and where its keys lead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.color import Color
from rich.segment import Segment
from textual.pilot import Pilot

from dlcore.run_dir import RunDir
from tests.tui.inspection_cases import inspected_run
from tests.tui.piloting import app_on, until
from tests.tui.recorded import HOSTILE, make_run
from tui import heat, inspection, inspector_views, themes
from tui.folder_follower import FolderRead
from tui.inspection import Inspection
from tui.inspector_views import Choice
from tui.screens.inspector import OVER, InspectorScreen
from tui.widgets.keys import KeyBar
from tui.widgets.page import Page
from tui.widgets.slider import Slider


def text(lines: Any) -> str:
    return "\n".join("".join(part.text for part in line) for line in lines)


async def open_inspector(pilot: Pilot[Any], run: RunDir) -> InspectorScreen:
    screen = InspectorScreen(run.path)
    await pilot.app.push_screen(screen)
    await until(pilot, lambda: screen.file and screen.settled)
    return screen


def page(screen: InspectorScreen, name: str = "view") -> str:
    return screen.query_one(f"#{name}-page", Page).text


def test_any_two_axes_of_a_tensor_can_be_shown() -> None:
    array = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    whole, _ = inspector_views.sliced(array, Choice(indices=(1,)))
    np.testing.assert_array_equal(whole, array[1])
    matrix, said = inspector_views.sliced(array, Choice(indices=(1, 2), numbers=True))
    np.testing.assert_array_equal(matrix, array[1, 2])
    assert said == "4×5 (axis 2, axis 3) · axis 0 at 1 of 2, axis 1 at 2 of 3"
    turned, said = inspector_views.sliced(array, Choice(indices=(4, 1), numbers=True, turned=1))
    np.testing.assert_array_equal(turned, array[1, :, :, 4])


@pytest.mark.parametrize("shape", [(), (7,), (3, 4), (2, 3, 4), (2, 3, 4, 5), (1, 2, 1, 3, 2)])
@pytest.mark.parametrize("turned", range(3))
def test_tensors_of_any_rank_are_drawn(shape: tuple[int, ...], turned: int) -> None:
    array = np.ones(shape, np.float32)
    for numbers in (False, True):
        choice = Choice("activation", numbers=numbers, turned=turned, indices=(9, 9, 9))
        assert inspector_views.tensor(Inspection(), choice, array, 40)


def test_values_stand_where_they_are() -> None:
    lines = heat.value_table(np.array([[1.5, -2.25], [float("nan"), 1e-9]], np.float32), 40)
    assert text(lines).split() == ["0", "1", "0", "1.5", "-2.25", "1", "nan", "1e-09"]


def test_colours_part_at_zero_and_mark_what_is_no_number() -> None:
    low, zero, high, bad = heat.colours(np.array([[-2.0, 0.0, 2.0, np.inf]], np.float32), -2, 2)[0].tolist()
    assert (tuple(low), tuple(zero), tuple(high), tuple(bad)) == (
        heat.DARK.low,
        heat.DARK.middle,
        heat.DARK.high,
        heat.DARK.not_finite,
    )


def test_a_histogram_shows_even_a_single_value() -> None:
    assert heat.bars([0, 1, 1000], height=2) == ["  █", " ▁█"]


def test_points_of_every_class_have_a_sign_of_their_own() -> None:
    plane = np.array([[0, 0], [1, 1], [0, 1]], np.float32)
    assert text(heat.points(plane, [0, 1, 0], 3, 2)).split("\n") == ["o +", "o  "]


def test_the_flow_names_layers_that_hardly_learn() -> None:
    rows = [
        {"path": path, "parameters": {"weight": {"shape": [2, 2], "gradient": {"norm": norm}}}}
        for path, norm in (("first", 1e-9), ("last", 1.0))
    ]
    lines = text(inspector_views.flow_lines(Inspection(entries=tuple(rows)), "first", 50)).split("\n")
    assert lines[0].startswith("first ━ ")
    assert lines[0].endswith("▲")
    assert "▲" not in lines[1]


@pytest.mark.parametrize(
    "content", [None, [], {}, {"layers": 3}, {"layers": [{"parameters": [1]}], "views": 7, "shown": {}}]
)
def test_files_may_hold_anything(content: Any) -> None:
    look = inspection.read(content, {})
    for view, _ in inspector_views.VIEWS:
        inspector_views.array_for(look, Choice(view))
        inspector_views.lines(look, Choice(view), None, 40, 10)
    inspector_views.flow_lines(look, "", 40)


def test_arrays_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    path = tmp_path / "step-00000001.json"
    assert inspection.load(path, "x") is None
    path.with_suffix(".npz").write_bytes(b"PK\x03\x04 torn")
    assert inspection.load(path, "x") is None
    np.savez(path.with_suffix(".npz"), x=np.array([{"evil": 1}], dtype=object))
    assert inspection.load(path, "x") is None


async def test_the_slider_goes_through_the_looks(home: Path) -> None:
    run = inspected_run(home)
    async with app_on(home).run_test(size=(120, 40)) as pilot:
        screen = await open_inspector(pilot, run)
        assert screen.look.step == 161
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: screen.look.step == 138)
        await pilot.press(*["left_square_bracket"] * 5)
        await until(pilot, lambda: screen.look.step == 0)
        await pilot.press(*["right_square_bracket"] * 9)
        await until(pilot, lambda: screen.look.step == 161)


async def test_a_run_without_a_look_says_what_to_do_and_a_live_one_can_be_asked(home: Path) -> None:
    run = make_run(home, "plain")
    async with app_on(home).run_test(size=(120, 40)) as pilot:
        await pilot.app.push_screen(InspectorScreen(run.path))
        await until(pilot, lambda: pilot.app.screen.query_one(Slider).told == OVER)
        await pilot.press("i")
        assert not run.control_path.exists() or '"inspect"' not in run.control_path.read_text()
        with run.lock():
            await pilot.press("i")
            assert '"inspect"' in run.control_path.read_text()


async def test_maps_are_drawn_for_the_theme_at_once_when_it_changes(home: Path) -> None:
    run = inspected_run(home)
    app = app_on(home)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_inspector(pilot, run)
        await pilot.press("a")
        drawn: list[heat.Palette] = []
        for theme in (themes.LIGHT, themes.DARK):
            app.theme = theme.name
            await pilot.pause()
            page = app.screen.query_one("#view-page", Page)
            palette = heat.DARK if theme.dark else heat.LIGHT
            ends = {Color.from_rgb(*each) for each in (palette.low, palette.high)}
            inks = {part.style.color for line in page._lines for part in line if isinstance(part, Segment)}
            assert ends & inks, theme.name
            drawn.append(palette)
        assert drawn == [heat.LIGHT, heat.DARK]


def test_both_grounds_are_further_from_the_ends_than_from_their_theme() -> None:
    for palette, theme in ((heat.DARK, themes.DARK), (heat.LIGHT, themes.LIGHT)):
        ground = np.array(bytearray.fromhex(str(theme.background).lstrip("#")), float)
        middle = np.array(palette.middle, float)
        assert np.abs(middle - ground).sum() < 90
        for colour in (palette.low, palette.high, *palette.points):
            assert np.abs(np.array(colour) - ground).sum() > 180, (theme.name, colour)


async def test_two_steps_side_by_side(home: Path) -> None:
    run = inspected_run(home)
    async with app_on(home).run_test(size=(140, 40)) as pilot:
        screen = await open_inspector(pilot, run)
        await pilot.press("c", "left_square_bracket")
        await until(pilot, lambda: screen.look.step == 138 and screen.settled)
        head = page(screen).split("\n")[0]
        assert "step 161 · last" in head
        assert "step 138 · best" in head
        await pilot.press("c")
        await until(pilot, lambda: "step 161" not in page(screen))


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("s", "the last step moved the weights"),
        ("a", "6×8×8 (channel, row, column) · sample 0 of 4"),
        ("b", "sample 0 of 4"),
        ("w", "6×3×3 (output, axis 2, axis 3) · input 0 of 1"),
        ("f", "0        1"),
        ("m", "2×8×8 (head, query, key)"),
        ("e", "71% of the variance"),
    ],
)
async def test_every_view_of_a_layer(home: Path, key: str, says: str) -> None:
    run = inspected_run(home)
    async with app_on(home).run_test(size=(120, 40)) as pilot:
        screen = await open_inspector(pilot, run)
        await pilot.press(key)
        await until(pilot, lambda: screen.settled and says in page(screen))


async def test_another_sample_and_the_numbers_themselves(home: Path) -> None:
    run = inspected_run(home)
    async with app_on(home).run_test(size=(120, 40)) as pilot:
        screen = await open_inspector(pilot, run)
        await pilot.press("a", "full_stop", "t", "colon")
        said = "sample 1 of 4 (number 16), channel 1 of 6"
        await until(pilot, lambda: screen.settled and said in " ".join(page(screen).split()))


async def test_a_layer_marked_is_the_layer_shown(home: Path) -> None:
    run = inspected_run(home)
    async with app_on(home).run_test(size=(120, 40)) as pilot:
        screen = await open_inspector(pilot, run)
        await pilot.press("down", "down", "down")
        await until(pilot, lambda: screen.choice.layer == 3 and "output" in page(screen))
        assert screen.query_one("#view").border_title is not None
        assert "head" in str(screen.query_one("#view").border_title)


async def test_names_from_outside_cannot_take_over_the_terminal(home: Path) -> None:
    run = inspected_run(home)
    path = max(run.inspections_path.glob("*.json"))
    import json

    content = json.loads(path.read_text())
    content["layers"][0]["path"] = HOSTILE.encode("utf-8", "replace").decode()
    path.write_text(json.dumps(content))
    async with app_on(home).run_test(size=(120, 40)) as pilot:
        screen = await open_inspector(pilot, run)
        assert "\x1b" not in page(screen) + page(screen, "flow")


async def test_the_line_of_keys_follows_the_first_look(home: Path) -> None:
    """The first look may be read after the line was drawn, and may be made while one waits for it."""
    run = inspected_run(home)
    async with app_on(home).run_test(size=(120, 40)) as pilot:
        screen = await open_inspector(pilot, run)
        bar = screen.query_one(KeyBar)
        folder, files, file, look = screen.run.inspections_path, screen.files, screen.file, screen.look

        def told() -> list[str]:
            return [key.description for key in bar.keys]

        screen._follower.stop()
        screen.post_message(FolderRead(folder, (), "", None))
        await until(pilot, lambda: "inspect" in told())
        screen.post_message(FolderRead(folder, files, file, look))
        await until(pilot, lambda: "earlier" in told())
        assert "inspect" not in told()
