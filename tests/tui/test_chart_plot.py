"""Charts as cells, without an app: what is drawn of any data at any size."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.widgets import chart_style
from tui.widgets.cells import Cells
from tui.widgets.chart_plot import Plot, View
from tui.widgets.chart_scale import Limits
from tui.widgets.chart_series import MODES, ChartSeries

VIEW = View(columns=60, rows=16)


def series(
    values: Sequence[float] | np.ndarray, role: str = "train", index: int = 0, **how: object
) -> ChartSeries:
    y = np.asarray(values, np.float64)
    how = {"x": np.arange(len(y)), "time": 1e9 + np.arange(len(y)) * 2.0, "steps_per_epoch": 10.0, **how}
    return ChartSeries(name=role, y=y, role=role, index=index, **how)  # type: ignore[arg-type]


def lines(cells: Cells | None) -> list[str]:
    assert cells is not None
    return [cells.text(row) for row in range(len(cells.codes))]


def canvas(plot: Plot, cells: Cells | None) -> np.ndarray:
    assert cells is not None
    return cells.codes[plot.top : plot.top + plot.height, plot.left : plot.left + plot.width]


def of_style(cells: Cells | None, style: int) -> np.ndarray:
    assert cells is not None
    return (cells.styles == style) & (cells.codes != 32)


def test_axes_legend_and_curve_are_drawn() -> None:
    drawn = lines(Plot().draw([series(np.linspace(0, 1, 50)), series([0.2, 0.7], "val")], VIEW))
    assert "train 1.0000" in drawn[0]
    assert "val 0.7000" in drawn[0]
    assert drawn[1].startswith("  1.0┤")
    assert drawn[-3].startswith("  0.0┤")
    assert drawn[-2].startswith("     └┬─")
    assert drawn[-1].split()[0] == "0"
    assert drawn[-1].rstrip().endswith("step")


def test_a_spike_of_one_point_among_a_million_is_seen() -> None:
    values = np.zeros(1_000_000)
    values[500_000] = 1.0
    plot = Plot()
    top = canvas(plot, plot.draw([series(values)], replace(VIEW, live=False)))[0]
    assert np.flatnonzero(top != 32).tolist() == [plot.width // 2]


def test_a_spike_among_a_million_is_seen_in_the_raw_line_beneath_a_smooth_one() -> None:
    values = np.zeros(1_000_000)
    values[500_000] = 1.0
    plot = Plot()
    cells = plot.draw([series(values)], replace(VIEW, live=False, smoothing=0.9))
    faint = of_style(cells, chart_style.line_style("train", 0, faint=True))
    assert faint[plot.top].any()


def test_train_and_validation_differ_in_more_than_colour() -> None:
    train, val = chart_style.look("train", 0), chart_style.look("val", 0)
    assert train.thick != val.thick
    assert train.mark != val.mark
    assert train.sample != val.sample
    assert train.sign != val.sign


def test_no_two_runs_share_a_mark_a_sign_or_a_colour() -> None:
    looks = [chart_style.look("run", index) for index in range(8)]
    assert len({look.mark for look in looks}) == 8
    assert len({look.sign for look in looks}) == 8
    assert len({chart_style.line_style("run", index) for index in range(8)}) == 8


def test_every_one_of_eight_runs_is_seen_where_all_lie_on_each_other() -> None:
    runs = [series(np.linspace(0, 1, 500), "run", index) for index in range(8)]
    cells = Plot().draw(runs, replace(VIEW, columns=120))
    for index in range(8):
        assert of_style(cells, chart_style.line_style("run", index)).any()


def test_what_is_not_finite_is_marked_at_the_top_and_in_words() -> None:
    values = np.linspace(1, 2, 101)
    values[[50, 51]], values[100] = np.nan, np.inf
    plot = Plot()
    cells = plot.draw([series(values)], replace(VIEW, live=False))
    top = canvas(plot, cells)[0]
    marked = np.flatnonzero(top == ord("✗"))
    assert marked[0] in (plot.width // 2, plot.width // 2 - 1)
    assert marked[-1] == plot.width - 1
    assert "✗ 3 not finite" in lines(cells)[0]
    assert "train inf" in lines(cells)[0]
    assert of_style(cells, chart_style.BAD).sum() == len(marked) + len("✗3notfinite") + len("inf")


def test_a_series_of_nothing_but_nan_is_all_marks() -> None:
    plot = Plot()
    cells = plot.draw([series([np.nan] * 5)], VIEW)
    assert (canvas(plot, cells)[0] == ord("✗")).sum() == 5
    assert not of_style(cells, chart_style.line_style("train", 0))[plot.top :].any()


def test_curves_are_interrupted_where_points_are_missing() -> None:
    x = np.arange(0, 101, 10)
    values = np.ones(11)
    values[4:7] = np.nan
    plot = Plot()
    drawn = canvas(plot, plot.draw([series(values, x=x)], replace(VIEW, live=False)))
    gap = slice(int(plot.width * 0.33), int(plot.width * 0.66))
    below = drawn[1:]
    assert (below[:, gap] == 32).all()
    assert (below != 32).any()


def test_a_log_axis_leaves_out_what_it_cannot_show_and_says_so() -> None:
    values = np.array([10.0, 1.0, 0.0, -1.0, 0.1, 0.01])
    plot = Plot()
    cells = plot.draw([series(values)], replace(VIEW, log=True, live=False))
    assert (canvas(plot, cells)[-1] == ord("▾")).sum() == 2
    assert "▾ 2 ≤ 0" in lines(cells)[0]
    assert plot.y == Limits(-2.0, 1.0)


def test_decades_are_as_far_apart_on_a_log_axis() -> None:
    plot = Plot()
    drawn = lines(plot.draw([series(np.logspace(0, -4, 100))], replace(VIEW, rows=23, log=True)))
    at = [row for row, line in enumerate(drawn) if line[:6].rstrip(" │").endswith(("1┤", "4┤"))]
    rows = {line[: plot.left - 1].strip(): row for row, line in enumerate(drawn) if "┤" in line}
    assert at
    assert rows["0.1"] - rows["1"] == pytest.approx(rows["1e-4"] - rows["0.001"], abs=1)


def test_smoothing_keeps_the_raw_line_faint() -> None:
    noisy = 1 + np.random.default_rng(0).random(400)
    cells = Plot().draw([series(noisy)], replace(VIEW, smoothing=0.9))
    raw = of_style(cells, chart_style.line_style("train", 0, faint=True))
    smooth = of_style(cells, chart_style.line_style("train", 0))[1:]
    assert raw.sum() > 2 * smooth.sum() > 0


@pytest.mark.parametrize(("mode", "last"), [("step", "400 step"), ("epoch", "40 epoch"), ("time", "10 min")])
def test_x_counts_what_it_should(mode: str, last: str) -> None:
    drawn = Plot().draw([series(np.ones(401))], replace(VIEW, mode=mode, live=False))  # type: ignore[arg-type]
    text = lines(drawn)[-1]
    assert last in text
    assert text.split()[0] == "0"


def test_the_cursor_shows_values_of_the_nearest_points() -> None:
    values = np.arange(100.0)
    plot = Plot()
    cells = plot.draw(
        [series(values), series([5.0, 6.0], "val", x=np.array([20, 90]))], replace(VIEW, cursor=42.2)
    )
    assert "train 42.00" in lines(cells)[0]
    assert "step 42" in lines(cells)[0]
    column = plot.column(42.2)
    assert column is not None
    assert (canvas(plot, cells)[:, column] == ord("│")).sum() >= plot.height - 2


def test_zoom_shows_a_part_and_fits_y_to_it() -> None:
    plot = Plot()
    plot.draw([series(np.arange(1000.0))], replace(VIEW, x=Limits(100.0, 200.0)))
    assert plot.x == Limits(100.0, 200.0)
    assert plot.y == Limits(100.0, 200.0)


def test_the_frame_is_drawn_once_while_limits_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    from tui.widgets import chart_frame

    calls, real = [], chart_frame.draw
    monkeypatch.setattr(chart_frame, "draw", lambda *how: calls.append(1) or real(*how))
    plot, values = Plot(), np.sin(np.arange(1000))
    for end in range(600, 700):
        plot.draw([series(values[:end])], VIEW)
    assert len(calls) == 1


def test_unchanged_curves_are_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from tui.widgets import raster

    calls, real = [], raster.extents
    monkeypatch.setattr(raster, "extents", lambda *how, **more: calls.append(1) or real(*how, **more))
    plot, val = Plot(), series(np.ones(40), "val", x=np.arange(0, 400, 10))
    plot.draw([val, series(np.ones(400))], VIEW)
    calls.clear()
    plot.draw([val, series(np.ones(401))], VIEW)
    assert len(calls) == 1


def test_a_growing_curve_changes_few_cells() -> None:
    plot, values = Plot(), np.linspace(1, 0.1, 5000)
    before = plot.draw([series(values[:4000])], VIEW)
    after = plot.draw([series(values[:4020])], VIEW)
    assert before is not None
    assert after is not None
    changes = after.changes(before)
    assert sum(change.stop - change.start for change in changes) <= 12


def test_nothing_not_finite_reaches_plotext(monkeypatch: pytest.MonkeyPatch) -> None:
    import plotext

    seen: list[object] = []
    for name in ("scatter", "plot", "xlim", "ylim", "xticks", "yticks"):
        real = getattr(plotext, name)
        monkeypatch.setattr(
            plotext, name, lambda *how, real=real, **more: (seen.extend(how), real(*how, **more))[1]
        )
    Plot().draw([series([1.0, np.nan, np.inf, -np.inf, 2.0])], VIEW)
    numbers = [part for item in seen for part in (item if isinstance(item, list) else [item])]
    assert numbers
    assert all(np.isfinite(part) for part in numbers if isinstance(part, int | float))


def test_ascii_charts_have_nothing_else() -> None:
    values = np.r_[np.linspace(1, 0.1, 50), np.nan, 0.0]
    runs = [series(values), series(values, "val"), series(values, "run", 2)]
    for view in (VIEW, replace(VIEW, log=True), replace(VIEW, smoothing=0.6, cursor=20.0)):
        drawn = lines(Plot().draw(runs, replace(view, ascii=True)))
        assert all(line.isascii() for line in drawn)
        assert "x" in drawn[1]


def test_hostile_names_are_harmless() -> None:
    found = ChartSeries("\x1b[31mred\u202e\n", np.arange(3), np.ones(3))
    text = lines(Plot().draw([found], VIEW))[0]
    assert "\x1b" not in text
    assert "\u202e" not in text


awkward = st.lists(
    st.floats(allow_nan=True, allow_infinity=True)
    | st.sampled_from([0.0, -1.0, 1e-320, 1e308, -1e308, 5e-324, np.nan, np.inf]),
    min_size=1,
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(
    values=awkward,
    columns=st.integers(1, 90),
    rows=st.integers(1, 30),
    mode=st.sampled_from(MODES),
    log=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.6, 0.99]),
    live=st.booleans(),
    ascii=st.booleans(),
    cursor=st.none() | st.floats(-10, 50),
    zoom=st.none() | st.tuples(st.floats(-5, 40), st.floats(0.001, 50)),
)
def test_any_values_at_any_size_are_drawn_without_a_warning(
    values: list[float],
    columns: int,
    rows: int,
    mode: str,
    log: bool,
    smoothing: float,
    live: bool,
    ascii: bool,
    cursor: float | None,
    zoom: tuple[float, float] | None,
) -> None:
    view = View(
        columns=columns, rows=rows, mode=mode, log=log, smoothing=smoothing, live=live, ascii=ascii,  # type: ignore[arg-type]
        cursor=cursor, x=Limits(zoom[0], zoom[0] + zoom[1]) if zoom else None,
    )  # fmt: skip
    cells = Plot().draw([series(values), series(values[::2], "val"), series(values, "run", 3)], view)
    assert cells is not None
    assert cells.codes.shape == (rows, columns)
    assert (cells.codes <= sys.maxunicode).all()


@pytest.mark.parametrize("x", [[0], [7], [10**15, 10**15 + 1], [5, 5, 5], [0, 2**40]])
def test_odd_places_of_points_are_drawn(x: list[int]) -> None:
    assert Plot().draw([series(np.ones(len(x)), x=np.array(x))], VIEW) is not None


def test_a_clock_set_back_is_drawn_in_order() -> None:
    times = 1e9 + np.array([0.0, 10.0, 5.0, 20.0])
    plot = Plot()
    assert plot.draw([series(np.arange(4.0), time=times)], replace(VIEW, mode="time", live=False)) is not None
    assert plot.x == Limits(0.0, 20.0)


def test_no_points_are_no_chart() -> None:
    assert Plot().draw([], VIEW) is None
    assert Plot().draw([series([])], VIEW) is None


@given(
    labels=st.lists(
        st.tuples(st.integers(0, 79), st.text("0123456789,", min_size=1, max_size=12)), max_size=12
    )
)
def test_labels_stand_below_their_ticks_and_never_touch(labels: list[tuple[int, str]]) -> None:
    from tui.widgets import chart_frame

    labels.sort()
    ticks, names = [tick for tick, _ in labels], [name for _, name in labels]
    placed = chart_frame.places(ticks, names, 80)
    spans = [(start, start + len(names[number])) for number, start in placed.items()]
    assert all(start <= ticks[number] < start + len(names[number]) for number, start in placed.items())
    assert all(before[1] < after[0] for before, after in pairwise(spans))
    assert all(start >= 0 and end <= 80 for start, end in spans)
    assert not labels or placed
