"""Samples: what tasks write is understood, what anybody else writes hurts nobody."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui.recorded import HOSTILE
from tui.panels.samples import lines
from tui.samples import Sample, parse, pixels

ABOUT = {"spec": {"class_names": ["cat", "dog"]}}
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def row(**fields: Any) -> Sample:
    return parse({"step": 5, "samples": [fields]}, ABOUT).rows[0]


def test_classes_by_name_right_and_wrong_and_how_sure() -> None:
    found = parse(
        {
            "step": 460,
            "samples": [
                {"index": 3, "target": 0, "prediction": 0, "probabilities": [0.9, 0.1]},
                {"index": 4, "target": 0, "prediction": 1, "probabilities": [0.4, 0.6]},
            ],
        },
        ABOUT,
    )
    assert (found.step, found.right, found.judged, found.numbers) == (460, 1, 2, False)
    assert [(r.target, r.prediction, r.right, r.sure) for r in found.rows] == [
        ("cat", "cat", True, 0.9),
        ("cat", "dog", False, 0.6),
    ]


def test_a_class_without_a_name_is_its_number() -> None:
    assert (row(target=7, prediction=1).target, row(target=7, prediction=1).prediction) == ("7", "dog")


def test_numbers_with_their_error() -> None:
    found = parse({"samples": [{"target": [151.0], "prediction": [148.5]}]}, {})
    assert found.numbers
    assert (found.rows[0].target, found.rows[0].prediction, found.rows[0].error) == ("151.0", "148.5", -2.5)


def test_several_numbers_have_no_single_error() -> None:
    found = row(target=[1.0, 2.0], prediction=[1.5, 2.5])
    assert (found.target, found.error) == ("1.0000, 2.0000", None)


def test_generated_text_keeps_its_lines_and_nothing_a_terminal_obeys() -> None:
    assert row(text="To be,\nor \x1b[31mnot").text == "To be,\nor \\x1b[31mnot"


def test_class_names_are_made_safe() -> None:
    found = parse({"samples": [{"target": 0, "prediction": 0}]}, {"spec": {"class_names": [HOSTILE]}})
    assert "\x1b" not in found.rows[0].target and "\u202e" not in found.rows[0].target


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([[0, 255], [255, 0]], ((0, 255), (255, 0))),
        ([[0.0, 1.0], [0.5, 0.0]], ((0, 255), (128, 0))),
        ([[[0.0, 1.0], [0.5, 0.0]]], ((0, 255), (128, 0))),
        ([[-1.0, 1.0]], ((0, 255),)),
        ([[[0], [255]], [[255], [0]]], ((0, 255), (255, 0))),
    ],
)
def test_grey_pictures(value: Any, expected: Any) -> None:
    found = pixels(value)
    assert found is not None
    assert tuple(tuple(pixel[0] for pixel in line) for line in found) == expected
    assert all(len(set(pixel)) == 1 for line in found for pixel in line)


def test_coloured_pictures_with_channels_first_or_last() -> None:
    first = [[[255, 0], [1, 2]], [[0, 255], [3, 4]], [[7, 8], [5, 6]]]
    last = [[[255, 0, 7], [0, 255, 8]], [[1, 3, 5], [2, 4, 6]]]
    assert pixels(first) == pixels(last) == (((255, 0, 7), (0, 255, 8)), ((1, 3, 5), (2, 4, 6)))


@pytest.mark.parametrize(
    "value",
    [None, "x", [], [[]], [[1, 2], [3]], [["a"]], [[float("nan")]], [[[1, 2, 3, 4]] * 5] * 5, [[1] * 600]],
)
def test_what_is_no_picture_is_none(value: Any) -> None:
    found = pixels(value)
    assert found is None or all(0 <= c <= 255 for line in found for pixel in line for c in pixel)


@given(json, json)
def test_anything_may_be_in_the_files(content: Any, about: Any) -> None:
    parse(content, about if isinstance(about, dict) else {})
    parse({"step": content, "samples": [content, {"target": content, "prediction": about}]}, {"spec": about})
    parse({"samples": [{"pictures": [content, {"name": content, "pixels": about}], "caption": content}]}, {})
    parse({"samples": [{"frames": content}, {"frames": [content, about]}]}, {})
    parse({"samples": [{"pixels": content, "text": content, "probabilities": content, "prediction": 1}]}, {})


def test_several_pictures_keep_their_names_and_order() -> None:
    found = row(
        pictures=[{"name": "input", "pixels": [[0, 255]]}, {"name": "mask", "pixels": [[255, 0]]}],
        caption="IoU 0.5",
    )
    assert [picture.name for picture in found.pictures] == ["input", "mask"]
    assert found.pictures[1].pixels == (((255, 255, 255), (0, 0, 0)),)
    assert found.caption == "IoU 0.5"


def test_a_single_picture_needs_no_name() -> None:
    (picture,) = row(pixels=[[0, 255]]).pictures
    assert (picture.name, picture.pixels[0][1]) == ("", (255, 255, 255))


def test_damaged_pictures_are_left_out_and_the_others_stay() -> None:
    found = row(pictures=[{"name": "a", "pixels": "x"}, 7, {"name": HOSTILE, "pixels": [[1.0]]}])
    (picture,) = found.pictures
    assert "\x1b" not in picture.name


def test_pictures_of_a_sample_stand_beside_each_other_and_no_line_is_too_wide() -> None:
    three = [{"name": name, "pixels": [[0, 1] * 10] * 20} for name in ("input", "mask", "prediction")]
    content = {"samples": [{"pictures": three, "caption": f"sample {number}"} for number in range(3)]}
    for width in (12, 40, 64, 130):
        page = ["".join(part.text for part in line) for line in lines(parse(content, {}), width)]
        assert max(map(len, page)) <= max(width, 12)
        assert sum(line.count("prediction") for line in page) == 3
        assert sum(line.count("sample ") for line in page) == 3
    assert any(line.split() == ["input", "mask", "prediction"] * 2 for line in page), (
        "two samples side by side"
    )


def shown(page: Any) -> list[str]:
    return ["".join(part.text for part in line).rstrip() for line in page]


def test_episodes_are_stepped_through_and_a_shorter_one_waits_at_its_end() -> None:
    content = {
        "samples": [
            {"frames": ["start", "second", "end"], "caption": "return 3"},
            {"frames": ["begin", "over"], "caption": "return 2"},
            {"caption": "return 7"},
        ]
    }
    found = parse(content, {})
    assert found.moments == 3
    pages = [shown(lines(found, 60, moment)) for moment in range(3)]
    assert [page[0].split() for page in pages] == [["start", "begin"], ["second", "over"], ["end", "over"]]
    assert pages[0][1].split() == ["return", "3", "return", "2"]
    assert pages[0][-1] == "return 7", "an episode without frames still says how it went"


def test_episodes_stand_below_each_other_where_they_do_not_fit() -> None:
    found = parse({"samples": [{"frames": ["-" * 30]}, {"frames": ["=" * 30]}]}, {})
    for width in (12, 40):
        assert max(map(len, shown(lines(found, width)))) <= width
        assert sum(bool(line) for line in shown(lines(found, width))) == 2
    assert shown(lines(found, 70)) == ["-" * 30 + "  " + "=" * 30]


def test_frames_keep_their_lines_and_nothing_a_terminal_obeys() -> None:
    (frame,) = row(frames=["a\n \x1b[31mb", 7]).frames
    assert frame == "a\n \\x1b[31mb"


def test_a_judged_text_stands_below_its_verdict() -> None:
    rows = [
        {"target": 0, "prediction": 0, "probabilities": [0.9, 0.1], "text": "a dull film"},
        {"target": 0, "prediction": 1, "probabilities": [0.2, 0.8], "text": "not bad at all"},
    ]
    content = parse({"samples": rows}, {"spec": {"class_names": ["nay", "yea"]}})
    page = ["".join(part.text for part in line) for line in lines(content, 40)]
    assert page == ["✓ nay  90 %", "a dull film", "", "✗ yea not nay  80 %", "not bad at all"]


@pytest.mark.parametrize(
    ("room", "said"),
    [(13, "horse not cat"), (12, "horse ≠ cat"), (9, "horse≠cat"), (8, "hor…≠cat"), (3, "…≠…")],
)
def test_a_mistake_names_both_classes_wherever_it_stands(room: int, said: str) -> None:
    sample = Sample(target="cat", prediction="horse", right=False)
    assert sample.answer(room) == said


def test_a_caption_of_several_texts_is_said_once() -> None:
    rows = [{"text": text, "caption": "prompt ▸ continuation"} for text in ("to▸ be", "or▸ not")]
    page = ["".join(part.text for part in line) for line in lines(parse({"samples": rows}, {}), 40)]
    assert page == ["prompt ▸ continuation", "to▸ be", "", "or▸ not"]
