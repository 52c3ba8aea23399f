"""Growing lines: wrapped to the width, bounded in memory, at their end until somebody scrolls up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from tests.tui.piloting import until
from tui.panels import panel_types
from tui.samples import Pixels
from tui.themes import tokens
from tui.widgets import half_blocks, text_lines
from tui.widgets.text_lines import Entry, TextLines, wrapped


class Lines(App[None]):
    """Nothing but lines."""

    def compose(self) -> ComposeResult:
        yield TextLines()

    def get_css_variables(self) -> dict[str, str]:
        variables = super().get_css_variables()
        return variables | tokens(variables)

    @property
    def lines(self) -> TextLines:
        return self.query_one(TextLines)


def numbered(count: int, first: int = 0) -> list[Entry]:
    return [Entry(f"line {number}") for number in range(first, first + count)]


def seen(pilot: Pilot[Any]) -> list[str]:
    lines = pilot.app.query_one(TextLines)
    shown = [lines.render_line(y).text.rstrip() for y in range(lines.size.height)]
    return [line for line in shown if line]


@pytest.fixture
def small() -> Iterator[Callable[[], Any]]:
    yield lambda: Lines().run_test(size=(30, 6))


async def test_it_stays_at_the_end_until_somebody_goes_up(small: Callable[[], Any]) -> None:
    async with small() as pilot:
        lines = pilot.app.lines
        lines.extend(numbered(20))
        await until(pilot, lambda: seen(pilot)[-1:] == ["line 19"])
        lines.extend(numbered(1, 20))
        await until(pilot, lambda: seen(pilot)[-1:] == ["line 20"])
        lines.focus()
        await pilot.press("home")
        lines.extend(numbered(5, 21))
        await pilot.pause()
        assert seen(pilot)[0] == "line 0"
        await pilot.press("end")
        lines.extend(numbered(1, 26))
        await until(pilot, lambda: seen(pilot)[-1:] == ["line 26"])


async def test_long_lines_are_wrapped_behind_their_lead(small: Callable[[], Any]) -> None:
    async with small() as pilot:
        pilot.app.lines.extend([Entry("one two three four five six", "12:00:00", "▲", "warning")])
        await until(pilot, lambda: len(seen(pilot)) == 2)
        assert seen(pilot) == ["12:00:00 ▲ one two three four", "           five six"]
        await pilot.resize_terminal(60, 6)
        await until(pilot, lambda: seen(pilot) == ["12:00:00 ▲ one two three four five six"])


async def test_only_so_many_are_kept(small: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_lines, "MOST", 100)
    async with small() as pilot:
        lines = pilot.app.lines
        for start in range(0, 1000, 50):
            lines.extend(numbered(50, start))
            assert len(lines.entries) <= 100
        await until(pilot, lambda: seen(pilot)[-1:] == ["line 999"])
        lines.replace(numbered(500))
        assert len(lines.entries) == 100


async def test_what_only_goes_on_is_not_wrapped_again(small: Callable[[], Any]) -> None:
    async with small() as pilot:
        lines = pilot.app.lines
        lines.replace(numbered(3))
        first = lines._rows[0]
        lines.replace(numbered(4))
        assert lines._rows[0] is first and len(lines.entries) == 4
        lines.replace(numbered(2, 7))
        assert [entry.text for entry in lines.entries] == ["line 7", "line 8"]


async def test_a_filter_shows_what_contains_it_in_any_case(small: Callable[[], Any]) -> None:
    async with small() as pilot:
        lines = pilot.app.lines
        lines.extend([Entry("Loss is NaN"), Entry("fine"), Entry("nan again", "12:00:00")])
        lines.set_filter("nan")
        assert lines.matching == 2
        lines.extend([Entry("not this"), Entry("NAN")])
        assert lines.matching == 3
        lines.set_filter("12:00")
        assert lines.matching == 1
        lines.set_filter("")
        assert lines.matching == 5


async def test_a_sentence_in_the_place_of_lines_is_not_marked(small: Callable[[], Any]) -> None:
    async with small() as pilot:
        lines = pilot.app.lines
        lines.extend([Entry("Nothing here yet.", tone="quiet")])
        lines.focus()
        assert not lines.is_marked(0)
        lines.replace([Entry("a line"), Entry("routine", "12:00:00", tone="quiet")])
        await until(pilot, lambda: lines.is_marked(1))


async def test_lines_can_be_copied(small: Callable[[], Any]) -> None:
    async with small() as pilot:
        lines = pilot.app.lines
        lines.extend([Entry("first", "12:00:00"), Entry("second")])
        lines.focus()
        await pilot.press("c")
        assert pilot.app.clipboard == "second"
        await pilot.press("C")
        assert pilot.app.clipboard == "12:00:00 first\nsecond"


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs"]), max_size=200), st.integers(1, 40))
def test_wrapping_loses_nothing_but_blanks_and_fits(text: str, width: int) -> None:
    parts = wrapped(text, width)
    assert "".join("".join(parts).split()) == "".join(text.split())
    if text.isascii():
        assert all(cell_len(part) <= width for part in parts)


# Pictures.

RED, BLACK = (255, 0, 0), (0, 0, 0)
PICTURE: Pixels = ((RED, RED, BLACK), (BLACK, BLACK, BLACK), (RED, BLACK, RED))


def test_two_pixels_share_a_cell_and_equal_neighbours_a_segment() -> None:
    first, last = half_blocks.draw(PICTURE, ascii_only=False)
    assert [segment.text for segment in first] == ["▀▀", "▀"]
    assert first[0].style is not None and first[0].style.color is not None
    assert first[0].style.color.triplet == (255, 0, 0)
    assert first[0].style.bgcolor is not None and first[0].style.bgcolor.triplet == (0, 0, 0)
    assert all(segment.style is not None and segment.style.bgcolor is None for segment in last)


def test_without_unicode_brightness_is_a_sign() -> None:
    grey: Pixels = (((255, 255, 255), (0, 0, 0)),)
    assert [segment.text for segment in half_blocks.draw(grey, ascii_only=True)[0]] == ["@ "]


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 70))
def test_a_scaled_picture_fits_and_keeps_its_shape(wide: int, tall: int, columns: int) -> None:
    found = half_blocks.scaled(((BLACK,) * wide,) * tall, columns)
    assert len(found[0]) == min(wide, columns)
    assert len(found) == (tall if wide <= columns else max(1, tall * columns // wide))


# Panels.


def test_panels_are_found_by_themselves_and_each_has_a_key_of_its_own() -> None:
    kinds = panel_types()
    assert [kind.KEY for kind in kinds] == [
        "loss", "metric", "system", "time", "events", "log", "samples", "layers", "doctor"
    ]  # fmt: skip
    assert len({kind.TAB for kind in kinds}) == len(kinds) <= 9


def test_a_panel_knows_no_other_panel() -> None:
    folder = Path(text_lines.__file__).parents[1] / "panels"
    for path in folder.glob("*.py"):
        imports = [
            line for line in path.read_text().splitlines() if "tui.panels" in line and "import" in line
        ]
        assert not imports, f"{path.name}: {imports}"
