"""TOML text as data with the line of every key; the limits that keep a hostile file harmless.

`tomllib` gives no positions, so a second, forgiving reader walks the text again, after `tomllib` has vouched
for it. Size, nesting and the number of keys are bounded, because what comes after is slower than reading.
"""

from __future__ import annotations

import re
import stat
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcore.errors import UserError
from dlcore.problems import MAX_DEPTH, Place
from dlcore.text_safety import safe_text

MAX_BYTES = 256 * 1024
MAX_KEYS = 500
MAX_VALUES = 10_000

_STRING = (
    r'"""(?:[^\\]|\\.)*?(?:"""(?:""?)?|\Z)'
    r"|'''.*?(?:'''(?:''?)?|\Z)"
    r'|"(?:[^"\\\n]|\\[^\n])*"?'
    r"|'[^'\n]*'?"
)
_TOKEN = re.compile(rf"(?:{_STRING}|#[^\n]*)|([\[{{])|([\]}}])|(\.)|[=,\n]", re.DOTALL)
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(rf"[ \t]*({_STRING}|[A-Za-z0-9_-]+)[ \t]*", re.DOTALL)
_SCALAR = re.compile(rf"(?:{_STRING})|[^,\]}}#\n]+", re.DOTALL)


@dataclass(frozen=True)
class Document:
    """Parsed TOML.

    Attributes:
        lines: line, counted from 1, of every key, section and list entry.
    """

    data: dict[str, Any]
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int | None:
        """The line of a place, or of the nearest table around it; None for what the text does not mention."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return None


def read_text(path: Path, label: str) -> str:
    """A preset file's text.

    Raises:
        UserError: missing, no regular file, unreadable, too large, or not UTF-8.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # opening a pipe would wait for its writer
            what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
            raise UserError(f"{label}: is {what}, not a preset")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise UserError(f"{label}: there is no such file") from error
    except OSError as error:
        raise UserError(f"{label}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{label}: is not a path") from error  # it holds a NUL or a lone surrogate
    if len(raw) > MAX_BYTES:
        raise UserError(f"{label}: is larger than {MAX_BYTES // 1024} KB, too large for a preset")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        byte = f"0x{raw[error.start]:02x}"
        raise UserError(f"{label}:{line}: not UTF-8 text (byte {byte}); is it a TOML file?") from error


def parse(text: str, label: str) -> Document:
    """TOML text as data and lines.

    Raises:
        UserError: not TOML, or beyond a limit; names the line.
    """
    text = text.replace("\r\n", "\n")
    if len(text) > MAX_BYTES:
        raise UserError(f"{label}: is larger than {MAX_BYTES // 1024} KB, too large for a preset")
    deep = nesting_beyond_limit(text)
    if deep is not None:
        raise UserError(f"{label}:{deep}: is nested more than {MAX_DEPTH} deep")
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{label}:{_explain(error, text)}") from error
    _check_amount(data, label)
    return Document(data, _Lines(text).read())


def nesting_beyond_limit(text: str) -> int | None:
    """The line where brackets, or the parts of a dotted key, go beyond the limit; None when nowhere.

    Brackets and dots in strings and comments do not count. Dotted keys do, because tomllib needs quadratic
    time for them.
    """
    depth = parts = 0
    for token in _TOKEN.finditer(text):
        opening, closing, dot = token.groups()
        depth = max(0, depth + bool(opening) - bool(closing))
        if dot:
            parts += 1
        elif token[0][0] not in "\"'#":
            parts = 0
        if max(depth, parts) > MAX_DEPTH:
            return text.count("\n", 0, token.start()) + 1
    return None


def _check_amount(data: dict[str, Any], label: str) -> None:
    keys = values = 0
    pending: list[Any] = [data]
    while pending:
        value = pending.pop()
        inner = value.values() if isinstance(value, dict) else value
        keys += len(value) if isinstance(value, dict) else 0
        values += len(value)
        pending += [item for item in inner if isinstance(item, dict | list)]
        if keys > MAX_KEYS or values > MAX_VALUES:
            most = f"{MAX_KEYS} keys" if keys > MAX_KEYS else f"{MAX_VALUES:,} values"
            raise UserError(f"{label}: has more than {most}, too many for a preset")


