"""Values of a preset as text in a form, and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.catalogue import Option
from tui.field_text import kind, limits, number, parse, show, toml_value


def option(type_text: str, default: Any = None, choices: tuple[Any, ...] = (), **more: Any) -> Option:
    return Option("x", type_text, default, choices=choices, **more)


@pytest.mark.parametrize(
    ("type_text", "value", "text"),
    [
        ("int", 64, "64"),
        ("float", 0.001, "1e-3"),
        ("float", 1e-08, "1e-8"),
        ("float", 0.25, "0.25"),
        ("float", 3.0, "3.0"),
        ("bool", True, "on"),
        ("bool", False, "off"),
        ("str", "", ""),
        ("str", "true", "true"),
        ("str", " a, b ", " a, b "),
        ("one of none, flip", "flip", "flip"),
        ("list of int", [32, 64], "32, 64"),
        ("list of int", [], ""),
        ("list of 2 float", [0.9, 0.999], "0.9, 0.999"),
        ("list of str", ["a b", "c"], "a b, c"),
        ("list of str", ["", "?"], '["", "?"]'),
        ("list of str", ["1"], '["1"]'),
        ("list of str or int", ["a", 1], "a, 1"),
        ("int or list of int", 128, "128"),
        ("int or list of int", [128, 64], "[128, 64]"),
        ("str or int", -1, "-1"),
        ("str or int", "-1", '"-1"'),
        ("str or int", "price", "price"),
        ("list of list of int", [[1], [2]], "[[1], [2]]"),
    ],
)
def test_a_value_is_shown_as_one_would_type_it_and_comes_back(type_text: str, value: Any, text: str) -> None:
    field = option(type_text, value, ("none", "flip") if type_text.startswith("one") else ())
    assert show(field, value) == text
    back = parse(field, text)
    assert back == value and type(back) is type(value)


@pytest.mark.parametrize(
    ("type_text", "text", "value"),
    [
        ("list of int", "32,64", [32, 64]),
        ("list of int", "[32, 64]", [32, 64]),
        ("list of int", "32, ", [32]),
        ("list of int", "32, x", [32, "x"]),
        ("list of int", "[32", "[32"),
        ("int or list of int", "128, 64", [128, 64]),
        ("int", "1_000", 1000),
        ("int", "abc", "abc"),
        ("int", "6.5", 6.5),
        ("float", "1e-3", 0.001),
        ("float", "fast", "fast"),
        ("bool", "maybe", "maybe"),
        ("one of 1, 2", "2", 2),
    ],
)
def test_what_else_may_be_typed(type_text: str, text: str, value: Any) -> None:
    assert parse(option(type_text, choices=(1, 2) if type_text.startswith("one") else ()), text) == value


@pytest.mark.parametrize("type_text", ["int", "float", "int or list of int", "any value"])
def test_nothing_typed_is_the_default(type_text: str) -> None:
    assert parse(option(type_text), "  ") is None


def test_an_empty_text_is_a_value_where_texts_have_a_default() -> None:
    assert parse(option("str", "utf-8"), "") == ""
    assert parse(option("str"), "") is None


@pytest.mark.parametrize("text", ["1\nx = 2", "nan", "inf", "1979-05-27", "[" * 100, "{" * 50, "0" * 20_000])
def test_hostile_text_never_raises(text: str) -> None:
    for type_text in ("int", "list of int", "any value", "str", "bool"):
        parse(option(type_text), text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_every_digit(value: float) -> None:
    assert float(number(value)) == value


@given(st.lists(st.text(max_size=8), max_size=5))
def test_lists_of_texts_come_back(values: list[str]) -> None:
    texts = [value for value in values if value.isprintable()]
    field = option("list of str", [])
    assert parse(field, show(field, texts)) == texts


def test_kinds() -> None:
    told = ["bool", "one of a, b", "str", "int", "float", "list of int", "int or str", "table"]
    kinds = [kind(option(text, choices=("a",) if text.startswith("one") else ())) for text in told]
    assert kinds == ["switch", "choice", "text", "number", "number", "list", "any", "any"]


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (option("int", minimum=1, maximum=2**31), "int, at least 1"),
        (option("float", minimum=0, exclusive=("minimum",)), "float, above 0"),
        (option("float", minimum=0, maximum=1, exclusive=("maximum",)), "float, at least 0, below 1"),
        (option("bool"), "bool"),
    ],
)
def test_limits_in_words(field: Option, words: str) -> None:
    assert limits(field) == words


def test_toml_values_are_on_one_line() -> None:
    assert toml_value([{"say": "a  b\n"}]) == '[     { say = "a  b\\n" }, ]'
