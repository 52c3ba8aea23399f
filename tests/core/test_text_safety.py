from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcore.text_safety import safe_text

ANYTHING = st.text(st.characters(exclude_categories=()))  # lone surrogates included
FORBIDDEN = {
    *map(chr, (*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F))),
    *map(chr, (*range(0x2066, 0x206A), *range(0xD800, 0xE000))),
}


@given(ANYTHING)
def test_nothing_a_terminal_obeys_is_left(text: str) -> None:
    shown = safe_text(text, limit=10_000)
    assert not FORBIDDEN & set(shown)
    shown.encode()


@given(ANYTHING)
def test_line_breaks_stay_only_when_asked_for(text: str) -> None:
    assert FORBIDDEN & set(safe_text(text, limit=10_000, newlines=True)) <= {"\n"}


@given(ANYTHING, st.integers(0, 30))
def test_result_is_never_longer_than_the_limit(text: str, limit: int) -> None:
    assert len(safe_text(text, limit=limit)) <= limit


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert safe_text(text, limit=10_000) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\u202eexe.png", "\\u202eexe.png"),
        ("x\udc80", "x\\udc80"),
        ("[bold]markup[/]", "[bold]markup[/]"),
        (b"caf\xc3\xa9\xff", "café\\xff"),
        (None, "None"),
        ("", ""),
    ],
)
def test_what_is_unsafe_is_spelled_out(text: object, shown: str) -> None:
    assert safe_text(text) == shown


def test_several_lines_keep_their_layout() -> None:
    assert safe_text("a\r\n\tb\x07", newlines=True) == "a\n    b\\x07"


def test_cut_text_ends_in_an_ellipsis() -> None:
    assert safe_text("abcdef", limit=4) == "abc…"


def test_object_whose_text_raises_is_named_by_its_type() -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError

    assert safe_text(Hostile()) == "<Hostile without a text>"


def test_string_subclass_cannot_bring_its_own_methods() -> None:
    class Sly(str):
        def isprintable(self) -> bool:
            return True

    assert safe_text(Sly("\x1b")) == "\\x1b"
