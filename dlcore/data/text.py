"""Texts of one's own with a class each, in a CSV, TSV or JSON-lines file.

The text column is the one with the longest cells and the target the column named like one, unless the preset says
otherwise. Invariant: vocabulary and length come from the training texts only, and no text with its class is in
two parts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from dlcore.data.build import Classes
from dlcore.data.delimited import TextTable, decode_file, read_table
from dlcore.data.files import resolve_path
from dlcore.data.spec import Data, DataContext
from dlcore.data.splits import split
from dlcore.data.tabular import find_column
from dlcore.data.tokens import fitted, labelled
from dlcore.errors import UserError
from dlcore.fields import Count, CountOrZero, Fraction
from dlcore.registry import DATA
from dlcore.vocabulary import TokenKind

TARGET_NAMES = ("label", "target", "class", "category", "sentiment", "language", "y")

MAX_CLASSES = 1000


@DATA.register("text", group="own", input="tokens", target="class or binary")
def text(
    context: DataContext,
    *,
    path: str,
    column: str | int | None = None,
    target: str | int | None = None,
    tokens: TokenKind = "words",
    vocabulary: Count = 20_000,
    min_count: Count = 1,
    length: CountOrZero = 0,
    delimiter: str = "auto",
    encoding: str = "utf-8",
    val: Fraction = 0.1,
    test: Fraction = 0.1,
) -> Data:
    """Your own texts with a class each: a CSV, TSV or JSONL file, one text a line.

    Args:
        path: the file; relative to the working folder, or to the preset's.
        column: of the texts, by name or position; left out, the one with the longest cells.
        target: the column of the classes; left out, the one named label, target, class or the like, else the last.
        tokens: what a text is cut into; bpe finds frequent parts of words by itself.
        vocabulary: the most different tokens; rarer ones count as unknown.
        min_count: tokens seen less often in the training texts count as unknown.
        length: tokens a text is filled up or cut to; 0 takes the longest training text, up to 256.
        delimiter: the character between cells, "tab" or "auto".
        encoding: of the file, such as "cp1252" or "utf-16".
        val: share of all texts held back to watch the training.
        test: share of all texts held back for the final figure.
    """
    file = resolve_path(path, context)
    if file.is_dir():
        raise UserError(f"{file} is a folder, not a file of texts: set data.path to a CSV, TSV or JSONL file")
    if file.suffix.lower() in (".jsonl", ".ndjson"):
        table = read_json_lines(file, encoding)
    else:
        table = read_table(file, encoding=encoding, delimiter=delimiter)
    if len(table.names) < 2:
        raise UserError(f"{file} must hold texts and a class for each, but {_only(table)}")
    text_at = longest_column(table) if column is None else find_column(table, column, "column")
    target_at = likely_target(table, text_at) if target is None else find_column(table, target, "target")
    if text_at == target_at:
        raise UserError(
            f"data.column and data.target both name column {table.names[text_at]!r}: set the other one"
        )
    texts, names, notes = distinct(table, text_at, target_at)
    answers = as_classes(names, table.names[target_at], file)
    parts = split(len(texts), val=val, test=test, seed=context.seed, labels=answers.codes)
    training_texts = [texts[row] for row in parts.train]
    tokenizer = fitted(tokens, training_texts, padded=True, vocabulary=vocabulary, min_count=min_count)
    if column is None or target is None:
        notes.insert(0, f"texts are column {table.names[text_at]!r}, classes {table.names[target_at]!r}")
    return labelled(texts, answers, parts, tokenizer, length=length, notes=notes)


def read_json_lines(path: Path, encoding: str) -> TextTable:
    """A table of the keys that every line's object has; values that are no text are written as JSON.

    Raises:
        UserError: a line is no JSON object, or there are none.
    """
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, line in enumerate(decode_file(path, encoding).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} line {number:,} is no JSON: {error}") from None
        if not isinstance(row, dict):
            raise UserError(f'{path} line {number:,} is no JSON object such as {{"text": …, "label": …}}')
        rows.append(row)
        lines.append(number)
    names = [name for name in rows[0] if all(name in row for row in rows)]
    columns = tuple([_as_text(row[name]) for row in rows] for name in names)
    return TextTable(tuple(names), columns, lines, has_header=True)


def longest_column(table: TextTable) -> int:
    """The position of the column whose cells are longest on average."""
    return max(range(len(table.names)), key=lambda place: mean(map(len, table.columns[place])))


def likely_target(table: TextTable, text_at: int) -> int:
    """The position of the column named like a target, else the last that is not the text."""
    named = {name.lower(): place for place, name in enumerate(table.names) if place != text_at}
    for name in TARGET_NAMES:
        if name in named:
            return named[name]
    return max(place for place in range(len(table.names)) if place != text_at)


def distinct(table: TextTable, text_at: int, target_at: int) -> tuple[list[str], list[str], list[str]]:
    """Texts, their classes and notes; the same text in the same class counts once, or parts would share it."""
    pairs = list(zip(table.columns[text_at], table.columns[target_at], strict=True))
    kept = list(dict.fromkeys(pair for pair in pairs if all(pair)))
    notes = []
    if empty := sum(not all(pair) for pair in pairs):
        notes.append(f"{empty:,} rows without a text or a class are left out")
    if again := len(pairs) - empty - len(kept):
        notes.append(f"{again:,} rows repeat another's text and class and are left out")
    if not kept:
        raise UserError("no row has both a text and a class")
    texts, names = zip(*kept, strict=True)
    return list(texts), list(names), notes


def as_classes(cells: Sequence[str], name: str, path: Path) -> Classes:
    """Class codes of a column.

    Raises:
        UserError: a single class, or nearly as many as texts.
    """
    counts = Counter(cells)
    if len(counts) < 2:
        raise UserError(f"column {name!r} of {path} is {cells[0]!r} in every row: there is nothing to learn")
    if len(counts) > min(MAX_CLASSES, max(2, len(cells) // 2)):
        raise UserError(
            f"column {name!r} of {path} has {len(counts):,} different values in {len(cells):,} rows, too many for "
            "classes: set data.target to the column of the classes"
        )
    codes = {value: code for code, value in enumerate(sorted(counts))}
    return Classes(np.array([codes[cell] for cell in cells]), tuple(codes))


def _only(table: TextTable) -> str:
    return f"has only {table.names[0]!r} in every row" if table.names else "its rows have no key in common"


def _as_text(value: Any) -> str:
    return (value if isinstance(value, str) else json.dumps(value)).strip()
