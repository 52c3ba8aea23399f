"""The user's source as text that can be changed in exact places, and shown as a patch. Nothing is written."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

Place = tuple[int, int, int, int]  # first line, first column, last line, end column; columns in bytes


class Edit(NamedTuple):
    """Bytes ``start`` to ``end`` of a file become ``text``."""

    file: str
    start: int
    end: int
    text: str


class Source:
    """A parsed file: its expressions by their place.

    Raises:
        SyntaxError: it is no Python.
    """

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.bytes = text.encode()
        self.tree = ast.parse(text)
        self._starts = [0]
        for line in self.bytes.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def at(self, place: Place) -> ast.expr | None:
        """The expression that lies exactly there, or else the smallest one around."""
        first, column, last, end = place
        start, stop = self._offset(first, column), self._offset(last, end)
        found: list[tuple[int, ast.expr]] = []
        for node in self.expressions():
            low, high = self.span(node)
            if low <= start and stop <= high:
                found.append((high - low, node))
        return min(found, key=lambda pair: pair[0])[1] if found and place != (0, 0, 0, 0) else None

    def expressions(self) -> Iterator[ast.expr]:
        """Every expression, outer ones first."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.expr))

    def parent(self, node: ast.AST) -> ast.AST | None:
        """What a node is directly in."""
        return self._parents.get(node)

    def span(self, node: ast.expr) -> tuple[int, int]:
        """First byte of an expression and the one after its last."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)

    def text(self, node: ast.expr) -> str:
        """An expression as written."""
        start, end = self.span(node)
        return self.bytes[start:end].decode()

    def replace(self, node: ast.expr, text: str) -> Edit:
        """Another expression in its place."""
        return Edit(self.file, *self.span(node), text)

    def insert_before(self, node: ast.expr, text: str) -> Edit:
        """An element of a list or of arguments before this one, on a line of its own where this one has one."""
        start, _ = self.span(node)
        indent = self.bytes[self._offset(node.lineno, 0) : start].decode()
        alone = not indent.strip()
        return Edit(self.file, start, start, f"{text},\n{indent}" if alone else f"{text}, ")

    def insert_line_before(self, statement: ast.stmt, text: str) -> Edit:
        """A statement before another, with the same indentation."""
        start = self._offset(statement.lineno, statement.col_offset)
        return Edit(self.file, start, start, f"{text}\n{' ' * statement.col_offset}")

    def insert_line_after(self, node: ast.expr, text: str) -> Edit:
        """A statement after the one that an expression is in, with the same indentation."""
        statement: ast.AST = node
        while not isinstance(statement, ast.stmt):
            statement = self._parents[statement]
        assert statement.end_lineno is not None and statement.end_col_offset is not None
        end = self._offset(statement.end_lineno, statement.end_col_offset)
        return Edit(self.file, end, end, f"\n{' ' * statement.col_offset}{text}")

    def _offset(self, line: int, column: int) -> int:
        return self._starts[min(max(line, 1), len(self._starts)) - 1] + column


def wrapped(text: str, node: ast.expr) -> str:
    """An expression as something that a ``.method()`` can follow."""
    simple = isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
    return text if simple else f"({text})"


def applied(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made, which must not overlap."""
    content = text.encode()
    for edit in sorted(edits, key=lambda each: each.start, reverse=True):
        content = content[: edit.start] + edit.text.encode() + content[edit.end :]
    return content.decode()


def patch(file: str, before: str, after: str) -> str:
    """A unified diff."""
    name = Path(file).name
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{name}", f"b/{name}", n=2
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
