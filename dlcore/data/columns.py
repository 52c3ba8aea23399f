"""Which columns of a table are learned from, and as what: decided from the training rows, told in notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcore.data.table import Column, Numbers, fit_category, fit_number, is_missing, parse_numbers

NEARLY_NUMBERS = 0.9  # share of a text column's cells that, being numbers, calls for a hint
MIN_ROWS_FOR_IDS = 20


def choose_columns(
    cells: Mapping[str, Sequence[str]],
    train: NDArray[np.int64],
    codes: NDArray[Any] | None,
    *,
    keep: Collection[str],
    categories: Collection[str],
    max_categories: int,
    missing: frozenset[str],
    decimal: str,
) -> tuple[list[Column], list[str]]:
    """The fitted columns (see `table`) in the table's order, and what the user should know of them.

    Args:
        cells: every row of each candidate column: whether all are numbers is looked up in all of them.
        train: rows that everything else is learned from.
        codes: (rows,) class of each row; None when the target is a number.
        keep: columns that are used even if they number the rows or have too many categories.
    """
    chosen: list[Column] = []
    notes: list[str] = []
    for name, column in cells.items():
        numbers, wrong = parse_numbers(column, missing, decimal)
        values = [column[row] for row in train]
        if wrong is None and name not in categories:
            fitted, note = _number(name, numbers, train, name in keep)
        else:
            fitted, note = _category(name, values, max_categories, missing, name in keep)
            if fitted is None and name not in categories:
                note = _nearly_numbers(name, column, missing, decimal) or note
        if fitted is not None:
            chosen.append(fitted)
            if codes is not None and gives_away(values, codes[train], missing):
                note = (
                    f"column {name!r} alone tells the target of every training row; "
                    "add it to data.drop if it is the answer in other words"
                )
        if note:
            notes.append(note)
    return chosen, notes


def gives_away(values: Sequence[str], codes: NDArray[Any], missing: frozenset[str]) -> bool:
    """Whether few values, in nearly every row, decide the class without exception."""
    known = [
        (value, code)
        for value, code in zip(values, codes.tolist(), strict=True)
        if not is_missing(value, missing)
    ]
    pairs = set(known)
    distinct = len({value for value, _ in pairs})
    return len(known) >= 0.9 * len(values) and 2 <= distinct <= len(known) / 10 and len(pairs) == distinct


def _number(name: str, numbers: Numbers, train: NDArray[np.int64], keep: bool) -> tuple[Column | None, str]:
    if _counts_rows(numbers) and not keep:
        return None, f"column {name!r} only numbers the rows and is left out; add it to data.keep to use it"
    fitted = fit_number(name, numbers[train])
    if fitted is None:
        what = "empty" if np.isnan(numbers[train]).all() else "the same"
        return None, f"column {name!r} is {what} in every training row and is left out"
    return fitted, ""


def _counts_rows(numbers: Numbers) -> bool:
    """Whether every row has its own of n whole numbers in a row."""
    rows = len(numbers)
    if rows < MIN_ROWS_FOR_IDS or np.isnan(numbers).any() or numbers.max() - numbers.min() != rows - 1:
        return False
    return bool((numbers == np.round(numbers)).all()) and len(np.unique(numbers)) == rows


def _category(
    name: str, values: Sequence[str], max_categories: int, missing: frozenset[str], keep: bool
) -> tuple[Column | None, str]:
    fitted = fit_category(name, values, missing)
    count = len(fitted["values"])
    known = sum(not is_missing(value, missing) for value in values)
    if not keep and (count > max_categories or (known >= MIN_ROWS_FOR_IDS and count > known / 2)):
        more = f", more than data.max_categories = {max_categories}," if count > max_categories else ""
        return None, (
            f"column {name!r} has {count:,} different texts in {len(values):,} training rows{more} "
            "and is left out; add it to data.keep to use it"
        )
    if count == 0 or (count == 1 and known == len(values)):
        what = "the same" if count else "empty"
        return None, f"column {name!r} is {what} in every training row and is left out"
    return fitted, ""


def _nearly_numbers(name: str, column: Sequence[str], missing: frozenset[str], decimal: str) -> str:
    """A hint about a column of numbers spoilt by a few other cells, or nothing."""
    texts = Counter(cell for cell in column if parse_numbers([cell], missing, decimal)[1] is not None)
    if not texts or texts.total() > (1 - NEARLY_NUMBERS) * len(column):
        return ""
    return (
        f"column {name!r} is left out: all but {texts.total():,} of its cells are numbers; "
        f"list {', '.join(repr(text) for text, _ in texts.most_common(3))} under data.missing to use it"
    )
