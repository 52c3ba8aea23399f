"""CSV files: rows of the columns that the network was trained on, with or without the answer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlcore.data.delimited import TextTable, read_table
from dlcore.data.preprocess import preprocess
from dlcore.data.table import parse_numbers
from dlcore.deploy.inputs import READERS, Item, Reader, Unreadable, target_of
from dlcore.errors import UserError

Row = Mapping[str, str]


def table_as_trained(path: Path, options: Mapping[str, Any], *, unnamed: bool) -> TextTable:
    """The file as the training's was written, else as it looks by itself.

    Args:
        options: of the preset's data section.
        unnamed: columns may go by position, so that a single row without a header is read, too.

    Raises:
        UserError: it is no table.
    """
    keys = ("encoding", "delimiter", "header")
    attempts: list[dict[str, Any]] = [{key: options[key] for key in keys if key in options}, {}]
    if unnamed:
        attempts.append({"header": "no"})
    reasons: list[UserError] = []
    for attempt in attempts:
        try:
            return read_table(path, **attempt)
        except UserError as error:
            reasons.append(error)
    raise reasons[0]


class Rows(Reader):
    """What both kinds of table share: a file becomes rows, a row with a fault is answered with it.

    Attributes:
        unnamed: columns may go by position, so that a single row without a header is read, too.
    """

    unnamed = False

    def read(self, place: str, *, labelled: bool) -> Iterator[Item | Unreadable]:
        """One sample a row; all rows at once, or one by one where a row has a fault."""
        path = Path(place)
        if path.is_dir():
            yield Unreadable(place, "is a folder; a CSV file is wanted")
            return
        try:
            table = table_as_trained(path, self.options, unnamed=self.unnamed)
            columns = self._columns(table)
        except UserError as error:
            yield Unreadable(place, error.lines[0].removeprefix(f"{place} "))
            return
        rows = [dict(zip(table.names, cells, strict=True)) for cells in zip(*table.columns, strict=True)]
        used = [{name: row[source] for name, source in columns.items()} for row in rows]
        answers = self._answers(table, columns) if labelled else None
        if labelled and answers is None:
            yield Unreadable(place, "has no column with the true answers")
            return
        try:
            encoded: Sequence[Tensor | UserError] = list(self._encode(used))
        except UserError:
            encoded = [self._alone(row) for row in used]
        for at, inputs in enumerate(encoded):
            name = f"{place}:{table.lines[at]}"
            yield self._item(name, inputs, None if answers is None else answers[at])

    def _item(self, name: str, inputs: Tensor | UserError, answer: str | None) -> Item | Unreadable:
        if isinstance(inputs, UserError):
            return Unreadable(name, inputs.lines[0])
        if answer is None:
            return Item(name, inputs)
        try:
            return Item(name, inputs, target_of(self.spec, answer))
        except ValueError as error:
            return Unreadable(name, str(error))

    def _alone(self, row: Row) -> Tensor | UserError:
        try:
            return self._encode([row])[0]
        except UserError as error:
            return error

    @abstractmethod
    def _columns(self, table: TextTable) -> dict[str, str]:
        """Column of the training -> column of this file."""

    @abstractmethod
    def _answers(self, table: TextTable, columns: Mapping[str, str]) -> list[str] | None:
        """The true answers, a text a row."""

    @abstractmethod
    def _encode(self, rows: Sequence[Row]) -> Tensor:
        """Model inputs, (rows, features)."""


@READERS.register("table")
class OwnTable(Rows):
    """A CSV with the columns of the one that was trained on, in any order; others are passed over."""

    def _columns(self, table: TextTable) -> dict[str, str]:
        wanted = [column["name"] for column in self.spec.preprocessing["columns"]]
        absent = [name for name in wanted if name not in table.names]
        if absent:
            word = "column" if len(absent) == 1 else "columns"
            shown = ", ".join(repr(name) for name in absent[:5]) + (", ..." if len(absent) > 5 else "")
            raise UserError(f"lacks the {word} {shown}; it has {', '.join(table.names[:12])}")
        return {name: name for name in wanted}

    def _answers(self, table: TextTable, columns: Mapping[str, str]) -> list[str] | None:
        target = self.spec.preprocessing.get("target")
        return table.columns[table.names.index(target)] if target in table.names else None

    def _encode(self, rows: Sequence[Row]) -> Tensor:
        return preprocess(self.spec.preprocessing, rows)


@READERS.register("standardise")
class Numbers(Rows):
    """Numbers by the names of the features, or in their order where the file has other names or none."""

    unnamed = True

    def _columns(self, table: TextTable) -> dict[str, str]:
        count = self.spec.input_shape[0]
        wanted = list(self.spec.feature_names) or [f"column_{at}" for at in range(count)]
        if all(name in table.names for name in wanted):
            return {name: name for name in wanted}
        if len(table.names) not in (count, count + 1):
            shown = ", ".join(wanted[:12]) + (", ..." if count > 12 else "")
            raise UserError(f"has {len(table.names)} columns; wanted are the {count} numbers {shown}")
        return dict(zip(wanted, table.names, strict=False))

    def _answers(self, table: TextTable, columns: Mapping[str, str]) -> list[str] | None:
        rest = [name for name in table.names if name not in columns.values()]
        named = [name for name in rest if name in ("target", "class", "label", *self.spec.target_names)]
        chosen = (named or rest)[-1:]
        return table.columns[table.names.index(chosen[0])] if chosen else None

    def _encode(self, rows: Sequence[Row]) -> Tensor:
        return preprocess(self.spec.preprocessing, self._numbers(rows))

    def _numbers(self, rows: Sequence[Row]) -> list[list[float]]:
        names = list(rows[0]) if rows else []
        columns = []
        for name in names:
            numbers, wrong = parse_numbers([row[name] for row in rows], frozenset(("",)))
            gaps = [at for at, value in enumerate(numbers) if value != value]
            at = wrong if wrong is not None else gaps[0] if gaps else None
            if at is not None:
                cell = rows[at][name]
                raise UserError(f"column '{name}' should hold a number, got {cell!r}")
            columns.append(numbers.tolist())
        return [list(row) for row in zip(*columns, strict=True)]


@READERS.register("environment")
class States(Numbers):
    """States of an environment, a row each: what a policy would do in them."""

    def _encode(self, rows: Sequence[Row]) -> Tensor:
        return torch.tensor(self._numbers(rows), dtype=torch.float32)