_HINTS = {
    "Invalid value": "this value cannot be read; text needs quotes",
    "Invalid statement": "expected a [section] or key = value",
    "Cannot overwrite a value": "this key is set twice",
}


def _explain(error: Exception, text: str) -> str:
    """A parser's error as ``line: message``."""
    if isinstance(error, RecursionError):
        return "1: is nested too deeply"
    message, _, where = str(error).partition(" (at ")
    found = re.match(r"line (\d+)", where)
    line = int(found[1]) if found else text.rstrip("\n").count("\n") + 1
    if not isinstance(error, tomllib.TOMLDecodeError):  # int() refuses more than 4,300 digits
        digits = re.search(r"[0-9_]{4000}", text)
        line = text.count("\n", 0, digits.start()) + 1 if digits else 1
        message = "a number has too many digits"
    twice = re.fullmatch(r"Cannot declare \((.*?),?\) twice", message)
    if twice:
        message = f"section {safe_text(twice[1])} appears twice"
    return f"{line}: not valid TOML: {safe_text(_HINTS.get(message, message[:1].lower() + message[1:]))}"


def split_key(text: str, position: int = 0) -> tuple[tuple[str, ...], int] | None:
    """The parts of the dotted key at a position, and where it ends; None when there is none."""
    parts: list[str] = []
    while True:
        part = _KEY_PART.match(text, position)
        if part is None:
            return None
        word = part[1]
        try:
            parts.append(tomllib.loads(f"word = {word}")["word"] if word[0] in "\"'" else word)
        except ValueError:
            return None
        position = part.end()
        if not text.startswith(".", position):
            return tuple(parts), position
        position += 1


class _Lines:
    """Walks TOML that is known to be valid and notes where things are; what it cannot read it skips."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.starts = [match.end() for match in re.finditer("\n", text)]
        self.lines: dict[Place, int] = {}
        self.last: dict[Place, int] = {}  # array of tables -> index of its newest table

    def read(self) -> dict[Place, int]:
        section: Place = ()
        while True:
            self._skip_blank()
            if self.position >= len(self.text):
                return self.lines
            line = self._line()
            if self.text[self.position] == "[":
                section = self._header(line)
            elif not self._pair(section):
                self._skip_line()

    def _header(self, line: int) -> Place:
        brackets = 2 if self.text.startswith("[[", self.position) else 1
        self.position += brackets
        place: Place = ()
        parts = self._key()
        for number, part in enumerate(parts, start=1):
            place = (*place, part)
            self.lines.setdefault(place, line)
            if brackets == 2 and number == len(parts):
                self.last[place] = self.last.get(place, -1) + 1
            if place in self.last:
                place = (*place, self.last[place])
                self.lines.setdefault(place, line)
        self._skip_line()
        return place

    def _pair(self, place: Place) -> bool:
        """Reads ``key = value``; false when there is none."""
        line = self._line()
        parts = self._key()
        if not parts or not self.text.startswith("=", self.position):
            return False
        for part in parts:
            place = (*place, part)
            self.lines.setdefault(place, line)
        self.position += 1
        self._value(place)
        return True

    def _value(self, place: Place) -> None:
        """Reads a value and notes the lines inside it; nesting is bounded, so recursion is too."""
        self._skip_blank()
        opening = self.text[self.position : self.position + 1]
        if opening not in ("[", "{"):
            scalar = _SCALAR.match(self.text, self.position)
            self.position = scalar.end() if scalar else self.position + 1
            return
        self.position += 1
        index = 0
        while self.position < len(self.text):
            self._skip_blank()
            if self.text.startswith(("]", "}"), self.position):
                self.position += 1
                return
            if self.text.startswith(",", self.position):
                self.position += 1
            elif opening == "[":
                self.lines.setdefault((*place, index), self._line())
                self._value((*place, index))
                index += 1
            elif not self._pair(place):
                self.position += 1

    def _key(self) -> tuple[str, ...]:
        parts, self.position = split_key(self.text, self.position) or ((), self.position)
        return parts

    def _line(self) -> int:
        return bisect_right(self.starts, self.position) + 1

    def _skip_blank(self) -> None:
        blank = _BLANK.match(self.text, self.position)
        assert blank is not None, "matches the empty text"
        self.position = blank.end()

    def _skip_line(self) -> None:
        end = self.text.find("\n", self.position)
        self.position = len(self.text) if end < 0 else end + 1
