from __future__ import annotations

import os
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from dlcore.errors import UserError
from dlcore.preset.text import MAX_BYTES, MAX_KEYS, Document, parse, read_text, split_key
from dlcore.preset.toml import to_toml

TEXT = '''# a comment with [brackets] and a = sign
title = "top"

[model]   # another
name = "cnn" # x = [1
channels = [
    32,  # one
    [64],
]
"quoted key" . "a.b" = 1
long = """
[not.a.section]
x = 1
"""
raw = \'\'\'
y = """ \'\'\'
inline = { a = 1, b = { c = [1,
    2] } }

[[about.try]]
say = "first"

[[about.try]]
say = "second"
set = ["a=1"]
[about.try.more]
z = 1
'''


def error_of(text: str) -> str:
    with pytest.raises(UserError) as caught:
        parse(text, "x.toml")
    (line,) = caught.value.lines
    assert line.isprintable()
    return line


class TestLines:
    @pytest.mark.parametrize(
        ("place", "line"),
        [
            (("title",), 2),
            (("model",), 4),
            (("model", "name"), 5),
            (("model", "channels"), 6),
            (("model", "channels", 0), 7),
            (("model", "channels", 1), 8),
            (("model", "channels", 1, 0), 8),
            (("model", "quoted key", "a.b"), 10),
            (("model", "long"), 11),
            (("model", "raw"), 15),
            (("model", "inline"), 17),
            (("model", "inline", "b", "c", 1), 18),
            (("about", "try", 0, "say"), 21),
            (("about", "try", 1), 23),
            (("about", "try", 1, "set", 0), 25),
            (("about", "try", 1, "more", "z"), 27),
        ],
    )
    def test_of_every_kind_of_place(self, place: tuple[str | int, ...], line: int) -> None:
        assert parse(TEXT, "x").lines[place] == line

    def test_what_is_in_a_string_is_no_key(self) -> None:
        assert ("not",) not in parse(TEXT, "x").lines
        assert ("model", "x") not in parse(TEXT, "x").lines

    def test_an_unknown_place_has_the_line_around_it(self) -> None:
        document = parse(TEXT, "x")
        assert document.line(("model", "missing")) == 4
        assert document.line(("training", "missing")) is None

    def test_windows_line_ends_count_once(self) -> None:
        assert parse("a = 1\r\n\r\nb = 2\r\n", "x").lines == {("a",): 1, ("b",): 3}


PLAIN = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
SECTIONS = st.dictionaries(
    st.text(max_size=8), st.dictionaries(st.text(max_size=8), PLAIN, max_size=5), max_size=4
)


