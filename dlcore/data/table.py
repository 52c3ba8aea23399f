"""Text cells to numbers: what each column becomes is learned from the training rows and kept as plain data.

A number column is filled with the median and standardised, with one more feature that says where it was
missing; a category column becomes one feature a value, and a value never seen in training none. Columns::

    {"name": "age", "type": "number", "median": 28.0, "mean": 29.7, "std": 13.0, "indicator": true}
    {"name": "sex", "type": "category", "values": ["female", "male"]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcore.errors import UserError

Numbers = NDArray[np.float64]
Column = dict[str, Any]


def is_missing(cell: str, missing: frozenset[str]) -> bool:
    """Whether a cell stands for no value; ``missing`` is in small letters."""
    return cell.lower() in missing


def parse_numbers(
    cells: Sequence[str], missing: frozenset[str], decimal: str = "."
) -> tuple[Numbers, int | None]:
    """Cells as numbers, nan where missing or not finite, and the position of the first that is none."""
    numbers = np.full(len(cells), np.nan)
    for position, cell in enumerate(cells):
        try:
            numbers[position] = float(cell if decimal == "." else cell.replace(decimal, "."))
        except ValueError:
            if not is_missing(cell, missing):
                return numbers, position
        else:
            if "_" in cell:  # Python reads 1_000 as a number, nobody else does
                return numbers, position
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers, None


def fit_number(name: str, train: Numbers) -> Column | None:
    """The number column learned from training cells (nan = missing); None when they are all alike."""
    known = train[~np.isnan(train)]
    if not len(known):
        return None
    median = float(np.median(known))
    filled = np.where(np.isnan(train), median, train)
    scale = float(np.abs(filled).max()) or 1.0  # squares of huge numbers would overflow
    mean, std = float((filled / scale).mean() * scale), float((filled / scale).std() * scale)
    indicator = len(known) < len(train)
    if std <= 1e-12 * scale and not indicator:
        return None
    return {
        "name": name, "type": "number", "median": median, "mean": mean,
        "std": std if std > 1e-12 * scale else 1.0, "indicator": indicator,
    }  # fmt: skip


def fit_category(name: str, train: Sequence[str], missing: frozenset[str]) -> Column:
    """The category column with every value of the training cells, sorted."""
    return {
        "name": name,
        "type": "category",
        "values": sorted({c for c in train if not is_missing(c, missing)}),
    }


def feature_names(columns: Sequence[Column]) -> list[str]:
    """A name for each feature the columns become."""
    names: list[str] = []
    for column in columns:
        if column["type"] == "category":
            names += [f"{column['name']}={value}" for value in column["values"]]
        else:
            names += [column["name"]] + [f"{column['name']} missing"] * column["indicator"]
    return names


def encode(preprocessing: Mapping[str, Any], cells: Mapping[str, Sequence[str]]) -> NDArray[np.float32]:
    """Features (rows, features) of text columns.

    Raises:
        UserError: a column is missing, or a cell of a number column is not a number.
    """
    missing = frozenset(preprocessing["missing"])
    blocks = []
    for column in preprocessing["columns"]:
        name = column["name"]
        if name not in cells:
            needed = ", ".join(column["name"] for column in preprocessing["columns"])
            raise UserError(f"column {name!r} is missing; needed are {needed}")
        if column["type"] == "category":
            blocks.append(_one_hot(column, cells[name]))
        else:
            numbers, wrong = parse_numbers(cells[name], missing, preprocessing["decimal"])
            if wrong is not None:
                raise UserError(f"column {name!r} should hold numbers, got {cells[name][wrong]!r}")
            blocks.append(_standardised(column, numbers))
    return np.concatenate(blocks, axis=1)


def encode_rows(
    preprocessing: Mapping[str, Any], rows: Sequence[Mapping[str, object]]
) -> NDArray[np.float32]:
    """Features of rows given as mappings of column name to cell; None is a missing cell."""
    names = [column["name"] for column in preprocessing["columns"]]
    present = [name for name in names if all(name in row for row in rows)]
    return encode(preprocessing, {name: [_as_cell(row[name]) for row in rows] for name in present})


def _as_cell(value: object) -> str:
    return "" if value is None else str(value).strip()


def _one_hot(column: Column, cells: Sequence[str]) -> NDArray[np.float32]:
    place = {value: position for position, value in enumerate(column["values"])}
    unseen = len(place)
    codes = np.fromiter((place.get(cell, unseen) for cell in cells), np.int64, len(cells))
    block = np.zeros((len(cells), unseen + 1), np.float32)
    block[np.arange(len(cells)), codes] = 1.0
    return block[:, :unseen]


def _standardised(column: Column, numbers: Numbers) -> NDArray[np.float32]:
    gaps = np.isnan(numbers)
    filled = np.where(gaps, column["median"], numbers)
    block = ((filled - column["mean"]) / column["std"]).astype(np.float32)[:, None]
    return np.concatenate([block, gaps[:, None].astype(np.float32)], axis=1) if column["indicator"] else block
