"""A time series of one's own in a CSV file: windows of the past, and what came after them.

Split by time: the last rows are the test part, those before them the validation part. No training window
reaches into them, and every statistic comes from the rows before them. The past that a validation or test
window looks back on may lie in an earlier part, as it would when forecasting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlcore.data.delimited import TextTable, read_table
from dlcore.data.files import resolve_path
from dlcore.data.spec import Data, DataContext, DataSpec, TensorPart
from dlcore.data.table import parse_numbers
from dlcore.data.tabular import MISSING, find_column
from dlcore.errors import UserError
from dlcore.fields import Count, CountOrZero, Fraction
from dlcore.registry import DATA

Numbers = NDArray[np.float64]
Floats = NDArray[np.float32]

_DATE = re.compile(r"\d{4}-\d\d")


@DATA.register("series", group="own", input="sequence", target="number", task="forecasting")
def series(
    context: DataContext,
    *,
    path: str,
    target: str | int = -1,
    also: tuple[str | int, ...] = (),
    time: str | int = "auto",
    window: Count = 24,
    horizon: Count = 1,
    season: CountOrZero = 0,
    scale: Literal["linear", "log"] = "linear",
    val: Fraction = 0.15,
    test: Fraction = 0.2,
    header: Literal["auto", "yes", "no"] = "auto",
    delimiter: str = "auto",
    encoding: str = "utf-8",
    decimal: Literal[".", ","] = ".",
) -> Data:
    """Your own time series in a CSV file, one moment a line: the next values from a window of the last ones.

    Args:
        path: the file; relative to the working folder, or to the preset's.
        target: the column to forecast, by name or position; 0 is the first, -1 the last.
        also: further columns of numbers that the model sees the past of.
        time: the column that tells the time, to check the order; auto takes one of dates such as 2026-01-31.
        window: rows the model looks back on.
        horizon: rows ahead that it forecasts, all at once.
        season: rows after which things repeat, 12 for months; adds the forecast "as a season ago" to compare
            with. 0: none.
        scale: log suits what grows by percents; the target must be above 0.
        val: share of the rows held back to watch the training, right before the test part.
        test: share of the rows held back for the final figure, the last ones.
        header: whether the first line holds the names of the columns.
        delimiter: the character between cells, "tab" or "auto".
        encoding: of the file, such as "cp1252" or "utf-16".
        decimal: the decimal sign of numbers.
    """
    file = resolve_path(path, context)
    if file.is_dir():
        raise UserError(f"{file} is a folder, not a CSV file")
    if season > window:
        raise UserError(
            f"data.season = {season} is more than data.window = {window}: look back on a whole season"
        )
    table = read_table(file, encoding=encoding, delimiter=delimiter, header=header)
    places = [find_column(table, target, "target"), *(find_column(table, column, "also") for column in also)]
    places = list(dict.fromkeys(places))
    names = [table.names[place] for place in places]
    backwards, notes = is_backwards(table, time, file)
    columns, filled = zip(
        *(read_values(table, place, decimal, backwards, file) for place in places), strict=True
    )
    values = np.stack(columns, axis=1)  # (rows, features), the target first
    if scale == "log":
        values[:, 0] = _logarithm(values[:, 0], names[0], file)
    parts = split_rows(len(values), window=window, horizon=horizon, val=val, test=test)
    mean, std = _statistics(values[: parts.train.stop + window + horizon - 1], names, file)
    preprocessing = {
        "kind": "series", "columns": names, "window": window, "horizon": horizon, "season": season,
        "log": scale == "log", "mean": mean.tolist(), "std": std.tolist(),
    }  # fmt: skip
    return _in_parts(values, preprocessing, parts, (*notes, *filter(None, filled)))


class Starts(NamedTuple):
    """The windows of each part, by the row they start on."""

    train: range
    val: range
    test: range


def split_rows(rows: int, *, window: int, horizon: int, val: float, test: float) -> Starts:
    """Windows of the three parts, none of whose forecasts reaches into another part.

    Raises:
        UserError: a part has no window.
    """
    if val + test >= 1:
        raise UserError(f"data.val = {val:g} and data.test = {test:g} leave nothing to train on")
    test_from = rows - round(rows * test)
    val_from = test_from - round(rows * val)
    # A window that starts on row s forecasts the rows s + window … s + window + horizon - 1.
    train = range(0, val_from - horizon - window + 1)
    val_part = range(max(0, val_from - window), test_from - horizon - window + 1)
    test_part = range(max(0, test_from - window), rows - horizon - window + 1)
    for name, part, share in (
        ("train on", train, 1),
        ("validate by", val_part, val),
        ("test by", test_part, test),
    ):
        if share and not len(part):
            raise UserError(
                f"{rows:,} rows leave no window to {name}: each takes data.window = {window} rows and "
                f"data.horizon = {horizon} more"
            )
    return Starts(train, val_part, test_part if test else range(0))


def read_values(
    table: TextTable, place: int, decimal: str, backwards: bool, path: Path
) -> tuple[Numbers, str]:
    """A column of numbers, oldest first, gaps filled with the value before; and a note about those.

    Raises:
        UserError: a cell is no number, or the first ones are missing.
    """
    name, cells = table.names[place], table.columns[place]
    missing = frozenset(token.lower() for token in MISSING)
    numbers, wrong = parse_numbers(cells, missing, decimal)
    if wrong is not None:
        raise UserError(
            f"column {name!r} of {path} holds {cells[wrong]!r} in line {table.lines[wrong]:,}, which is no number: "
            "mend that line, or name another column"
        )
    lines = table.lines
    if backwards:
        numbers, lines = numbers[::-1], lines[::-1]
    gaps = np.isnan(numbers)
    if gaps.all():
        raise UserError(f"column {name!r} of {path} has no value in any line: name another column")
    if gaps[0]:
        raise UserError(
            f"column {name!r} of {path} has no value in line {lines[0]:,}, where the series begins: leave that line out"
        )
    if np.abs(numbers[~gaps]).max() > 1e30:
        raise UserError(f"column {name!r} of {path} has numbers above 1e30, too large to learn from")
    last_known = np.maximum.accumulate(np.where(gaps, 0, np.arange(len(numbers))))
    counted = "1 gap" if gaps.sum() == 1 else f"{gaps.sum():,} gaps"
    note = f"column {name!r} has {counted}, filled with the value before" if gaps.any() else ""
    return numbers[last_known], note


def is_backwards(table: TextTable, time: str | int, path: Path) -> tuple[bool, list[str]]:
    """Whether the file has the newest row first, with a note about it."""
    if time == "auto":
        dated = (place for place, cells in enumerate(table.columns) if all(map(_DATE.match, cells)))
        place = next(dated, None)
        if place is None:
            return False, []
    else:
        place = find_column(table, time, "time")
    cells = table.columns[place]
    numbers, wrong = parse_numbers(cells, frozenset(), ".")
    moments: Sequence[Any] = cells if wrong is not None else numbers.tolist()
    steps = list(pairwise(moments))
    if all(before < after for before, after in steps):
        return False, []
    if all(before > after for before, after in steps):
        return True, ["the file has its newest row first; it is read from its end"]
    row = next(row for row, (before, after) in enumerate(steps) if not before < after)
    raise UserError(
        f"{path} is not in order: {cells[row + 1]!r} in line {table.lines[row + 1]:,} comes after {cells[row]!r}; "
        "sort the rows by time, one row a moment"
    )


def standardised(preprocessing: Mapping[str, Any], values: Numbers) -> Floats:
    """Rows of a series from outside as the model sees them, (rows, features).

    Raises:
        UserError: a number has no logarithm, though the training took it.
    """
    if preprocessing["log"]:
        if values[:, 0].min() <= 0:
            name = preprocessing["columns"][0]
            raise UserError(f"{name!r} has values of 0 or below, and the training took their logarithm")
        values = np.column_stack([np.log(values[:, 0]), values[:, 1:]])
    mean, std = (np.array(preprocessing[key]) for key in ("mean", "std"))
    return ((values - mean) / std).astype(np.float32)


def _statistics(values: Numbers, names: Sequence[str], path: Path) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of each column, (features,), over the training rows."""
    mean, std = values.mean(0), values.std(0)
    for name, column_mean, deviation in zip(names, mean, std, strict=True):
        if deviation <= 1e-12 * max(1.0, abs(column_mean)):
            raise UserError(
                f"column {name!r} of {path} is the same number in all training rows: leave it out"
            )
    return mean, std


def _logarithm(values: Numbers, name: str, path: Path) -> Numbers:
    if values.min() <= 0:
        raise UserError(
            f'column {name!r} of {path} has values of 0 or below, which have no logarithm: set data.scale = "linear"'
        )
    return np.log(values)


def _in_parts(values: Numbers, preprocessing: dict[str, Any], starts: Starts, notes: tuple[str, ...]) -> Data:
    window, horizon = preprocessing["window"], preprocessing["horizon"]
    mean, std = np.array(preprocessing["mean"]), np.array(preprocessing["std"])
    look = Windows(torch.from_numpy(((values - mean) / std).astype(np.float32)), window)
    answers = np.exp(values[:, 0]) if preprocessing["log"] else values[:, 0]
    ahead = torch.from_numpy(np.lib.stride_tricks.sliding_window_view(answers, horizon).astype(np.float32))
    parts = [
        TensorPart(torch.arange(part.start, part.stop), ahead[part.start + window : part.stop + window], look)
        for part in starts
    ]
    targets = parts[0].targets.double()
    spread = targets.std(0, correction=0)
    spec = DataSpec(
        input="sequence",
        input_shape=(window, values.shape[1]),
        target="number",
        num_outputs=horizon,
        target_names=tuple(f"{preprocessing['columns'][0]} +{step}" for step in range(1, horizon + 1)),
        target_offset=tuple(targets.mean(0).tolist()),
        target_scale=tuple(torch.where(spread > 0, spread, 1.0).tolist()),
        feature_names=tuple(preprocessing["columns"]),
        preprocessing=preprocessing,
    )
    return Data(spec, parts[0], parts[1], parts[2] if len(parts[2]) else None, notes)


class Windows:
    """Windows of a series by the rows they start on: they overlap, and only the series is kept.

    Args:
        values: (rows, features).
    """

    def __init__(self, values: Tensor, window: int) -> None:
        self._values = {values.device: values}
        self._window = window

    def __call__(self, starts: Tensor) -> Tensor:
        """(batch,) rows -> (batch, window, features)."""
        values = self._values.get(starts.device)
        if values is None:
            values = self._values[starts.device] = next(iter(self._values.values())).to(starts.device)
        return values[starts[:, None] + torch.arange(self._window, device=starts.device)]
