"""How figures read, and that text keeps to its columns."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcore.text_safety import safe_text
from tui import words

SAFE_TEXT = st.text(max_size=30).map(safe_text)
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.92144, "0.9214"), (0.0, "0.0000"), (-0.5, "-0.5000"), (12.345, "12.35"), (123.45, "123.5"),
        (54321.0, "54,321"), (3.1e-5, "3.10e-05"), (1e9, "1.00e+09"), (math.nan, "nan"),
        (-math.inf, "-inf"), (None, "-"),
    ],
)  # fmt: skip
def test_a_metric_keeps_four_figures(value: float | None, text: str) -> None:
    assert words.metric(value) == text


@given(NUMBERS)
def test_a_metric_never_takes_more_than_a_table_s_column(value: float) -> None:
    assert len(words.metric(value)) <= 10


@pytest.mark.parametrize(
    ("value", "text"), [(1e-3, "1e-3"), (8.1e-4, "8.1e-4"), (0.0, "0"), (1.0, "1e0"), (None, "-")]
)
def test_a_rate_reads_as_people_write_it(value: float | None, text: str) -> None:
    assert words.rate(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0042, "4.2 ms"), (0.035, "35 ms"), (0.4, "0.4 s"), (12.3, "12 s"), (59.6, "1 min 00 s"),
        (130.0, "2 min 10 s"), (3840.0, "1 h 04 min"), (3 * 86400 + 4 * 3600, "3 d 4 h"),
        (None, "-"), (math.nan, "-"), (-1.0, "-"),
    ],
)  # fmt: skip
def test_a_duration_has_two_units_at_most(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(3, "now"), (-5, "now"), (300, "5 min"), (7300, "2 h"), (1e6, "11 d")]
)
def test_an_age_has_one_unit(seconds: float, text: str) -> None:
    assert words.age(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(412, "412 B"), (1678000, "1.6 MiB"), (5e15, "4547.5 TiB"), (None, "-")]
)
def test_a_size_has_a_binary_unit(size: float | None, text: str) -> None:
    assert words.size(size) == text


@given(st.lists(NUMBERS, max_size=40))
def test_a_sparkline_has_a_cell_for_every_value(values: list[float]) -> None:
    line = words.sparkline(values)
    assert len(line) == len(values)
    assert [sign == "×" for sign in line] == [not math.isfinite(value) for value in values]


def test_a_sparkline_goes_from_the_lowest_to_the_highest() -> None:
    assert words.sparkline([0, 1, 2, 3, 4, 5, 6]) == "▁▂▃▄▅▆▇"


@given(SAFE_TEXT, st.integers(0, 40))
def test_fitted_text_never_exceeds_its_columns(text: str, width: int) -> None:
    fitted = words.fit(text, width)
    assert words.cells(fitted) <= width
    assert fitted == text or fitted.endswith("…") or width == 0


@given(st.lists(st.tuples(SAFE_TEXT, SAFE_TEXT, SAFE_TEXT), min_size=1, max_size=6))
def test_columns_line_up_whatever_the_letters(rows: list[tuple[str, str, str]]) -> None:
    lines = words.columns([(*row, "|") for row in rows], "<><<")
    assert len({words.cells(line) for line in lines}) == 1


def test_wide_letters_take_two_columns() -> None:
    assert (words.cells("日本"), words.cells("e\u0301"), words.fit("日本語", 4)) == (4, 1, "日…")


@pytest.mark.parametrize(
    ("flops", "said"),
    [(0, "-"), (12_000, "0.012"), (4_200_000, "4.2"), (14_400_000, "14"), (2_310_000_000, "2,310")],
)
def test_millions_of_operations(flops: int, said: str) -> None:
    assert words.mega(flops) == said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("time/data", 2.5e-4, "0.2 ms"), ("system/memory_left", 2**30, "1.0 GiB"), ("val/loss", 0.25, "0.2500")],
)
def test_a_metric_s_name_tells_its_unit(name: str, value: float, said: str) -> None:
    assert words.figure(name, value) == said
