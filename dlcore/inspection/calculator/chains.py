"""Layers in a row, and what each ``?`` in them must be.

A ? that the incoming shape decides (``in_features``) is read off it. Any other is looked for: numbers that occur
further on are tried first, then the small ones, and the chain is followed to its end with each. A ? that every
number satisfies is left to the person.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlcore.inspection.calculator import vocabulary
from dlcore.inspection.calculator.rendering import render
from dlcore.inspection.calculator.syntax import (
    CalculatorError,
    Call,
    Chain,
    Constant,
    Name,
    Node,
    ShapeOf,
    Unknown,
    walk,
)
from dlcore.inspection.calculator.values import Row, Values, built, told
from dlcore.inspection.nested import tensors_in
from dlcore.inspection.records import shape_text
from dlcore.inspection.shapes import Arguments, Options, trace

MOST_TRIES = 600
FURTHER_TRIES = 40  # after a number that goes, to see whether others do, too
MOST_SECONDS = 3.0
UNDECIDED = 3  # so many numbers that all go: nothing decides
USUAL = (
    *range(1, 65),
    0,
    *range(64, 513, 32),
    100,
    200,
    300,
    400,
    500,
    600,
    768,
    800,
    1000,
    1024,
    2048,
    4096,
)


class Solution(NamedTuple):
    """A way through a chain."""

    rows: tuple[Row, ...]
    value: Any
    solved: dict[int, int]


class ChainSolver:
    """Follows one chain.

    Args:
        values: what has a name; its rows and unknowns are not touched.
    """

    def __init__(self, chain: Chain, values: Values) -> None:
        self.links = chain.links
        self.values = values
        self.tries = 0
        self.most = MOST_TRIES
        self.until = float("inf")
        self.problem: tuple[int, CalculatorError] | None = None
        self.reached: tuple[Row, ...] = ()

    def solve(self, value: Tensor, first: int) -> Solution:
        """The chain from a link on.

        Raises:
            CalculatorError: it cannot be followed to its end, or nothing decides one of its unknowns.
        """
        found = list(itertools.islice(self._follow(first, value, (), {}), UNDECIDED))
        if not found:
            if self.problem is None:
                raise CalculatorError("no numbers that fit were found in time", self.links[first].start)
            raise self.problem[1]
        best = found[0]
        differing = [start for start in best.solved if len({each.solved.get(start) for each in found}) > 1]
        if len(found) == UNDECIDED:
            raise CalculatorError(
                "nothing decides this ?: many numbers go; let a layer or a shape follow that needs one",
                differing[0],
            )
        if differing:
            others = ", ".join(str(each.solved[differing[0]]) for each in found[1:])
            last = best.rows[-1]
            note = f"{last.note}; ? may be {others}, too".lstrip("; ")
            best = best._replace(rows=(*best.rows[:-1], last._replace(note=note)))
        return best

    def _follow(
        self, number: int, value: Any, rows: tuple[Row, ...], solved: dict[int, int]
    ) -> Iterator[Solution]:
        if number == len(self.links):
            self.most = min(self.most, self.tries + FURTHER_TRIES)
            yield Solution(rows, value, solved)
            return
        link = self.links[number]
        wanted = unknowns(link)
        choices = [self._choices(link, each, value, number) for each in wanted]
        for numbers in itertools.product(*choices):
            if self.tries and (self.tries >= self.most or time.monotonic() > self.until):
                return
            self.tries += 1
            trial = Values()
            trial.named = self.values.named
            trial.solved = {
                **solved,
                **{each.start: size for each, size in zip(wanted, numbers, strict=True)},
            }
            try:
                after, row = self._apply(link, value, trial)
            except CalculatorError as error:
                if self.problem is None or number > self.problem[0]:
                    self.problem, self.reached = (number, error), rows
                continue
            finally:  # only now: the first layer of all may have to load what it needs
                self.until = min(self.until, time.monotonic() + MOST_SECONDS)
            yield from self._follow(number + 1, after, (*rows, row), trial.solved)

    def _choices(self, link: Node, unknown: Unknown, value: Any, number: int) -> Sequence[int]:
        """What an unknown may be, the likeliest first."""
        parameter = parameter_of(link, unknown)
        if isinstance(link, Call) and link.name in vocabulary.LAYERS and parameter:
            tensor = tensors_in(value)[0]
            size = vocabulary.size_from_input(link.name, parameter, tensor.shape, self.values.limit(tensor))
            if size is not None:
                return [size]
        later = [size for each in self.links[number + 1 :] for size in whole_numbers(each)]
        return list(dict.fromkeys([*later, *USUAL]))

    def _apply(self, link: Node, value: Any, values: Values) -> tuple[Any, Row]:
        """One link on what comes into it."""
        tensor = tensors_in(value)[0]
        if isinstance(link, ShapeOf):
            wanted = values.tensor(link.text)
            if wanted.shape != tensor.shape:
                message = (
                    f"must be {shape_text(tuple(wanted.shape))}, but is {shape_text(tuple(tensor.shape))}"
                )
                raise CalculatorError(message, link.start, link.end - link.start)
            return value, Row(link.text, told(value), "as wanted")
        if not isinstance(link, Call | Name) or (isinstance(link, Call) and link.owner is not None):
            raise CalculatorError("must be a layer or a function here", link.start, link.end - link.start)
        if link.name in vocabulary.LAYERS:
            return self._layer(link, tensor, values)
        if link.name in vocabulary.METHODS:
            called = link if isinstance(link, Call) else Call(link.start, link.end, link.name, None, ())
            after = values.method(called, tensor)
        else:
            arguments, named = values.arguments(link) if isinstance(link, Call) else ([], {})
            after = values.function(link, [tensor, *arguments], named)
        return after, Row(render(link, values.solved), told(after))

    def _layer(self, link: Call | Name, tensor: Tensor, values: Values) -> tuple[Any, Row]:
        layer = built(link, values)
        limit = self.values.limit(tensor)
        bounds = ((0, limit - 1),) if limit else ()
        result = trace(layer, Arguments((tensor,), {}), options=Options(bounds=bounds))
        if result.failure is not None:
            raise CalculatorError(result.failure.message, link.start, link.end - link.start)
        outputs = tuple(
            torch.empty(each.shape, dtype=getattr(torch, each.dtype), device="meta")
            for each in result.outputs
        )
        values.settle(link, outputs[0])
        receptive = "×".join(map(str, result.rows[-1].receptive)) if result.rows else ""
        said = [f"{result.parameters:,} parameters"] if result.parameters else []
        said += [f"sees {receptive}"] if receptive and result.parameters else []
        if len(outputs) > 1:
            said.append(f"and its states {told(outputs[1:])}")
        return outputs[0], Row(render(link, values.solved), told(outputs[0]), ", ".join(said))


def unknowns(link: Node) -> list[Unknown]:
    """Those of a link that must be chosen; a size of a view follows from the others."""
    if not isinstance(link, Call) or link.name in vocabulary.SIZED_BY_REST:
        return []
    return [each for each in walk(link) if isinstance(each, Unknown)]


def parameter_of(link: Node, unknown: Unknown) -> str:
    """The name of the argument that an unknown is; empty inside of tuples."""
    if not isinstance(link, Call):
        return ""
    for key, each in link.named:
        if each is unknown:
            return key
    names = vocabulary.parameters(link.name) if link.name in vocabulary.LAYERS else ()
    return next((name for name, each in zip(names, link.arguments, strict=False) if each is unknown), "")


def whole_numbers(link: Node) -> Iterator[int]:
    """All that occur in a link."""
    for each in walk(link):
        if isinstance(each, Constant) and type(each.value) is int:
            yield each.value
        elif isinstance(each, ShapeOf):
            yield from Values().tensor(each.text).shape
