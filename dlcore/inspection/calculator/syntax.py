"""What a line of the calculator is made of: pieces of its text, one in another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


class CalculatorError(ValueError):
    """What is wrong with a line, and where in it.

    Args:
        at, length: characters of the text.
    """

    def __init__(self, message: str, at: int = 0, length: int = 1) -> None:
        super().__init__(message)
        self.at = at
        self.length = max(1, length)


@dataclass(frozen=True)
class Node:
    """A piece of the text, from ``start`` to before ``end``."""

    start: int
    end: int


@dataclass(frozen=True)
class Constant(Node):
    """A number, a text, True, False or None."""

    value: int | float | str | bool | None


@dataclass(frozen=True)
class Unknown(Node):
    """``?``."""


@dataclass(frozen=True)
class ShapeOf(Node):
    """A tensor told by its shape."""

    text: str


@dataclass(frozen=True)
class Name(Node):
    """A tensor, or a function without its parentheses."""

    name: str


@dataclass(frozen=True)
class Items(Node):
    """A tuple or list."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Operator(Node):
    """``left sign right``; a sign before an expression has no left."""

    sign: str
    left: Node | None
    right: Node


@dataclass(frozen=True)
class Call(Node):
    """``name(arguments)`` or, with an owner, ``owner.name(arguments)``; an attribute such as ``.T`` has none."""

    name: str
    owner: Node | None
    arguments: tuple[Node, ...]
    named: tuple[tuple[str, Node], ...] = ()
    attribute: bool = False


@dataclass(frozen=True)
class Slice(Node):
    """``start:stop:step`` in an index."""

    parts: tuple[Node | None, ...]


@dataclass(frozen=True)
class Index(Node):
    """``owner[indices]``."""

    owner: Node
    indices: tuple[Node, ...]


@dataclass(frozen=True)
class Assignment(Node):
    """``name = expression`` or ``name: shape``."""

    name: str
    value: Node


@dataclass(frozen=True)
class Gradient(Node):
    """``grad formula at name=value, …``."""

    formula: Node
    places: tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class Chain(Node):
    """Expressions that each work on what the one before gives."""

    links: tuple[Node, ...]


def walk(node: Node) -> Iterator[Node]:
    """A node and all that is in it."""
    yield node
    inner: list[Node | None] = []
    if isinstance(node, Chain):
        inner += node.links
    elif isinstance(node, Items):
        inner += node.items
    elif isinstance(node, Operator):
        inner += [node.left, node.right]
    elif isinstance(node, Call):
        inner += [node.owner, *node.arguments, *(value for _, value in node.named)]
    elif isinstance(node, Index):
        inner += [node.owner, *node.indices]
    elif isinstance(node, Slice):
        inner += node.parts
    elif isinstance(node, Assignment):
        inner.append(node.value)
    elif isinstance(node, Gradient):
        inner += [node.formula, *(value for _, value in node.places)]
    for each in inner:
        if each is not None:
            yield from walk(each)
