"""Epochs as rows of one table: at most `MAX_ROWS` of them, so that 2,000 epochs read as well as 20."""

from __future__ import annotations

from rich.text import Text

from tui import sentences, words
from tui.plain_data import integer, metrics, number
from tui.run_state import Event

MAX_ROWS = 25


class EpochTable:
    """Rows of figures under one header, columns fixed by the first epoch and the terminal's width.

    Args:
        event: the first epoch's event.
        epochs: how many will come, None when nobody knows.
        width: columns of the terminal.
    """

    def __init__(self, event: Event, epochs: int | None, width: int) -> None:
        self.every = max(1, -(-(epochs or 1) // MAX_ROWS))
        self._epochs = epochs
        self._lead = max(7, len(words.progress(epochs, epochs)))
        self._names: list[str] = []
        room = width - self._lead - 12
        for name in sentences.in_order(metrics(event)):
            room -= max(10, words.cells(name)) + 2
            if room >= 0:
                self._names.append(name)
        self._skipped: Event | None = None

    def header(self) -> Text:
        """The names of the columns."""
        parts = ["epoch".rjust(self._lead), *(name.rjust(10) for name in self._names), "time".rjust(8)]
        return Text("  ".join(parts), style="dim")

    def add(self, event: Event) -> list[Text]:
        """The row of an epoch, when it is its turn."""
        epoch = integer(event, "epoch") or 0
        if epoch % self.every and epoch > 1:
            self._skipped = event
            return []
        self._skipped = None
        return [self._row(event)]

    def last(self) -> list[Text]:
        """The row of the last epoch, unless it is already there."""
        return [] if self._skipped is None else [self._row(self._skipped)]

    def _row(self, event: Event) -> Text:
        values = metrics(event)
        row = Text(words.progress(integer(event, "epoch"), self._epochs).rjust(self._lead))
        for name in self._names:
            wrong = name in values and words.metric(values[name]) in ("nan", "inf", "-inf")
            cell = words.metric(values.get(name)).rjust(max(10, words.cells(name)))
            row.append("  ").append(cell, style="red" if wrong else "")
        row.append("  ").append(words.duration(number(event, "seconds")).rjust(8), style="dim")
        return row.append("  best", style="green") if event.get("best") is True else row
