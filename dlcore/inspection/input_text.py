"""Inputs of a forward pass, written in a line: ``32x3x32x32``, ``ids=Bx12:int64<1000``, ``(2x4x8, 2x4x8)``.

A size ``B`` is the batch. Where none is written, the batch is the first size of the first tensor, and every
tensor that begins with the same size has it, too.

value   = shape [":" dtype] ["<" limit]   a tensor; its numbers lie below the limit
        | "packed(" shape ")"             a packed sequence (batch, time, features)
        | "(" value, … ")"                a tuple
        | "{" name "=" value, … "}"       a dictionary
        | "none" | "true" | "false" | "int(" n ")" | "float(" x ")"
argument = [name "="] value
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

from dlcore.errors import UserError
from dlcore.inspection.facts import Bounds
from dlcore.inspection.nested import tensors_in
from dlcore.inspection.shapes import Arguments
from dlcore.problems import nearest, show

DTYPES = {
    name: getattr(torch, name)
    for name in (
        *("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"),
        *("complex64", "complex128"),
    )
} | {
    "float": torch.float32,
    "double": torch.float64,
    "half": torch.float16,
    "long": torch.int64,
    "int": torch.int32,
}
MOST_DIMENSIONS = 12
MOST_NUMBERS = 2**48  # in a tensor; more would overflow what torch counts in
MOST_DEPTH = 8
BATCH = 32  # what B stands for
WORDS = {"none": None, "true": True, "false": False}

_SHAPE = re.compile(r"(?P<sizes>(?:\d+|B)(?:[x×](?:\d+|B))*|scalar)(?::(?P<dtype>\w+))?(?:<(?P<limit>\d+))?")
_NAME = re.compile(r"(?P<name>[A-Za-z_]\w*)\s*=\s*")
_NUMBER = re.compile(r"(?P<kind>int|float)\((?P<value>[-+0-9.e]{1,40})\)")
_WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Given:
    """Arguments of a forward pass, on the meta device.

    Attributes:
        bounds: what the whole numbers of each tensor lie between, in the order of the tensors.
        batch: how many samples; 1 where the inputs have no such size.
        lettered: whether a B says where the batch is.
        texts: what was written.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    bounds: tuple[Bounds | None, ...]
    batch: int = 1
    lettered: bool = False
    texts: tuple[str, ...] = field(default=(), repr=False)

    def resized(self, batch: int) -> Given:
        """The same with so many samples."""
        return _parse(self.texts, batch, None if self.lettered else self.batch)

    @property
    def call(self) -> Arguments:
        """The arguments as `shapes.trace` takes them."""
        return Arguments(self.args, self.kwargs)

    @property
    def first(self) -> Tensor | None:
        """The first tensor, the one that a batch is counted by."""
        values = [*self.args, *self.kwargs.values()]
        return next((value for value in values if isinstance(value, Tensor)), None)


def parse_inputs(texts: Sequence[str]) -> Given:
    """What a forward pass is called with.

    Raises:
        UserError: one sentence about the first that cannot be read.
    """
    given = _parse(texts, BATCH)
    if given.lettered:
        return given
    first = next((tensor for tensor in tensors_in((given.args, given.kwargs)) if tensor.dim()), None)
    return replace(given, batch=first.shape[0] if first is not None else 1)


