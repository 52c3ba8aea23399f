"""What the terminal can show, and writing to one that goes away."""

from __future__ import annotations

import io
import sys

import pytest

from tui import terminal, words
from tui.driver import Screen
from tui.terminal import is_ascii_only, to_ascii


@pytest.mark.parametrize(
    ("environment", "plain"),
    [
        ({}, False),
        ({"LC_ALL": "C"}, True),
        ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, True),
        ({"LC_ALL": "C.UTF-8"}, False),
        ({"LANG": "en_US.utf8"}, False),
        ({"LANG": "de_DE@euro"}, False),
        ({"LC_ALL": "", "LC_CTYPE": "en_US.ISO-8859-1"}, True),
    ],
)
def test_the_locale_decides_on_signs(environment: dict[str, str], plain: bool) -> None:
    assert is_ascii_only(environment) is plain


def test_every_sign_has_an_ascii_one_as_wide() -> None:
    signs = "".join(map(chr, [*range(0x2500, 0x25A0), *range(0x2800, 0x2900)]))
    drawn = signs + "".join(words.STATUS_SIGNS.values()) + "▸◆…·"
    assert to_ascii(drawn).isascii() and len(to_ascii(drawn)) == len(drawn)
    assert to_ascii("数字-cnn é") == "????-cnn ?"


def test_escape_sequences_pass_unchanged() -> None:
    assert to_ascii("\x1b[38;2;1;2;3m─╮\x1b[0m") == "\x1b[38;2;1;2;3m-+\x1b[0m"


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ValueError("closed file")])
def test_a_terminal_that_goes_is_told_once_and_never_raises(error: Exception) -> None:
    gone = []

    class Broken(io.StringIO):
        def write(self, _: str) -> int:
            raise error

    screen = Screen(Broken(), lambda: gone.append(1), ascii_only=False)
    for _ in range(3):
        screen.write("x")
        screen.flush()
    assert gone == [1]


def test_writes_signs_that_the_terminal_has() -> None:
    file = io.StringIO()
    Screen(file, lambda: None, ascii_only=True).write("✓ ─")
    Screen(file, lambda: None, ascii_only=False).write("✓")
    assert file.getvalue() == "+ -✓"


@pytest.mark.parametrize(
    ("term", "tty", "problem"), [("dumb", True, "TERM=dumb"), ("xterm", False, "dltui run")]
)
def test_what_cannot_show_the_app_is_named(
    monkeypatch: pytest.MonkeyPatch, term: str, tty: bool, problem: str
) -> None:
    monkeypatch.setenv("TERM", term)
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(sys, stream, Stream(tty))
    found = terminal.unusable()
    assert found is not None and problem in found and "\n" not in found


class Stream(io.StringIO):
    """A file that says whether it is a terminal."""

    def __init__(self, tty: bool) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty
