"""A delimited text file (CSV, TSV, ...) as trimmed text columns; every line has the same number of cells."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from dlcore.data.memory import free_memory
from dlcore.errors import UserError

DELIMITERS = (",", ";", "\t", "|", " ")
SAMPLE_ROWS = 50
BYTES_PER_BYTE = 12  # an estimate: one-digit cells as Python texts cost about this much memory a byte of file

NOT_TEXT = {
    b"PK\x03\x04": "looks like a spreadsheet or zip file: save it as CSV first",
    b"\x1f\x8b": "is gzip-compressed: unpack it first",
    b"\xff\xfe": 'looks like UTF-16 text: set data.encoding = "utf-16"',
    b"\xfe\xff": 'looks like UTF-16 text: set data.encoding = "utf-16"',
}


@dataclass(frozen=True)
class TextTable:
    """Columns of trimmed cells.

    Attributes:
        names: from the header, or ``column_0``, ``column_1``, ...
        columns: one list of cells for each name, all of the same length.
        lines: the line of the file each row starts on, from 1.
        has_header: whether the names are the file's own.
    """

    names: tuple[str, ...]
    columns: tuple[list[str], ...]
    lines: list[int]
    has_header: bool

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def by_name(self) -> dict[str, list[str]]:
        """The columns, by what they are called."""
        return dict(zip(self.names, self.columns, strict=True))


def read_table(
    path: Path,
    *,
    encoding: str = "utf-8",
    delimiter: str = "auto",
    header: Literal["auto", "yes", "no"] = "auto",
) -> TextTable:
    """Read a whole file.

    Args:
        delimiter: one character, ``tab``, or ``auto`` to find it.
        header: whether the first line holds names; ``auto`` takes it for names when none of its cells is a
            number and either a column below is, or none of its cells comes again in its column.

    Raises:
        UserError: not text in this encoding, no rows, or lines of unequal length.
    """
    text = decode_file(path, encoding)
    if delimiter == "auto":
        delimiter = find_delimiter(text)
    elif delimiter in ("tab", "\\t"):
        delimiter = "\t"
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise UserError(f'data.delimiter must be one character, "tab" or "auto", got {delimiter!r}')
    rows, lines = _rows(path, text, delimiter)
    if len(rows) < 2 and header != "no":
        raise UserError(f"{path} has no rows below its first line")
    named = header == "yes" or (header == "auto" and looks_like_header(rows[: SAMPLE_ROWS + 1]))
    names = _unique(rows[0]) if named else [f"column_{position}" for position in range(len(rows[0]))]
    if named:
        rows, lines = rows[1:], lines[1:]
    columns = tuple([cell.strip() for cell in column] for column in zip(*rows, strict=True))
    return TextTable(tuple(names), columns, lines, named)


def find_delimiter(text: str) -> str:
    """The character that cuts the first lines into the most columns with the fewest exceptions."""
    sample = "".join(islice(io.StringIO(text[:1_000_000], newline=""), SAMPLE_ROWS))
    best, best_score = ",", (0.0, 0)
    for candidate in DELIMITERS:
        try:
            widths = Counter(
                len(row)
                for row in csv.reader(io.StringIO(sample), delimiter=candidate, skipinitialspace=True)
                if row
            )
        except csv.Error:
            continue
        if not widths:
            continue
        width, times = widths.most_common(1)[0]
        score = (times / widths.total(), width)
        if width > 1 and score > best_score:
            best, best_score = candidate, score
    return best


def looks_like_header(rows: list[list[str]]) -> bool:
    """Whether the first of ``rows`` holds names; see `read_table`."""
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    if not rest or not any(first) or any(is_number(cell) for cell in first):
        return False
    below = [[row[position].strip() for row in rest] for position in range(len(first))]
    if any(sum(map(is_number, column)) * 2 > len(column) for column in below):
        return True
    return not any(cell and cell in column for cell, column in zip(first, below, strict=True))


def is_number(cell: str) -> bool:
    """Whether a cell is a number, decimal comma included."""
    try:
        float(cell.replace(",", ".", 1))
    except ValueError:
        return False
    return "_" not in cell


def decode_file(path: Path, encoding: str) -> str:
    """The text of a file.

    Raises:
        UserError: it cannot be read, is empty, or is no text in this encoding.
    """
    try:
        codec = codecs.lookup(encoding).name
        if not path.is_file():
            raise UserError(f"{path} is no regular file: write what it gives into a file first")
        size = path.stat().st_size
        if size * BYTES_PER_BYTE > free_memory():
            raise UserError(
                f"{path} has {size / 2**30:.1f} GB and would need about "
                f"{size * BYTES_PER_BYTE / 2**30:.0f} GB of memory: use fewer rows or columns"
            )
        raw = path.read_bytes()
        if codec == "utf-8":
            for mark, meaning in NOT_TEXT.items():
                if raw.startswith(mark):
                    raise UserError(f"{path} {meaning}")
        text = raw.decode("utf-8-sig" if codec == "utf-8" else encoding)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except LookupError:
        raise UserError(
            f'unknown data.encoding "{encoding}"; common ones are utf-8, cp1252, latin-1, utf-16'
        ) from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path} is not {encoding} text: byte 0x{raw[error.start]:02x} at position {error.start:,} "
            f'(line {line:,}); set data.encoding, for example data.encoding = "cp1252"'
        ) from None
    except UnicodeError as error:
        raise UserError(
            f"{path} is not {encoding} text: {error}; set data.encoding to the file's own"
        ) from None
    if "\0" in text[:1_000_000]:
        raise UserError(
            f'{path} holds zero bytes: it is no text file, or needs another data.encoding, such as "utf-16"'
        )
    if not text.strip():
        raise UserError(f"{path} is empty")
    return text


def _rows(path: Path, text: str, delimiter: str) -> tuple[list[list[str]], list[int]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    start = 1
    try:
        for row in reader:
            if row:
                if rows and len(row) != len(rows[0]):
                    cells = "1 cell" if len(row) == 1 else f"{len(row)} cells"
                    raise UserError(
                        f"{path} line {start:,} has {cells} and the first line {len(rows[0])}: "
                        f"mend that line, or set data.delimiter (now {delimiter!r})"
                    )
                rows.append(row)
                lines.append(start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{path} line {start:,} cannot be read: {error} (a quote that is never closed?)"
        ) from None
    return rows, lines


def _unique(header: list[str]) -> list[str]:
    """Names without blanks and repetitions: ``x``, ``x_2``; a nameless one is called by its position."""
    names: dict[str, None] = {}
    numbers: Counter[str] = Counter()  # the last one given, so that a million equal names take no longer
    for position, cell in enumerate(header):
        wanted = name = cell.strip() or f"column_{position}"
        while name in names:
            numbers[wanted] += 1
            name = f"{wanted}_{numbers[wanted] + 1}"
        names[name] = None
    return list(names)
