"""Rows of gauges: never wider than their place, columns that stay, and n/a for what nobody knows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcore.gauges import Gpu, Host
from tui import words
from tui.gauge_rows import Ranked, fitting, host_rows, many_gpus, one_gpu, step_rows
from tui.widgets.gauge import Part, Row, bar, history, percent, stacked

GIB = 1 << 30
FULL = Gpu("0", "NVIDIA H100", 62 * GIB, GIB // 2, 79 * GIB, 3 * GIB, 0.97, 61.0, 512.0, 700.0)
HOST = Host(0.4, 16, 30 * GIB, 128 * GIB, 412 * GIB, 900 * GIB, 1.2, 2 * GIB)

shares = st.none() | st.floats(0, 1)
sizes = st.none() | st.integers(0, 200 * GIB)
gpus = st.builds(
    Gpu,
    st.sampled_from(["0", "7", "3:1"]),
    st.just("NVIDIA H100"),
    sizes,
    sizes,
    sizes,
    sizes,
    shares,
    st.none() | st.floats(0, 110),
    st.none() | st.floats(0, 1200),
    st.none() | st.floats(0, 1200),
)
hosts = st.builds(Host, shares, st.none() | st.integers(1, 256), sizes, sizes, sizes, sizes, shares, sizes)


def text(row: Row) -> str:
    return "".join(part.text for part in row)


def lines(rows: Sequence[Ranked]) -> list[str]:
    return [text(ranked.row).rstrip() for ranked in rows]


def test_one_gpu_in_full() -> None:
    shown = lines(one_gpu(FULL, {"0": [0.5, 1.0]}, 60))
    assert shown[0].endswith("62.0/79.0 GiB")
    assert "this run 3.0  others 59.0  driver 0.5 GiB" in shown[1]
    assert shown[2].endswith("97 %")
    assert shown[3].startswith("power  512/700 W") and "61 °C" in shown[3] and shown[3].endswith("▄▇")


def test_a_gpu_without_figures_reads_n_a_and_never_0() -> None:
    for shown in (
        lines(one_gpu(Gpu("0", "H100"), {}, 44)),
        lines(many_gpus([Gpu("0"), Gpu("1")], {}, 44))[1:],
    ):
        assert all("n/a" in line for line in shown)
        assert not any("0 %" in line or "0.0" in line or "━" in line or "─" in line for line in shown)


def test_a_host_without_figures_reads_n_a() -> None:
    shown = lines(host_rows(Host(), {}, 44))
    assert [line.split()[0] for line in shown if line] == ["cpu", "ram", "disk"]
    assert all(line.endswith("n/a") for line in shown if line)


def test_eight_gpus_stand_in_columns() -> None:
    many = [
        Gpu(str(n), "H100", n * 10 * GIB, None, 79 * GIB, None, n / 8, 40.0 + n, 90.0 * n) for n in range(8)
    ]
    heading, *shown = [text(ranked.row) for ranked in many_gpus(many, {}, 60)]
    assert len(shown) == 8
    assert {words.cells(line) for line in shown} == {60}
    for title, unit in (("use", "%"), ("temp", "°C"), ("power", "W")):
        ends = {line.index(unit) + len(unit) for line in shown}
        assert ends == {heading.index(title) + len(title)}


@given(gpus, hosts, st.integers(20, 160))
def test_nothing_is_wider_than_its_place(gpu: Gpu, host: Host, width: int) -> None:
    every = [*one_gpu(gpu, {gpu.label: [0.1] * 300}, width)[:1], *many_gpus([gpu] * 3, {}, width)]
    if width >= 30:
        every += host_rows(host, {}, width)[:1]
        assert all(words.cells(text(ranked.row)) <= width for ranked in every)


@given(gpus, gpus, st.integers(36, 120))
def test_columns_stay_where_they_are_when_figures_change(one: Gpu, other: Gpu, width: int) -> None:
    before, after = (many_gpus([gpu], {}, width)[1].row for gpu in (one, other))
    assert words.cells(text(before)) == words.cells(text(after)) or one.label != other.label


@pytest.mark.parametrize("height", range(1, 12))
def test_what_matters_least_goes_first(height: int) -> None:
    rows = [*one_gpu(FULL, {}, 60), *host_rows(HOST, {}, 60)]
    shown = [text(row) for row in fitting(rows, height)]
    assert len(shown) == min(height, len(rows))
    needed = ["memory", "use", "power", "cpu", "ram"]
    kept = [name for name in needed if any(line.startswith(name) for line in shown)]
    assert kept == needed[: len(kept)] and len(kept) == min(height, len(needed))


def test_the_worker_s_part_of_a_bar_is_told_from_the_others() -> None:
    row = host_rows(HOST, {}, 60)[0].row
    assert [part.tone for part in row if set(part.text) == {"━"}] == ["accent"]
    assert any(set(part.text) == {"╍"} for part in row)


@given(st.floats(-1, 2), st.integers(0, 100))
def test_a_bar_is_as_long_as_it_should_be(share: float, width: int) -> None:
    assert words.cells(text(bar(share, width))) == width


def test_a_bar_of_an_unknown_share_is_blank() -> None:
    assert bar(None, 5) == [Part("     ")]


@given(st.lists(st.floats(0, 0.5), max_size=4), st.integers(1, 60))
def test_parts_of_a_bar_share_its_length(parts: list[float], width: int) -> None:
    row = stacked([(share, "█", "accent") for share in parts], width)
    assert words.cells(text(row)) == width


def test_a_small_part_is_seen() -> None:
    assert text(stacked([(0.001, "█", "accent"), (0.4, "▒", "primary")], 10)).startswith("█▒")


def test_a_history_ends_at_the_right_and_is_blank_where_nothing_was_known() -> None:
    assert history([0.0, None, 1.0], 6) == "   ▁ ▇"
    assert history([0.5] * 100, 4) == "▄▄▄▄"
    assert history([0.5], 0) == ""


def test_a_percentage_always_takes_the_same_columns() -> None:
    assert {len(percent(share)) for share in (None, 0.0, 0.07, 0.5, 1.0)} == {5}


def test_a_steps_memory_part_by_part() -> None:
    memory = {"weights": 3 << 20, "activations": 9 << 20, "cached": 1 << 20, "peak": 12 << 20}
    rows = ["".join(part.text for part in ranked.row) for ranked in step_rows(memory, 50)]
    assert [row[:13].strip() for row in rows] == ["step memory", "weights", "activations", "+ cached"]
    assert [row[-8:].strip() for row in rows] == ["12.0 MiB", "3.0 MiB", "9.0 MiB", "1.0 MiB"]
    assert {len(row) for row in rows} == {50}
    assert step_rows({}, 50) == []