def every_place(value: Any, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [each for key, item in items for each in [(*place, key), *every_place(item, (*place, key))]]


def check_lines(text: str, document: Document) -> None:
    lines = text.replace("\r\n", "\n").split("\n")
    for place in every_place(document.data):
        key = next(part for part in reversed(place) if isinstance(part, str))
        line = lines[document.lines[place] - 1]
        if key.isalnum() and key.isascii() and isinstance(place[-1], str):
            assert key in line


@given(SECTIONS)
def test_every_place_of_any_toml_has_a_line_that_shows_it(data: dict[str, Any]) -> None:
    for text in (tomli_w.dumps(data), tomli_w.dumps(data, multiline_strings=True), to_toml(data)):
        check_lines(text, parse(text, "x"))


@given(SECTIONS)
def test_what_is_written_is_read_back(data: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(data)) == data


def test_lists_are_written_on_one_line() -> None:
    assert to_toml({"model": {"channels": [32, 64], "try": {"a b": 1.0}}}) == (
        '[model]\nchannels = [32, 64]\ntry = { "a b" = 1.0 }\n'
    )


class TestSplitKey:
    def test_takes_dotted_and_quoted_parts(self) -> None:
        assert split_key("a . 'b.c'.\"d\\u0021\" = 1") == (("a", "b.c", "d!"), 20)

    @pytest.mark.parametrize("text", ["", "=", ".", "a.", "a..b", '"open', "é"])
    def test_refuses_what_is_no_key(self, text: str) -> None:
        assert split_key(text) is None


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a = 1\nname = cnn\n", "2: not valid TOML: this value cannot be read; text needs quotes"),
            ("a = 1\na = 2\n", "2: not valid TOML: this key is set twice"),
            ("[a]\nb = 1\n[a]\n", "3: not valid TOML: section 'a' appears twice"),
            ("\x00", "1: not valid TOML: expected a [section] or key = value"),
            ("\n\nx = " + "9" * 5000, "3: not valid TOML: a number has too many digits"),
        ],
    )
    def test_say_what_to_mend(self, text: str, message: str) -> None:
        assert error_of(text) == f"x.toml:{message}"

    @pytest.mark.parametrize(
        ("text", "line"),
        [("a = 1\n\nnonsense\n", 3), ("a = [1,\n2,\n", 2), ('a = 1\nb = """x\n\n', 2), ("a = 'x", 1)],
    )
    def test_name_the_line(self, text: str, line: int) -> None:
        assert error_of(text).startswith(f"x.toml:{line}: not valid TOML: ")

    @pytest.mark.parametrize(
        "text",
        [
            "a=" + "[" * 33,
            "\na=" + "[" * 100_000,
            "a=" + "{a=" * 50_000,
            "a" + ".a" * 100_000 + "=1",
            "[" + "a." * 100_000 + "a]",
            "a=[{b=" * 40_000,
            "a = ['''[''', \"]\", # ]\n" + "[" * 40,
        ],
    )
    def test_deep_nesting_is_refused_before_it_is_parsed(self, text: str) -> None:
        assert error_of(text).endswith("is nested more than 32 deep")

    def test_brackets_and_dots_in_strings_are_no_nesting(self) -> None:
        assert parse(f"a = '{'[' * 100}' # {'[' * 100}\nb = \"{'.a' * 100}\"", "x").data["a"] == "[" * 100

    def test_many_keys_are_refused(self) -> None:
        text = "\n".join(f"a{number} = 1" for number in range(MAX_KEYS + 1))
        assert error_of(text) == "x.toml: has more than 500 keys, too many for a preset"

    def test_many_values_are_refused(self) -> None:
        assert (
            error_of(f"a = [{'1,' * 20_000}]") == "x.toml: has more than 10,000 values, too many for a preset"
        )

    @pytest.mark.parametrize(
        "unit",
        [
            *[
                "a=1\n",
                "[[a]]\n",
                "[a]\n",
                "[a.b.c]\n",
                "a.b=1\n",
                "\n",
                "# [ \n",
                "é=1\n",
                "[",
                "{",
                "a=[1]#",
            ],
            *['"""', "'''", '"\\', "x='", 'a="""\n'],
        ],
    )
    def test_any_repeated_text_is_answered_within_a_second(self, unit: str) -> None:
        text = (unit * MAX_BYTES)[: MAX_BYTES // len(unit.encode()) * len(unit)]
        started = time.process_time()
        try:
            parse(text, "x.toml")
        except UserError as error:
            assert len(error.lines) == 1
        assert time.process_time() - started < 1


class TestReadText:
    def test_takes_a_byte_order_mark(self, tmp_path: Path) -> None:
        (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfa = 1")
        assert read_text(tmp_path / "a.toml", "a") == "a = 1"

    def test_not_utf8_names_the_line(self, tmp_path: Path) -> None:
        (tmp_path / "a.toml").write_bytes(b"a = 1\nb = '\xff'")
        with pytest.raises(UserError, match=r"^a:2: not UTF-8 text \(byte 0xff\)"):
            read_text(tmp_path / "a.toml", "a")

    def test_a_large_file_is_not_read(self, tmp_path: Path) -> None:
        with (tmp_path / "a.toml").open("wb") as file:
            file.truncate(10 * 2**20)
        with pytest.raises(UserError, match=r"^a: is larger than 256 KB, too large for a preset$"):
            read_text(tmp_path / "a.toml", "a")

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"^a: there is no such file$"):
            read_text(tmp_path / "a.toml", "a")

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"^a: is a folder, not a preset$"):
            read_text(tmp_path, "a")

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UserError, match=r"^a: is no regular file, not a preset$"):
            read_text(tmp_path / "pipe", "a")

    def test_unreadable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "a.toml").write_text("a = 1")

        def refuse(*args: object) -> None:  # root may read everything, so permissions cannot be used
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(UserError, match=r"^a: cannot be read: Permission denied$"):
            read_text(tmp_path / "a.toml", "a")

    def test_a_file_as_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("")
        with pytest.raises(UserError, match=r"^a: cannot be read: Not a directory$"):
            read_text(tmp_path / "a" / "b.toml", "a")

    @pytest.mark.parametrize("name", ["a\0b.toml", "\udc80.toml", "x" * 5000])
    def test_what_is_no_path(self, name: str) -> None:
        with pytest.raises(UserError, match=r"^a: (is not a path|there is no such file|cannot be read: .*)$"):
            read_text(Path(name), "a")
