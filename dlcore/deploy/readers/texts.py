"""Texts: typed on the command line, one a line from stdin or a file, or a column of a CSV or JSON-lines file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlcore.data.delimited import read_table
from dlcore.data.spec import DataSpec
from dlcore.deploy.inputs import READERS, Item, Reader, Unreadable, target_of
from dlcore.errors import UserError
from dlcore.vocabulary import from_plain

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
LARGEST = 1 << 30  # bytes of a file


class Text(NamedTuple):
    """One text with where it is from and, where it was found, its true answer."""

    name: str
    text: str
    answer: str | None = None


@READERS.register("text")
class Texts(Reader):
    """Cut into the trained tokens; what is longer than the training's longest is cut, as it was there."""

    def __init__(self, spec: DataSpec, options: Mapping[str, Any]) -> None:
        super().__init__(spec, options)
        self.tokenizer = from_plain(spec.preprocessing["tokenizer"])

    def read(self, place: str, *, labelled: bool) -> Iterator[Item | Unreadable]:
        """One sample a text."""
        try:
            for text in self._texts(place):
                yield self._item(text, labelled)
        except UserError as error:
            yield Unreadable(place, error.lines[0].removeprefix(f"{place} "))
        except UnicodeDecodeError:
            yield Unreadable(place, "is not UTF-8 text")
        except OSError as error:
            yield Unreadable(place, error.strerror or str(error))

    def _texts(self, place: str) -> Iterator[Text]:
        path = Path(place)
        if place == "-":
            yield from _lines("line", sys.stdin.buffer.read(LARGEST).decode())
        elif not _exists(path):
            yield Text(place, place)
        elif path.suffix.lower() in TABLES:
            yield from self._column(path)
        elif path.is_dir():
            raise UserError("is a folder; a file of texts is wanted")
        elif path.stat().st_size > LARGEST:
            raise UserError("has more than a GB; cut it")
        else:
            yield from _lines(place, path.read_text("utf-8-sig"))

    def _column(self, path: Path) -> Iterator[Text]:
        names, rows = _json_rows(path) if path.suffix.lower() in TABLES[2:] else _table_rows(path)
        wanted, target = self.options.get("column"), self.options.get("target")
        column = _place(wanted, names)
        if column is None:
            column = max(
                range(len(names)), key=lambda at: mean(len(cells[at]) for _, cells in islice(rows, 1000))
            )
        answer = _place(target, names)
        if answer is None and len(names) > 1:
            answer = max(at for at in range(len(names)) if at != column)
        for line, cells in rows:
            yield Text(f"{path}:{line}", cells[column], None if answer is None else cells[answer])

    def _item(self, text: Text, labelled: bool) -> Item | Unreadable:
        ids = self.tokenizer.encode(text.text)[: self.spec.input_shape[0]]
        if not ids:
            return Unreadable(text.name, "there is no text")
        inputs = torch.full(self.spec.input_shape, self.spec.pad_id or 0, dtype=torch.int64)
        inputs[: len(ids)] = torch.tensor(ids)
        if not labelled:
            return Item(text.name, inputs)
        try:
            return Item(text.name, inputs, target_of(self.spec, text.answer or ""))
        except ValueError as error:
            return Unreadable(text.name, str(error))


@READERS.register("running_text")
class RunningText(Reader):
    """A text file as the windows that a language model is judged by; prompts are not read but gone on with."""

    def read(self, place: str, *, labelled: bool) -> Iterator[Item | Unreadable]:
        """Windows side by side, each with the same tokens one later as its answer."""
        try:
            ids = torch.tensor(
                from_plain(self.spec.preprocessing["tokenizer"]).encode(Path(place).read_text("utf-8-sig"))
            )
        except UnicodeDecodeError:
            yield Unreadable(place, "is not UTF-8 text")
            return
        except OSError as error:
            yield Unreadable(place, error.strerror or str(error))
            return
        (length,) = self.spec.input_shape
        windows = (len(ids) - 1) // length
        if not windows:
            yield Unreadable(place, f"has {len(ids)} tokens, fewer than a window of {length} and one more")
        for at in range(windows):
            window: Tensor = ids[at * length : (at + 1) * length + 1]
            yield Item(f"{place}, window {at + 1}", window[:-1], window[1:])


def _exists(path: Path) -> bool:
    """Whether a text happens to name a file; a long one cannot."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _lines(name: str, text: str) -> Iterator[Text]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield Text(f"{name}:{number}", line.strip())


def _table_rows(path: Path) -> tuple[Sequence[str], list[tuple[int, Sequence[str]]]]:
    table = read_table(path)
    return table.names, list(zip(table.lines, zip(*table.columns, strict=True), strict=True))


def _json_rows(path: Path) -> tuple[Sequence[str], list[tuple[int, Sequence[str]]]]:
    names: list[str] = []
    rows: list[tuple[int, Sequence[str]]] = []
    for number, line in enumerate(path.read_text("utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise UserError(f"line {number:,} is no JSON object")
        names = names or list(row)
        rows.append((number, [_as_text(row.get(name, "")) for name in names]))
    if not rows:
        raise UserError("is empty")
    return names, rows


def _as_text(value: object) -> str:
    return (value if isinstance(value, str) else json.dumps(value)).strip()


def _place(wanted: object, names: Sequence[str]) -> int | None:
    """The position of a column by name or position; None where it was not named or is not there."""
    if isinstance(wanted, str) and wanted in names:
        return list(names).index(wanted)
    if isinstance(wanted, int) and -len(names) <= wanted < len(names):
        return wanted % len(names)
    return None
