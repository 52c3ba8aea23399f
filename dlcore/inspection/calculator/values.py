"""Expressions worked out on the meta device: shapes and dtypes come out, no number is computed.

Whatever goes wrong is told in the words of `layer_needs` and `operation_needs`, at the innermost expression.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dlcore.errors import UserError
from dlcore.inspection.calculator import vocabulary
from dlcore.inspection.calculator.rendering import render
from dlcore.inspection.calculator.syntax import (
    Assignment,
    CalculatorError,
    Call,
    Constant,
    Index,
    Items,
    Name,
    Node,
    Operator,
    ShapeOf,
    Slice,
    Unknown,
)
from dlcore.inspection.input_text import parse_inputs
from dlcore.inspection.nested import tensor_infos, tensors_in
from dlcore.inspection.operation_needs import explain_operation
from dlcore.inspection.operations import PRODUCTS
from dlcore.inspection.records import shape_text
from dlcore.problems import nearest

LARGEST = 2**62
OPERATORS: Mapping[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "+": ("add", lambda a, b: a + b),
    "-": ("sub", lambda a, b: a - b),
    "*": ("mul", lambda a, b: a * b),
    "/": ("div", lambda a, b: a / b),
    "//": ("floor_divide", lambda a, b: a // b),
    "%": ("remainder", lambda a, b: a % b),
    "@": ("matmul", lambda a, b: a @ b),
    "**": ("pow", lambda a, b: a**b),
}


class Row(NamedTuple):
    """A step on the way: what was worked out, the shape that came out, and what is to be said of it."""

    say: str
    output: str
    note: str = ""


class Values:
    """The tensors that have names, and the steps so far.

    Attributes:
        solved: what stands for each unknown, by where it starts.
    """

    def __init__(self) -> None:
        self.named: dict[str, Any] = {}
        self.rows: list[Row] = []
        self.solved: dict[int, int] = {}
        self._limits: list[tuple[Tensor, int]] = []

    def assign(self, statement: Assignment) -> Any:
        """Gives a value its name."""
        value = self.of(statement.value)
        self.named[statement.name] = value
        if isinstance(statement.value, ShapeOf | Name):
            self.rows.append(Row(statement.name, told(value)))
        return value

    def of(self, node: Node) -> Any:
        """The value of an expression.

        Raises:
            CalculatorError: it has none.
        """
        try:
            return self._of(node)
        except CalculatorError:
            raise
        except UserError as error:
            raise _error(error.lines[0], node) from error
        except RecursionError:
            raise
        except Exception as error:  # torch's refusals are of every class
            raise _error(_first_line(error), node) from error

    def limit(self, tensor: Tensor) -> int | None:
        """How many ids a tensor of ids may name, where that was said."""
        return next((limit for each, limit in self._limits if each is tensor), None)

    def tensor(self, text: str) -> Tensor:
        """A tensor told by its shape."""
        given = parse_inputs([text])
        assert isinstance(given.args[0], Tensor)
        if given.bounds[0]:
            self._limits.append((given.args[0], given.bounds[0][1] + 1))
        return given.args[0]

    def arguments(self, call: Call) -> tuple[list[Any], dict[str, Any]]:
        """What a call is called with; a size that follows from the others is -1."""
        for key, each in call.named:
            if key in vocabulary.REFUSED:
                raise _error(f"{key} has no meaning here", each)
        return [self.of(each) for each in call.arguments], {key: self.of(each) for key, each in call.named}

    def _of(self, node: Node) -> Any:
        if isinstance(node, Constant):
            return ... if node.value == "..." else node.value
        if isinstance(node, Unknown):
            return self.solved.get(node.start, -1)
        if isinstance(node, ShapeOf):
            return self.tensor(node.text)
        if isinstance(node, Name):
            return self._name(node)
        if isinstance(node, Items):
            return tuple(self.of(each) for each in node.items)
        if isinstance(node, Slice):
            return slice(*(None if part is None else self.of(part) for part in node.parts))
        if isinstance(node, Operator):
            return self._operator(node)
        if isinstance(node, Index):
            return self._index(node)
        if isinstance(node, Call):
            return self._call(node)
        raise _error("stands where a tensor or a number must be", node)

    def _name(self, node: Name) -> Any:
        if node.name in self.named:
            return self.named[node.name]
        if node.name == "B":
            return self.tensor("B").shape[0]
        close = nearest(node.name, [*self.named, *vocabulary.LAYERS, *vocabulary.FUNCTIONS])
        hint = f"; did you mean {close}?" if close else f": say its shape, such as {node.name}: 8x3"
        raise _error(f"{node.name} is not known" + hint, node)

    def _operator(self, node: Operator) -> Any:
        left = None if node.left is None else self.of(node.left)
        right = self.of(node.right)
        if node.left is None:
            return self.step(node, -right if node.sign == "-" else right, "neg")
        name, work = OPERATORS[node.sign]
        if not isinstance(left, Tensor) and not isinstance(right, Tensor):
            return _number(node, work, left, right)
        return self.attempt(node, name, lambda: work(left, right), [left, right])

    def _index(self, node: Index) -> Any:
        owner: Any = self.of(node.owner)
        indices = tuple(self.of(each) for each in node.indices)
        index = indices if len(indices) != 1 else indices[0]
        if not isinstance(owner, Tensor):  # the pieces of a split
            return owner[index]
        return self.attempt(node, "getitem", lambda: owner[index], [owner])

    def _call(self, node: Call) -> Any:
        if node.owner is not None:
            return self.method(node, self.of(node.owner))
        if node.name in vocabulary.LAYERS:
            raise _error(
                f"{node.name} is a layer: give it something with >, such as 8x10 > {render(node)}", node
            )
        arguments, named = self.arguments(node)
        return self.function(node, arguments, named)

    def method(self, node: Call, owner: Any) -> Any:
        """A method of the vocabulary, or an attribute such as ``.T``."""
        allowed = vocabulary.ATTRIBUTES if node.attribute else vocabulary.METHODS
        if node.name not in allowed or not isinstance(owner, Tensor):
            close = nearest(node.name, allowed)
            raise _error(
                f".{node.name} is not known here" + (f"; did you mean .{close}?" if close else ""), node
            )
        if node.attribute:
            if node.name in ("T", "H") and owner.dim() != 2:
                raise _error(
                    f".{node.name} needs 2 dimensions, but {told(owner)} has {owner.dim()}: use .mT", node
                )
            return self.step(node, getattr(owner, node.name), node.name)
        arguments, named = self.arguments(node)
        _check_pieces(node, owner, arguments, named)
        return self.attempt(
            node, node.name, lambda: getattr(owner, node.name)(*arguments, **named), [owner, *arguments]
        )

    def function(self, node: Node, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """A function of the vocabulary called by a `Call`, or by a `Name` in a chain."""
        assert isinstance(node, Call | Name)
        work = vocabulary.FUNCTIONS.get(node.name)
        if work is None:
            close = nearest(node.name, [*vocabulary.FUNCTIONS, *vocabulary.LAYERS])
            raise _error(f"{node.name} is not known" + (f"; did you mean {close}?" if close else ""), node)
        tensors = tensors_in(list(arguments))
        if tensors:
            _check_pieces(node, tensors[0], list(arguments[1:]), named)
        return self.attempt(node, node.name, lambda: work(*arguments, **named), arguments)

    def attempt(self, node: Node, name: str, work: Callable[[], Any], operands: Sequence[Any]) -> Any:
        """Works something out; a refusal is explained by the shapes of the operands."""
        dtypes = {each.dtype for each in operands if isinstance(each, Tensor)}
        if name in PRODUCTS and len(dtypes) > 1:  # the meta device would let it pass
            raise _error(f"{name} needs tensors of the same dtype, but gets {told(tuple(operands))}", node)
        try:
            with torch.device("meta"), torch.no_grad():
                value = work()
        except Exception as error:
            infos = tensor_infos(list(operands))
            sizes = [each for each in _flat(operands[1:]) if type(each) is int]
            raise _error(explain_operation(name, infos, sizes) or _refusal(name, error), node) from error
        return self.step(node, value, name, operands)

    def step(self, node: Node, value: Any, name: str, operands: Sequence[Any] = ()) -> Any:
        """Notes a value that was worked out; tells what each ? in it has become."""
        if tensors_in(value):
            self.settle(node, value)
            note = _stretched(name, [each for each in operands if isinstance(each, Tensor)], value)
            self.rows.append(Row(render(node, self.solved), told(value), note))
        return value

    def settle(self, node: Node, value: Any) -> None:
        """Notes the size that a ? of a view, reshape or unflatten has become."""
        if (
            not isinstance(node, Call)
            or node.name not in vocabulary.SIZED_BY_REST
            or not isinstance(value, Tensor)
        ):
            return
        last = node.arguments[-1] if node.arguments else None
        sizes = last.items if isinstance(last, Items) else node.arguments
        first = 0
        if node.name in ("unflatten", "Unflatten"):
            first = self.of(node.arguments[0]) % (value.dim() - len(sizes) + 1)
        for place, each in enumerate(sizes):
            if isinstance(each, Unknown):
                self.solved[each.start] = value.shape[first + place]


def told(value: Any) -> str:
    """Shapes as they are shown, the dtype where it is no plain float."""
    infos = tensor_infos(value)
    texts = [info.text + ("" if info.dtype == "float32" else f" {info.dtype}") for info in infos]
    return ", ".join(texts[:6]) + (f" and {len(texts) - 6} more" if len(texts) > 6 else "")


def built(node: Call | Name, values: Values) -> nn.Module:
    """A layer, without memory for its weights.

    Raises:
        CalculatorError: its arguments are wrong.
    """
    kind = vocabulary.LAYERS[node.name]
    arguments, named = values.arguments(node) if isinstance(node, Call) else ([], {})
    names = vocabulary.parameters(node.name)
    given = dict(zip(names, arguments, strict=False)) | named
    for key, value in given.items():
        if key in vocabulary.COUNTS and isinstance(value, int) and value > vocabulary.MOST_LAYERS:
            raise _error(f"{key} is at most {vocabulary.MOST_LAYERS} here", node)
        if key not in names:
            close = nearest(key, names)
            raise _error(f"{node.name} knows no {key}" + (f"; did you mean {close}?" if close else ""), node)
    try:
        with torch.device("meta"):
            return kind(*arguments, **named)
    except Exception as error:
        missing = "missing" in str(error) and "argument" in str(error)
        reason = f"lacks {str(error).rpartition(':')[2].strip()}" if missing else _first_line(error)
        raise _error(f"{node.name}: {reason}", node) from error


def _check_pieces(node: Node, tensor: Tensor, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
    """That a tensor is not split into more pieces than anybody wants to see."""
    name = getattr(node, "name", "")
    if name not in ("split", "chunk", "unbind"):
        return
    dim = named.get("dim", arguments[-1] if len(arguments) > (name != "unbind") else 0)
    length = tensor.shape[dim] if isinstance(dim, int) and -tensor.dim() <= dim < tensor.dim() else 0
    first = next((each for each in [*arguments, *named.values()] if isinstance(each, int)), 1)
    pieces = {"unbind": length, "chunk": first, "split": length // max(first, 1)}[name]
    if pieces > vocabulary.MOST_PIECES:
        raise _error(f"makes {pieces:,} pieces; the most is {vocabulary.MOST_PIECES:,}", node)


def _number(node: Operator, work: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """Arithmetic on plain numbers, such as 64*7*7."""
    if not all(isinstance(each, int | float) for each in (left, right)):
        raise _error("needs numbers or tensors on both sides", node)
    if node.sign == "@" or (node.sign == "**" and (abs(right) > 64 or abs(left) > 1e9)):
        raise _error("is too large, or no arithmetic of numbers", node)
    value = work(left, right)
    if isinstance(value, complex) or not math.isfinite(value) or abs(value) > LARGEST:
        raise _error("is too large a number", node)
    return value


def _stretched(name: str, operands: Sequence[Tensor], value: Any) -> str:
    """What broadcasting did: ``3×1 is stretched to 8×3×5``."""
    if not isinstance(value, Tensor) or len(operands) != 2 or name not in _BROADCASTING:
        return ""
    said = [shape_text(tuple(each.shape)) for each in operands if each.shape != value.shape and each.dim()]
    if not said:
        return ""
    verb = "is" if len(said) == 1 else "are"
    return f"{' and '.join(dict.fromkeys(said))} {verb} stretched to {shape_text(tuple(value.shape))}"


_BROADCASTING = frozenset(
    {"add", "sub", "mul", "div", "pow", "maximum", "minimum", "eq", "ne", "gt", "lt", "ge", "le"}
)


def _flat(values: Sequence[Any]) -> list[Any]:
    return [
        each for value in values for each in (_flat(value) if isinstance(value, tuple | list) else [value])
    ]


def _refusal(name: str, error: Exception) -> str:
    return f"{name}: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return " ".join(str(error).strip().partition("\n")[0].split())[:300] or type(error).__name__


def _error(message: str, node: Node) -> CalculatorError:
    return CalculatorError(message, node.start, node.end - node.start)
