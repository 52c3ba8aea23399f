"""The shape calculator's answer to a line, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from dlcore.errors import UserError
from dlcore.inspection.calculator import vocabulary
from dlcore.inspection.calculator.chains import ChainSolver, unknowns
from dlcore.inspection.calculator.gradients import gradient
from dlcore.inspection.calculator.grammar import parse
from dlcore.inspection.calculator.rendering import render
from dlcore.inspection.calculator.syntax import (
    Assignment,
    CalculatorError,
    Call,
    Chain,
    Gradient,
    Name,
    Node,
    Unknown,
    walk,
)
from dlcore.inspection.calculator.values import Row, Values, told
from dlcore.inspection.nested import tensors_in


@dataclass(frozen=True)
class Problem:
    """What is wrong, and where: so many characters of the text from ``at``."""

    message: str
    at: int
    length: int


@dataclass(frozen=True)
class Answer:
    """What a line comes to.

    Attributes:
        rows: the steps on the way, up to a problem.
        result: the last shape or number; empty after a problem.
        solved: the line with each ? replaced; empty where there was none.
    """

    rows: tuple[Row, ...]
    result: str = ""
    solved: str = ""
    problem: Problem | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "rows": [row._asdict() for row in self.rows],
            "result": self.result,
            "solved": self.solved,
            "problem": asdict(self.problem) if self.problem else None,
        }


def calculate(text: str, input_text: str = "") -> Answer:
    """Works out a line such as ``Conv2d(3,32,3) > Flatten() > Linear(?,10)`` or ``a: 8x1x5; b: 3x1; a+b``.

    Args:
        input_text: the shape that goes into a chain, such as ``8x3x32x32``; also known as ``x``.
    """
    values = Values()
    result = ""
    try:
        if input_text.strip():
            values.named["x"] = _input(values, input_text)
        statements = parse(text)
        for statement in statements:
            result = _worked_out(statement, values)
            for each in walk(statement):
                if isinstance(each, Unknown) and each.start not in values.solved:
                    raise CalculatorError("a ? stands for a size in a layer or in a view", each.start)
    except CalculatorError as error:
        return Answer(tuple(values.rows), problem=Problem(str(error), error.at, error.length))
    except RecursionError:
        return Answer(tuple(values.rows), problem=Problem("is nested too deep", 0, 1))
    solved = "; ".join(render(each, values.solved) for each in statements) if values.solved else ""
    return Answer(tuple(values.rows), result, solved)


def _input(values: Values, text: str) -> Tensor:
    try:
        return values.tensor(text.strip())
    except UserError as error:
        raise CalculatorError(error.lines[0]) from error
    except (AssertionError, IndexError):
        raise CalculatorError("--input must be one shape, such as 8x3x32x32") from None


def _worked_out(statement: Node, values: Values) -> str:
    if isinstance(statement, Gradient):
        rows, result = gradient(statement)
        values.rows += rows
        return result
    if isinstance(statement, Assignment):
        return _text(values.assign(statement))
    if isinstance(statement, Call | Name) and _is_link(statement, values):
        statement = Chain(statement.start, statement.end, (statement,))
    if isinstance(statement, Chain):
        return _chain(statement, values)
    return _text(values.of(statement))


def _is_link(node: Call | Name, values: Values) -> bool:
    """Whether it stands alone and works on the input."""
    layer = node.name in vocabulary.LAYERS and (isinstance(node, Name) or node.owner is None)
    return layer or (isinstance(node, Call) and node.owner is None and bool(unknowns(node)))


def _chain(chain: Chain, values: Values) -> str:
    first = chain.links[0]
    begins = _is_tensor(first, values)
    if begins:
        value = values.of(first)
        if not tensors_in(value):
            raise CalculatorError("must be a tensor or a layer", first.start, first.end - first.start)
        if not values.rows:
            values.rows.append(Row(render(first), told(value)))
    else:
        value = values.named.get("x")
        if value is None:
            message = "what goes in? give --input 8x3x32x32, or begin with a shape: 8x3x32x32 > …"
            raise CalculatorError(message, first.start, first.end - first.start)
        values.rows.append(Row("x", told(value)))
    solver = ChainSolver(chain, values)
    try:
        found = solver.solve(tensors_in(value)[0], int(begins))
    except CalculatorError:
        values.rows += solver.reached
        raise
    values.rows += found.rows
    values.solved |= found.solved
    return told(found.value)


def _is_tensor(node: Node, values: Values) -> bool:
    """Whether the beginning of a chain is what goes in, not the first layer or function for it."""
    if not isinstance(node, Call | Name) or (isinstance(node, Call) and node.owner is not None):
        return True
    if isinstance(node, Name):
        return node.name in values.named
    made = node.name in ("zeros", "ones", "rand", "randn", "empty", "arange", "eye", "linspace")
    return made or (node.name not in vocabulary.LAYERS and _mentions(node, values))


def _mentions(node: Node, values: Values) -> bool:
    return any(isinstance(each, Name) and each.name in values.named for each in walk(node))


def _text(value: Any) -> str:
    if tensors_in(value):
        return told(value)
    return str(tuple(value)) if isinstance(value, torch.Size) else str(value)
