"""A line of text being edited."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui import words
from tui.widgets.edit_line import LONGEST, EditLine

LINES = st.builds(
    lambda text, at, selected: EditLine(text, min(at, len(text)), selected and bool(text)),
    st.text(max_size=40),
    st.integers(0, 40),
    st.booleans(),
)


def test_what_is_typed_replaces_a_text_just_arrived_at() -> None:
    assert EditLine.of("64").insert("1").insert("28").text == "128"


def test_an_arrow_first_keeps_the_text() -> None:
    assert EditLine.of("64").move(1).insert("0").text == "640"
    assert EditLine.of("64").move(-1).insert("1").text == "164"


def test_typing_goes_where_the_cursor_is() -> None:
    assert EditLine("ac", 1).insert("b") == EditLine("abc", 2)


@pytest.mark.parametrize(
    ("line", "left", "right", "left_over"),
    [
        (EditLine("abc", 2), 1, 0, EditLine("ac", 1)),
        (EditLine("abc", 1), 0, 1, EditLine("ac", 1)),
        (EditLine("abc", 0), 1, 0, EditLine("abc", 0)),
        (EditLine("abc", 3), 0, 1, EditLine("abc", 3)),
        (EditLine("abc", 2), LONGEST, 0, EditLine("c", 0)),
        (EditLine("abc", 1), 0, LONGEST, EditLine("a", 1)),
        (EditLine("abc", 3, True), 1, 0, EditLine("", 0)),
    ],
)
def test_deleting(line: EditLine, left: int, right: int, left_over: EditLine) -> None:
    assert line.delete(left, right) == left_over


def test_words() -> None:
    line = EditLine("one, two three", 9)
    assert (line.word(-1), line.word(1)) == (4, 5)
    assert (EditLine("one", 0).word(-1), EditLine("one", 3).word(1)) == (0, 0)


def test_only_the_first_line_of_a_paste_is_taken_and_nothing_a_terminal_obeys() -> None:
    assert EditLine().insert("a\x1b[31mb\tc\nrest").text == "a[31mbc"


def test_it_does_not_grow_without_bounds() -> None:
    assert len(EditLine().insert("x" * 10_000).insert("y").text) == LONGEST


@given(LINES, st.integers(1, 30))
def test_the_window_shows_the_cursor_and_fits(line: EditLine, width: int) -> None:
    before, under, after = line.window(width)
    assert words.cells(before + after) + words.cells(under) <= max(width, words.cells(under))
    assert line.text[: line.cursor].endswith(before)
    assert under == (line.text[line.cursor : line.cursor + 1] or " ")


@given(LINES, st.text(max_size=10), st.integers(0, 5), st.integers(0, 5))
def test_the_cursor_stays_in_the_text(line: EditLine, typed: str, left: int, right: int) -> None:
    for edited in (
        line.insert(typed),
        line.delete(left, right),
        line.move(-left),
        line.move(right),
        line.go_to(left),
    ):
        assert 0 <= edited.cursor <= len(edited.text)
