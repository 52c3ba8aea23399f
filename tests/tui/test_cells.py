"""Cells: what is sent again, and rows as styled text."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.cells import Cells, Change


def filled(seed: int, columns: int = 30, rows: int = 6) -> Cells:
    random = np.random.default_rng(seed)
    cells = Cells(columns, rows)
    cells.codes[:] = random.choice([32, 32, 65, 66], cells.codes.shape)
    cells.styles[:] = random.integers(0, 3, cells.styles.shape)
    return cells


@given(st.integers(0, 1000), st.integers(0, 12))
def test_sending_the_changes_gives_the_new_cells(seed: int, gap: int) -> None:
    before, after = filled(seed), filled(seed + 1)
    shown = before.codes.copy()
    for row, start, stop in after.changes(before, gap):
        shown[row, start:stop] = after.codes[row, start:stop]
    assert (shown == after.codes).all()


@given(st.integers(0, 1000))
def test_without_gaps_only_changed_cells_are_sent(seed: int) -> None:
    before, after = filled(seed), filled(seed + 1)
    sent = np.zeros(after.codes.shape, bool)
    for row, start, stop in after.changes(before, 0):
        sent[row, start:stop] = True
    seen_style = (after.styles != before.styles) & (after.codes != 32)
    assert (sent == ((after.codes != before.codes) | seen_style)).all()


def test_equal_cells_need_nothing() -> None:
    assert filled(3).changes(filled(3)) == []


def test_another_style_of_a_blank_is_no_change() -> None:
    before, after = Cells(10, 1), Cells(10, 1)
    after.styles[:] = 4
    assert after.changes(before) == []


def test_runs_close_together_are_one() -> None:
    before, after = Cells(40, 1), Cells(40, 1)
    after.write(0, 2, "a", 0)
    after.write(0, 6, "b", 0)
    after.write(0, 30, "c", 0)
    assert after.changes(before, gap=5) == [Change(0, 2, 7), Change(0, 30, 31)]


def test_rows_become_runs_of_one_style() -> None:
    cells = Cells(9, 1)
    cells.write(0, 0, "ab", 1)
    cells.write(0, 4, "cd", 2)
    assert cells.runs(0) == [("ab  ", 1), ("cd   ", 2)]


def test_a_wide_sign_takes_two_columns_and_is_sent_whole() -> None:
    before, after = Cells(8, 1), Cells(8, 1)
    before.write(0, 0, "一二", 0)
    after.write(0, 0, "一三x", 0)
    assert after.text(0) == "一三x   "
    assert after.changes(before, 0) == [Change(0, 2, 4), Change(0, 4, 5)]


def test_what_does_not_fit_is_left_out() -> None:
    cells = Cells(4, 1)
    cells.write(0, 2, "abcdef", 1)
    cells.write(0, 9, "x", 1)
    assert cells.text(0) == "  ab"
