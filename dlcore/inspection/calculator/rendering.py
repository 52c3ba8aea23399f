"""A line of the calculator as text again, evenly spaced, with what its unknowns have become."""

from __future__ import annotations

from dlcore.inspection.calculator.syntax import (
    Assignment,
    Call,
    Chain,
    Constant,
    Gradient,
    Index,
    Items,
    Name,
    Node,
    Operator,
    ShapeOf,
    Slice,
    Unknown,
)


def render(node: Node, solved: dict[int, int] | None = None) -> str:
    """A tree as text, evenly spaced.

    Args:
        solved: what stands in the place of each unknown, by where it starts.
    """
    solved = solved or {}

    def text(each: Node) -> str:
        return render(each, solved)

    if isinstance(node, Chain):
        return " > ".join(text(link) for link in node.links)
    if isinstance(node, Unknown):
        return str(solved.get(node.start, "?"))
    if isinstance(node, Constant):
        return "..." if node.value == "..." else repr(node.value)
    if isinstance(node, ShapeOf):
        return node.text
    if isinstance(node, Name):
        return node.name
    if isinstance(node, Items):
        return "(" + ", ".join(map(text, node.items)) + ("," if len(node.items) == 1 else "") + ")"
    if isinstance(node, Operator):
        right = _inner(node.right, solved, node.sign, right=node.left is not None)
        left = "" if node.left is None else _inner(node.left, solved, node.sign)
        tight = node.left is None or node.sign == "**"
        return f"{left}{node.sign}{right}" if tight else f"{left} {node.sign} {right}"
    if isinstance(node, Index):
        return f"{text(node.owner)}[{', '.join(map(text, node.indices))}]"
    if isinstance(node, Slice):
        return ":".join("" if part is None else text(part) for part in node.parts)
    if isinstance(node, Call):
        owner = "" if node.owner is None else _inner(node.owner, solved, "**") + "."
        if node.attribute:
            return f"{owner}{node.name}"
        named = [f"{key}={text(value)}" for key, value in node.named]
        return f"{owner}{node.name}({', '.join([*map(text, node.arguments), *named])})"
    if isinstance(node, Assignment):
        return f"{node.name} = {text(node.value)}"
    assert isinstance(node, Gradient)
    return f"grad {text(node.formula)} at " + ", ".join(
        f"{name}={text(value)}" for name, value in node.places
    )


def _inner(node: Node, solved: dict[int, int], sign: str, *, right: bool = False) -> str:
    """A part of an operation, in parentheses unless it binds closer."""
    text = render(node, solved)
    if not isinstance(node, Operator):
        return text
    strength = {"+": 0, "-": 0, "**": 2}
    own = 0 if node.left is None else strength.get(node.sign, 1)
    outer = strength.get(sign, 1)
    loose = own < outer or (own == outer and right != (sign == "**"))
    return f"({text})" if loose else text