def _parse(texts: Sequence[str], batch: int, instead: int | None = None) -> Given:
    """The inputs with so many samples.

    Args:
        instead: a first size that stands for the batch, where no B does.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    bounds: tuple[list[Bounds | None], list[Bounds | None]] = [], []  # positional ones are counted first
    lettered = False
    for text in texts:
        reader = _Reader(text, batch, instead)
        name = reader.name()
        value = reader.value(0)
        reader.end()
        if name:
            kwargs[name] = value
        else:
            args.append(value)
        bounds[bool(name)].extend(reader.bounds)
        lettered = lettered or reader.lettered
    return Given(tuple(args), kwargs, (*bounds[0], *bounds[1]), batch, lettered, tuple(texts))


class _Reader:
    """Reads one argument from left to right.

    Args:
        batch: what B stands for.
        instead: a first size that is the batch, too.
    """

    def __init__(self, text: str, batch: int, instead: int | None) -> None:
        self.text = text.strip()
        self.batch = batch
        self.instead = instead
        self.lettered = False
        self.place = 0
        self.bounds: list[Bounds | None] = []

    def fail(self, message: str) -> UserError:
        return UserError(f"--input {show(self.text)}: {message}")

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.place)
        if found:
            self.place = found.end()
        return found

    def take(self, word: str) -> bool:
        while self.text[self.place : self.place + 1] == " ":
            self.place += 1
        if self.text.startswith(word, self.place):
            self.place += len(word)
            return True
        return False

    def end(self) -> None:
        self.take("")
        if self.place < len(self.text):
            raise self.fail(f"cannot be read from {show(self.text[self.place :])} on")

    def name(self) -> str:
        found = self.match(_NAME)
        return found["name"] if found else ""

    def value(self, depth: int) -> Any:
        self.take("")
        if depth > MOST_DEPTH:
            raise self.fail("is nested too deep")
        if self.take("("):
            return tuple(self._items(")", lambda: self.value(depth + 1)))
        if self.take("{"):
            return dict(self._items("}", lambda: self._entry(depth + 1)))
        if self.take("packed("):
            value = self._packed()
            self._close(")")
            return value
        number = self.match(_NUMBER)
        if number:
            return self._number(number)
        shape = self.match(_SHAPE)
        if shape:
            return self._tensor(shape)
        word = self.match(_WORD)
        if word and word[0].lower() in WORDS:
            return WORDS[word[0].lower()]
        dotted = re.match(r"(\w+)\.(\w+)=(.*)", self.text)
        hint = f"; a dictionary is written {dotted[1]}={{{dotted[2]}={dotted[3]}, …}}" if dotted else ""
        raise self.fail(f"must be a shape, such as 32x3x32x32 or 4x12:int64{hint}")

    def _items(self, closing: str, read: Callable[[], Any]) -> list[Any]:
        items: list[Any] = []
        while not self.take(closing):
            if items and not self.take(","):
                raise self.fail(f"needs a comma or '{closing}' at character {self.place + 1}")
            if items and self.take(closing):  # a comma behind the last
                break
            items.append(read())
        return items

    def _entry(self, depth: int) -> tuple[str, Any]:
        self.take("")
        name = self.name()
        if not name:
            raise self.fail(f"needs name=value at character {self.place + 1}")
        return name, self.value(depth)

    def _close(self, closing: str) -> None:
        if not self.take(closing):
            raise self.fail(f"needs '{closing}' at character {self.place + 1}")

    def _number(self, found: re.Match[str]) -> int | float:
        try:
            return int(found["value"]) if found["kind"] == "int" else float(found["value"])
        except ValueError:
            raise self.fail(f"{found['kind']}(…) must hold a number, got {show(found['value'])}") from None

    def _tensor(self, found: re.Match[str]) -> Tensor:
        dtype_name = found["dtype"] or ("int64" if found["limit"] else "float32")
        if dtype_name not in DTYPES:
            close = nearest(dtype_name, DTYPES)
            raise self.fail(
                f"unknown dtype {show(dtype_name)}" + (f"; did you mean '{close}'?" if close else "")
            )
        sizes = self._sizes(found["sizes"])
        if len(sizes) > MOST_DIMENSIONS:
            raise self.fail(f"has more than {MOST_DIMENSIONS} dimensions")
        if _product(sizes) > MOST_NUMBERS:
            raise self.fail("has more numbers than a tensor can hold")
        dtype = DTYPES[dtype_name]
        if found["limit"] and (dtype.is_floating_point or int(found["limit"]) < 1):
            raise self.fail("a limit such as <1000 goes with whole numbers, and is at least 1")
        self.bounds.append((0, int(found["limit"]) - 1) if found["limit"] else None)
        return torch.empty(sizes, dtype=dtype, device="meta")

    def _sizes(self, text: str) -> tuple[int, ...]:
        if text == "scalar":
            return ()
        self.lettered = self.lettered or "B" in text
        sizes = [self.batch if size == "B" else min(int(size[:20]), 2**62) for size in re.split("[x×]", text)]
        if sizes[0] == self.instead:
            sizes[0] = self.batch
        return tuple(sizes)

    def _packed(self) -> Any:
        found = self.match(_SHAPE)
        tensor = self._tensor(found) if found else None
        if tensor is None or tensor.dim() < 2 or not all(tensor.shape[:2]):
            raise self.fail("packed(…) needs the shape (batch, time, features), such as packed(4x12x8)")
        if tensor.numel() > 10**8:
            raise self.fail("a packed sequence holds real numbers, and these are too many")
        batch, time = tensor.shape[:2]
        lengths = torch.linspace(time, 1, batch).ceil().long()
        self.bounds += [None] * 2  # its batch sizes, and its order
        return pack_padded_sequence(
            torch.zeros(tensor.shape, dtype=tensor.dtype), lengths, batch_first=True, enforce_sorted=True
        )


def _product(sizes: Sequence[int]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product
