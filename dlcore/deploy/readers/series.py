"""CSV files of a time series: what comes after their last row; with the answers, every window they hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dlcore.data.delimited import TextTable
from dlcore.data.series import is_backwards, read_values, standardised
from dlcore.deploy.inputs import READERS, Item, Reader, Unreadable
from dlcore.deploy.readers.tables import table_as_trained
from dlcore.errors import UserError

MOST_WINDOWS = 1_000_000


@READERS.register("series")
class OwnSeries(Reader):
    """One sample a file, the last window of rows; when judged, one for each window with its answer."""

    def read(self, place: str, *, labelled: bool) -> Iterator[Item | Unreadable]:
        """Windows, oldest first; named by the row that they end with."""
        path = Path(place)
        if path.is_dir():
            yield Unreadable(place, "is a folder; a CSV file is wanted")
            return
        try:
            table, values, backwards = self._values(path)
            yield from self._windows(place, table, values, backwards, labelled)
        except UserError as error:
            reason = error.lines[0].replace(f" of {place}", "").removeprefix(f"{place} ")
            yield Unreadable(place, reason)

    def _values(self, path: Path) -> tuple[TextTable, NDArray[np.float64], bool]:
        """The series, (rows, features), oldest first; and whether the file has its newest row first."""
        table = table_as_trained(path, self.options, unnamed=True)
        backwards, _ = is_backwards(table, self.options.get("time", "auto"), path)
        decimal = str(self.options.get("decimal", "."))
        columns = [read_values(table, at, decimal, backwards, path)[0] for at in self._places(table)]
        return table, np.stack(columns, axis=1), backwards

    def _places(self, table: TextTable) -> list[int]:
        """Columns by their names; in a file with as many columns as were trained on, by their order."""
        wanted = self.spec.preprocessing["columns"]
        absent = [name for name in wanted if name not in table.names]
        if not absent:
            return [table.names.index(name) for name in wanted]
        if len(table.names) == len(wanted) and not table.has_header:
            return list(range(len(wanted)))
        shown = ", ".join(repr(name) for name in absent)
        word = "column" if len(absent) == 1 else "columns"
        raise UserError(f"lacks the {word} {shown}; it has {', '.join(table.names[:12])}")

    def _windows(
        self, place: str, table: TextTable, values: NDArray[np.float64], backwards: bool, labelled: bool
    ) -> Iterator[Item | Unreadable]:
        facts = self.spec.preprocessing
        window, horizon = int(facts["window"]), int(facts["horizon"])
        needed = window + (horizon if labelled else 0)
        if len(values) < needed:
            more = f" and {horizon} with the answers" if labelled else ""
            raise UserError(f"has {len(values)} rows; a forecast looks back on {window}{more}")
        inputs = torch.from_numpy(standardised(facts, values))
        answers = torch.from_numpy(values[:, 0].astype(np.float32))
        starts = range(len(values) - needed + 1) if labelled else [len(values) - window]
        lines = table.lines[::-1] if backwards else table.lines
        for start in starts[:MOST_WINDOWS]:
            end = start + window
            target = answers[end : end + horizon] if labelled else None
            yield Item(f"{place}:{lines[end - 1]}", inputs[start:end], target)
