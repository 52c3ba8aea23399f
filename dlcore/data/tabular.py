"""A table of one's own in a CSV file: classes or numbers predicted from the other columns.

The target is taken for classes when it is text or has at most `CLASS_LIMIT` different whole numbers, and
for a number otherwise; a note says so whenever it could be seen differently, and ``kind`` decides it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from dlcore.data.build import Answers, Classes, Values, answer_facts, answer_tensor, in_parts, split_answers
from dlcore.data.columns import choose_columns
from dlcore.data.delimited import TextTable, read_table
from dlcore.data.files import resolve_path
from dlcore.data.spec import Data, DataContext, DataSpec
from dlcore.data.splits import Split
from dlcore.data.table import encode, feature_names, is_missing, parse_numbers
from dlcore.errors import UserError
from dlcore.fields import Count, Fraction
from dlcore.problems import nearest
from dlcore.registry import DATA

CLASS_LIMIT = 20
"""The most different whole numbers that are taken for classes unasked."""

MAX_CLASSES = 1000
MAX_NOTES = 20

MISSING = ("", "?", "NA", "N/A", "#N/A", "nan", "null", "none")


@DATA.register("csv", group="own", input="vector", target="class, binary or number")
def csv_table(
    context: DataContext,
    *,
    path: str,
    target: str | int = -1,
    kind: Literal["auto", "class", "number"] = "auto",
    drop: tuple[str | int, ...] = (),
    keep: tuple[str | int, ...] = (),
    categories: tuple[str | int, ...] = (),
    max_categories: Count = 50,
    header: Literal["auto", "yes", "no"] = "auto",
    delimiter: str = "auto",
    encoding: str = "utf-8",
    decimal: Literal[".", ","] = ".",
    missing: tuple[str, ...] = MISSING,
    val: Fraction = 0.1,
    test: Fraction = 0.2,
) -> Data:
    """Your own CSV file, one sample a line.

    Args:
        path: the file; relative to the working folder, or to the preset's.
        target: the column to predict, by name or position; 0 is the first, -1 the last.
        kind: what the target is; auto takes text and up to 20 different whole numbers for classes.
        drop: columns to leave out, by name or position.
        keep: columns to use even where they look useless, such as row numbers.
        categories: number columns whose numbers are mere labels.
        max_categories: text columns with more different values in training are left out.
        header: whether the first line holds the names of the columns.
        delimiter: the character between cells, "tab" or "auto".
        encoding: of the file, such as "cp1252" or "utf-16".
        decimal: the decimal sign of numbers.
        missing: cells that stand for no value, in small or capital letters.
        val: share of all rows held back to watch the training.
        test: share of all rows held back for the final figure.
    """
    file = resolve_path(path, context)
    table = _read(file, encoding=encoding, delimiter=delimiter, header=header)
    absent = frozenset(token.lower() for token in (*missing, ""))
    place = find_column(table, target, "target")
    table, notes = _without_answerless(table, place, absent, file)
    answers, target_notes = read_target(table, place, kind, absent, decimal, file)
    parts = split_answers(answers, val=val, test=test, seed=context.seed)
    left_out = {table.names[place], *_named(table, drop, "drop")}
    columns, column_notes = choose_columns(
        {name: column for name, column in table.by_name.items() if name not in left_out},
        parts.train,
        answers.codes if isinstance(answers, Classes) else None,
        keep=_named(table, keep, "keep"),
        categories=_named(table, categories, "categories"),
        max_categories=max_categories,
        missing=absent,
        decimal=decimal,
    )
    if not columns:
        raise UserError([f"{file} has no column left to learn from", *_few(column_notes)])
    preprocessing = {
        "kind": "table", "columns": columns, "missing": sorted(absent), "decimal": decimal,
        "target": table.names[place],
    }  # fmt: skip
    return _encoded(table, preprocessing, answers, parts, (*notes, *target_notes, *_few(column_notes)))


def _read(file: Path, *, encoding: str, delimiter: str, header: Literal["auto", "yes", "no"]) -> TextTable:
    """The cells of a file that has something to learn from beside the target."""
    if file.is_dir():
        raise UserError(f"{file} is a folder, not a CSV file; the data set named folder reads image folders")
    table = read_table(file, encoding=encoding, delimiter=delimiter, header=header)
    if len(table.names) < 2:
        raise UserError(f'{file} has a single column: set data.delimiter, for example data.delimiter = ";"')
    return table


def _encoded(
    table: TextTable, preprocessing: dict[str, Any], answers: Answers, parts: Split, notes: tuple[str, ...]
) -> Data:
    """The rows as a model sees them, described so that a row from outside can be encoded the same way."""
    inputs = torch.from_numpy(encode(preprocessing, table.by_name))  # (rows, features)
    spec = DataSpec(
        input="vector",
        input_shape=(inputs.shape[1],),
        feature_names=tuple(feature_names(preprocessing["columns"])),
        preprocessing=preprocessing,
        **answer_facts(answers, parts.train),
    )
    return in_parts(spec, inputs, answer_tensor(answers), parts, notes)


def _few(notes: list[str]) -> list[str]:
    """As many notes as anyone reads; a table may have a million columns with one each."""
    more = len(notes) - MAX_NOTES
    return notes if more <= 0 else [*notes[:MAX_NOTES], f"and {more:,} more columns with such a note"]


def find_column(table: TextTable, wanted: str | int, key: str) -> int:
    """The position of a column given by name or by position.

    Raises:
        UserError: there is none; names the nearest.
    """
    names = table.names
    if isinstance(wanted, str):
        if wanted in names:
            return names.index(wanted)
        close = nearest(wanted, names)
        hint = f"; did you mean {close!r}?" if close else ""
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        unnamed = "" if table.has_header else "; the file has no header, so columns go by position"
        raise UserError(f"data.{key}: no column {wanted!r}{hint} (columns: {shown}){unnamed}")
    if not -len(names) <= wanted < len(names):
        raise UserError(
            f"data.{key}: no column at position {wanted}: there are {len(names)}, from 0 to {len(names) - 1}"
        )
    return wanted % len(names)


def _named(table: TextTable, wanted: Sequence[str | int], key: str) -> set[str]:
    return {table.names[find_column(table, column, key)] for column in wanted}


def read_target(
    table: TextTable,
    place: int,
    kind: Literal["auto", "class", "number"],
    missing: frozenset[str],
    decimal: str,
    path: Path,
) -> tuple[Answers, list[str]]:
    """The answers in a column that has one in every row, and notes about how they were taken."""
    name, cells = table.names[place], table.columns[place]
    numbers, wrong = parse_numbers(cells, missing, decimal)
    numeric = wrong is None and not np.isnan(numbers).any()
    if kind == "number":
        if wrong is not None:
            raise UserError(
                f"target {name!r} holds {cells[wrong]!r} in line {table.lines[wrong]:,}, which is no number: "
                'set data.kind = "class", or list that text under data.missing'
            )
        if np.isnan(numbers).any():
            wrong = int(np.isnan(numbers).argmax())
            raise UserError(
                f"target {name!r} holds {cells[wrong]!r} in line {table.lines[wrong]:,}, which is no finite "
                "number: mend it, or list that text under data.missing"
            )
        return _values(numbers, name, path), []
    if not numeric:
        return _classes(name, cells, sorted(set(cells)), path), []
    distinct = np.unique(numbers)
    if kind == "auto" and (len(distinct) > CLASS_LIMIT or (distinct != np.round(distinct)).any()):
        return _values(numbers, name, path), []
    shown = {value: f"{value:.15g}" for value in distinct.tolist()}
    answers = _classes(name, [shown[value] for value in numbers.tolist()], list(shown.values()), path)
    if kind == "class" or len(distinct) == 2:
        return answers, []
    return answers, [
        f"target {name!r} has {len(distinct)} different whole numbers, taken as classes; "
        'set data.kind = "number" to predict it as a number'
    ]


def _values(numbers: np.ndarray[Any, np.dtype[np.float64]], name: str, path: Path) -> Values:
    if len(np.unique(numbers)) < 2:
        raise UserError(
            f"target {name!r} of {path} is the same number in every row: there is nothing to learn"
        )
    if np.abs(numbers).max() > 1e30:
        raise UserError(f"target {name!r} of {path} has numbers above 1e30, too large to learn from")
    return Values(numbers[:, None], (name,))


def _classes(name: str, cells: Sequence[str], classes: list[str], path: Path) -> Classes:
    if len(classes) < 2:
        raise UserError(
            f"target {name!r} of {path} is {classes[0]!r} in every row: there is nothing to learn; "
            "choose another column as target"
        )
    if len(classes) > min(MAX_CLASSES, max(2, len(cells) // 2)):
        raise UserError(
            f"target {name!r} of {path} has {len(classes):,} different values in {len(cells):,} rows, "
            'too many for classes: choose another column as target, or set data.kind = "number" if it is one'
        )
    codes = {value: code for code, value in enumerate(classes)}
    return Classes(np.array([codes[cell] for cell in cells]), tuple(classes))


def _without_answerless(
    table: TextTable, place: int, missing: frozenset[str], path: Path
) -> tuple[TextTable, list[str]]:
    """The table without the rows that have no answer, and a note about them."""
    cells = table.columns[place]
    kept = [row for row, cell in enumerate(cells) if not is_missing(cell, missing)]
    gone = len(cells) - len(kept)
    name = table.names[place]
    if not kept:
        raise UserError(f"target {name!r} of {path} is missing in every row")
    if not gone:
        return table, []
    common = Counter(cell for cell in cells if is_missing(cell, missing)).most_common(1)[0][0]
    what = f"{common!r}" if common else "nothing"
    left = TextTable(
        table.names,
        tuple([column[row] for row in kept] for column in table.columns),
        [table.lines[row] for row in kept],
        table.has_header,
    )
    rows = "row has" if gone == 1 else "rows have"
    return left, [f"{gone:,} {rows} {what} as target {name!r} and are left out"]
