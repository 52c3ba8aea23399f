"""Inputs from outside for a trained network: files, rows and texts, preprocessed as in the training.

A reader knows one kind of `DataSpec.preprocessing` and registers under its name; a new kind of data brings a
file in ``readers/``. A bad input is answered with the reason and never keeps the others from being read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlcore.data.spec import Data, DataSpec, TensorPart
from dlcore.errors import UserError
from dlcore.problems import nearest
from dlcore.registry import Registry

READERS = Registry("reader", "dlcore.deploy.readers")


class Item(NamedTuple):
    """One sample.

    Attributes:
        name: what to call it: a file, or a file and its line.
        inputs: as the model sees it, shaped like `DataSpec.input_shape`.
        target: the true answer, where it was asked for.
    """

    name: str
    inputs: Tensor
    target: Tensor | None = None


class Unreadable(NamedTuple):
    """An input that cannot be used, and why, in words."""

    name: str
    reason: str


class Reader(ABC):
    """Reads inputs of one kind of preprocessing.

    Args:
        options: of the preset's data section, such as the delimiter.
    """

    def __init__(self, spec: DataSpec, options: Mapping[str, Any]) -> None:
        self.spec, self.options = spec, options

    @abstractmethod
    def read(self, place: str, *, labelled: bool) -> Iterator[Item | Unreadable]:
        """The samples at a place, in order.

        Args:
            place: as the user named it: a path, ``-`` for standard input, or the input itself.
            labelled: the true answers are wanted, too.
        """


def reader_for(spec: DataSpec, options: Mapping[str, Any]) -> Reader:
    """The reader of a network's inputs.

    Raises:
        UserError: its inputs cannot come from outside.
    """
    kind = str(spec.preprocessing.get("kind", ""))
    if kind not in READERS.names():
        known = ", ".join(READERS.names())
        raise UserError(
            f"inputs of this run cannot be read: its preprocessing is '{kind or 'none'}' (known: {known})"
        )
    reader: Reader = READERS.entry(kind).builder(spec, options)
    return reader


def target_of(spec: DataSpec, text: str) -> Tensor:
    """A true answer, as a part holds it, from its text.

    Raises:
        ValueError: it is no class of the training, or no number.
    """
    if spec.target in ("class", "binary"):
        names = [str(name) for name in spec.class_names]
        if text not in names:
            # 1 and 1.0 are the same class where classes are numbers.
            same = [name for name in names if _number(name) is not None and _number(name) == _number(text)]
            if not same:
                close = nearest(text, names)
                hint = f"; is it '{close}'?" if close else ""
                raise ValueError(f"class '{text}' was not in the training{hint}")
            text = same[0]
        return torch.tensor(names.index(text))
    if spec.target == "number" and spec.num_outputs == 1:
        value = _number(text)
        if value is None:
            raise ValueError(f"the answer '{text}' is no number")
        return torch.tensor([value], dtype=torch.float32)
    raise ValueError(f"answers of kind {spec.target} cannot be read here")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value == value and abs(value) != float("inf") else None


def labelled_data(spec: DataSpec, reader: Reader, place: str) -> tuple[Data, list[str]]:
    """Other data to evaluate on, and what to call each sample.

    Raises:
        UserError: nothing in it can be used.
    """
    items, bad = [], []
    for found in reader.read(place, labelled=True):
        items.append(found) if isinstance(found, Item) else bad.append(found)
    usable = [item for item in items if item.target is not None]
    if not usable:
        first = f": {bad[0].name}: {bad[0].reason}" if bad else ""
        raise UserError(f"{place} has no sample with a true answer{first}")
    targets = torch.stack([item.target for item in usable if item.target is not None])
    part = TensorPart(torch.stack([item.inputs for item in usable]), targets)
    notes = [f"left out {each.name}: {each.reason}" for each in bad[:10]]
    if len(bad) > 10:
        notes.append(f"and {len(bad) - 10:,} more")
    return Data(spec, part, part, part, tuple(notes)), [item.name for item in usable]
