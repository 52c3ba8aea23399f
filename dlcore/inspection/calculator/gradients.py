"""The value and the derivatives of a formula at a point, step by step: what autograd does, to look at.

Formulas are worked out forward with real numbers in double precision; backward each step is told how much the
result changes with it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dlcore.inspection.calculator import vocabulary
from dlcore.inspection.calculator.rendering import render
from dlcore.inspection.calculator.syntax import (
    CalculatorError,
    Call,
    Constant,
    Gradient,
    Items,
    Name,
    Node,
    Operator,
)
from dlcore.inspection.calculator.values import OPERATORS, Row
from dlcore.problems import nearest

MOST_NUMBERS = 10_000  # in a value that is written out


def gradient(statement: Gradient) -> tuple[list[Row], str]:
    """Each step with its value and its derivative; and the result in a line.

    Raises:
        CalculatorError: the formula has no value there, or no single one.
    """
    return _Formula(statement).worked_out()


class _Formula:
    def __init__(self, statement: Gradient) -> None:
        self.statement = statement
        self.steps: list[tuple[str, Tensor]] = []
        self.variables: dict[str, Tensor] = {}
        for name, node in statement.places:
            self.variables[name] = self._constant(node).requires_grad_()

    def worked_out(self) -> tuple[list[Row], str]:
        formula = self.statement.formula
        with torch.enable_grad():
            value = self._value(formula)
        text = render(formula)
        if value.numel() != 1:
            message = f"{text} is {value.numel()} numbers, but only one can be derived: take their sum(…) or mean(…)"
            raise _error(message, formula)
        if value.requires_grad:
            value.sum().backward()
        rows = [Row(name, _told(each), self._derivative(each)) for name, each in self.variables.items()]
        rows += [Row(said, _told(each), self._derivative(each)) for said, each in self.steps]
        derived = [f"d/d{name} = {_told(self._slope(each))}" for name, each in self.variables.items()]
        return rows, f"{text} = {_told(value)}, " + ", ".join(derived)

    def _derivative(self, value: Tensor) -> str:
        return f"the result changes by {_told(self._slope(value))} with it"

    @staticmethod
    def _slope(value: Tensor) -> Tensor:
        return torch.zeros_like(value) if value.grad is None else value.grad

    def _value(self, node: Node) -> Tensor:
        if isinstance(node, Constant | Items):
            return self._constant(node)
        if isinstance(node, Name):
            if node.name not in self.variables:
                close = nearest(node.name, self.variables)
                hint = f"; did you mean {close}?" if close else f": give it one with at {node.name}=…"
                raise _error(f"{node.name} has no value" + hint, node)
            return self.variables[node.name]
        if isinstance(node, Operator):
            left = None if node.left is None else self._value(node.left)
            right = self._value(node.right)
            if left is None:
                return self._step(node, lambda: -right if node.sign == "-" else right)
            return self._step(node, lambda: OPERATORS[node.sign][1](left, right))
        if isinstance(node, Call):
            return self._call(node)
        raise _error("stands where a formula must be", node)

    def _call(self, node: Call) -> Tensor:
        if node.attribute or node.name not in vocabulary.DERIVABLE:
            close = nearest(node.name, vocabulary.DERIVABLE)
            raise _error(
                f"{node.name} is not known here" + (f"; did you mean {close}?" if close else ""), node
            )
        owner = [] if node.owner is None else [self._value(node.owner)]
        arguments: list[Any] = [*owner, *(self._value(each) for each in node.arguments)]
        named = {key: each.value for key, each in node.named if isinstance(each, Constant)}
        if node.name in ("softmax", "log_softmax"):
            named.setdefault("dim", -1)
        return self._step(node, lambda: vocabulary.FUNCTIONS[node.name](*arguments, **named))

    def _step(self, node: Node, work: Any) -> Tensor:
        try:
            value = work()
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            raise _error(" ".join(str(error).partition("\n")[0].split())[:300], node) from error
        if not isinstance(value, Tensor):
            raise _error("gives more than one tensor", node)
        if value.numel() > MOST_NUMBERS:
            raise _error(f"has more than {MOST_NUMBERS:,} numbers", node)
        if value.requires_grad and not any(value is variable for variable in self.variables.values()):
            value.retain_grad()
            self.steps.append((render(node), value))
        return value

    def _constant(self, node: Node) -> Tensor:
        numbers = self._numbers(node)
        try:
            return torch.tensor(numbers, dtype=torch.float64)
        except ValueError as error:  # rows of different lengths
            raise _error("must be a number, or numbers such as [1, 2, 3]", node) from error

    def _numbers(self, node: Node) -> Any:
        if isinstance(node, Constant) and type(node.value) in (int, float):
            return float(node.value)  # type: ignore[arg-type]
        if isinstance(node, Operator) and node.left is None:
            inner = self._numbers(node.right)
            if isinstance(inner, float):
                return -inner if node.sign == "-" else inner
        if isinstance(node, Items):
            items = [self._numbers(each) for each in node.items]
            if len({len(each) if isinstance(each, list) else -1 for each in items}) <= 1:
                return items
        raise _error("must be a number, or numbers such as [1, 2, 3]", node)


def _told(value: Tensor) -> str:
    """Numbers with six figures; large tensors by their beginning."""
    if value.dim() == 0:
        return f"{value.item():.6g}"
    shown = [_told(each) for each in value[:8]]
    return "[" + ", ".join(shown) + (", …" if len(value) > 8 else "") + "]"


def _error(message: str, node: Node) -> CalculatorError:
    return CalculatorError(message, node.start, node.end - node.start)
