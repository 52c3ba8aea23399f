"""Where panels are: everything visible has a place or is behind another, whatever the size and the wishes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.geometry import Region

from tui.run_layout import Arrangement, places, plan, seats

ORDER = ("loss", "metric", "system", "time", "events", "log", "samples", "layers")
SHARES = {"system": 4, "time": 3, "events": 5}
FIRST = Arrangement(ORDER)

arrangements = st.builds(
    Arrangement,
    st.permutations(ORDER).map(tuple),
    st.frozensets(st.sampled_from(ORDER), max_size=7),
    st.sampled_from(["", *ORDER]),
    st.sampled_from(["", *ORDER]),
)


def test_the_usual_sizes() -> None:
    assert seats(FIRST, 120, 36) == [["loss", "metric"], ["system", "time", "events"]]
    assert seats(FIRST, 80, 20) == [["loss"]]
    assert seats(FIRST, 80, 40) == [["loss"], ["metric"]]
    assert seats(FIRST, 200, 50) == [["loss", "metric", "system"], ["time", "events", "log", "samples"]]


@given(arrangements, st.integers(1, 400), st.integers(1, 120))
def test_places_cover_the_space_without_overlap(chosen: Arrangement, width: int, height: int) -> None:
    placed = list(plan(chosen, width, height, SHARES).values())
    assert sum(region.area for region in placed) == width * height
    whole = Region(0, 0, width, height)
    assert all(whole.contains_region(region) for region in placed)


@given(arrangements, st.integers(30, 400), st.integers(10, 120), st.sampled_from(ORDER))
def test_a_panel_that_is_asked_for_is_on_the_screen(
    chosen: Arrangement, width: int, height: int, name: str
) -> None:
    assert name in plan(chosen.show(name), width, height, SHARES)


@given(arrangements, st.integers(1, 400), st.integers(1, 120))
def test_what_is_hidden_is_nowhere(chosen: Arrangement, width: int, height: int) -> None:
    assert not chosen.hidden & plan(chosen, width, height, SHARES).keys()


@given(arrangements)
def test_what_is_remembered_comes_back(chosen: Arrangement) -> None:
    again = Arrangement.from_plain(chosen.to_plain(), ORDER)
    assert (again.order, again.hidden, again.front) == (chosen.order, chosen.hidden, chosen.front)
    assert again.maximised == ""


def test_the_last_panel_cannot_be_hidden() -> None:
    chosen = FIRST
    for name in ORDER:
        chosen = chosen.hide(name)
    assert chosen.visible == ("layers",)


def test_moving_there_and_back_changes_nothing() -> None:
    moved = FIRST.move("time", -1)
    assert moved.order[2:4] == ("time", "system")
    assert moved.move("time", 1) == FIRST
    assert FIRST.move("loss", -1) == FIRST
    assert FIRST.move("layers", 1) == FIRST


def test_moving_skips_what_is_hidden() -> None:
    moved = FIRST.hide("metric").move("loss", 1)
    assert moved.visible[:2] == ("system", "loss")


def test_one_maximised_panel_has_all_the_space_and_gives_it_back() -> None:
    chosen = FIRST.maximise("time")
    assert plan(chosen, 120, 36, SHARES) == {"time": Region(0, 0, 120, 36)}
    assert plan(chosen.show("log"), 120, 36, SHARES) == {"log": Region(0, 0, 120, 36)}
    assert chosen.maximise("time").maximised == ""


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"order": 3},
        {"order": ["x", 4, "log", "log"], "hidden": "loss"},
        {"hidden": list(ORDER)},
        {"front": 9},
    ],
)
def test_nonsense_in_the_preferences_still_gives_all_panels(plain: dict[str, object]) -> None:
    chosen = Arrangement.from_plain(plain, ORDER)
    assert sorted(chosen.order) == sorted(ORDER)
    assert chosen.visible


def test_a_panel_of_a_newer_version_stands_at_the_end() -> None:
    chosen = Arrangement.from_plain({"order": ["log", "loss"]}, ("loss", "new", "log"))
    assert chosen.order == ("log", "loss", "new")


@given(st.integers(1, 500), st.integers(1, 200))
def test_there_is_always_a_place(width: int, height: int) -> None:
    assert min(places(width, height)) >= 1
