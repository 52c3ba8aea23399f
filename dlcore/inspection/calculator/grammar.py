"""The calculator's language, read into a tree.

line       = statement { ";" statement }
statement  = name ":" shape            a tensor
           | name "=" expression
           | "grad" expression "at" name "=" expression { "," name "=" expression }
           | expression { ">" expression }      layers in a row; a shape may begin or end it
expression = the usual + - * / @ **, calls, methods, [indices], tuples, numbers, 'text', ? for an unknown
shape      = 8x3x32x32 [":" dtype] ["<" limit]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from dlcore.inspection.calculator.syntax import (
    Assignment,
    CalculatorError,
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

MOST_CHARACTERS = 2_000
MOST_DEPTH = 40
PREFIXES = ("torch", "nn", "F", "functional")


class Token(NamedTuple):
    """A word of the text: its kind, itself and where it begins."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """The character after its last."""
        return self.start + len(self.text)


_TOKEN = re.compile(
    r"""(?P<space>[ \t\n]+)
    |(?P<shape>(?:\d+|B)(?:[x×](?:\d+|B))+(?::[a-z]+\d*)?(?:<\d+)?)
    |(?P<number>\d+\.\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?|\d+(?:e[-+]?\d+)?)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<text>'[^']*'|"[^"]*")
    |(?P<sign>\*\*|//|->|\.\.\.|[-+*/@%()\[\],.=:;>?])""",
    re.VERBOSE,
)
_LEVELS = (("+", "-"), ("*", "/", "//", "%", "@"))  # from what binds least
_DECLARED = re.compile(r"\s*(?:scalar|\d+(?:[x×]\d+)*)(?::[a-z]+\d*)?(?:<\d+)?")


def parse(text: str) -> tuple[Node, ...]:
    """The statements of a line.

    Raises:
        CalculatorError: it is none.
    """
    if len(text) > MOST_CHARACTERS:
        raise CalculatorError(f"is longer than {MOST_CHARACTERS} characters", MOST_CHARACTERS)
    return _Parser(text).line()


def _tokens(text: str) -> Iterator[Token]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise CalculatorError(f"{text[place]!r} means nothing here", place)
        if found.lastgroup != "space":
            yield Token(str(found.lastgroup), found[0], place)
        place = found.end()
    yield Token("end", "", len(text))


class _Parser:
    """Recursive descent, a method a rule."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.place = 0
        self.depth = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    def take(self, *texts: str) -> Token | None:
        """The next token if it is one of these."""
        token = self.next
        if token.text not in texts or token.kind == "text":
            return None
        self.place += 1
        return token

    def need(self, text: str) -> Token:
        token = self.take(text)
        if token is None:
            found = self.next.text or "the end"
            raise CalculatorError(f"needs {text!r} here, not {found!r}", self.next.start, len(self.next.text))
        return token

    def line(self) -> tuple[Node, ...]:
        statements: list[Node] = []
        while self.next.kind != "end":
            if not self.take(";"):
                statements.append(self.statement())
                if self.next.kind != "end":
                    self.need(";")
        if not statements:
            raise CalculatorError(
                "is empty: write layers such as Linear(10, 5), or tensors such as a: 8x1x5; a.T"
            )
        return tuple(statements)

    def statement(self) -> Node:
        first, second = self.next, self.tokens[min(self.place + 1, len(self.tokens) - 1)]
        if first.kind == "name" and second.text == ":":
            return self.declaration()
        if first.kind == "name" and second.text == "=":
            self.place += 2
            value = self.expression()
            return Assignment(first.start, value.end, first.text, value)
        if first.kind == "name" and first.text == "grad" and second.text not in ("(", ">", ";", "."):
            return self.gradient()
        links = [self.expression()]
        while self.take(">"):
            links.append(self.expression())
        return links[0] if len(links) == 1 else Chain(links[0].start, links[-1].end, tuple(links))

    def declaration(self) -> Node:
        """``a: 8x1x5:int64``, whose shape may be a single number."""
        name, colon = self.tokens[self.place : self.place + 2]
        found = _DECLARED.match(self.text, colon.end)
        if found is None:
            raise CalculatorError(f"{name.text}: needs a shape, such as 8x3x32x32", colon.end)
        while self.next.start < found.end() and self.next.kind != "end":
            self.place += 1
        start = colon.end + len(found[0]) - len(found[0].lstrip())
        shape = ShapeOf(start, found.end(), found[0].strip())
        return Assignment(name.start, shape.end, name.text, shape)

    def gradient(self) -> Node:
        start = self.need("grad").start
        formula = self.expression()
        self.need("at")
        places: list[tuple[str, Node]] = []
        while not places or self.take(","):
            name = self.next
            if name.kind != "name":
                raise CalculatorError("needs a variable and its value here, such as x=2", name.start)
            self.place += 1
            self.need("=")
            places.append((name.text, self.expression()))
        return Gradient(start, places[-1][1].end, formula, tuple(places))

    def expression(self, level: int = 0) -> Node:
        if level == len(_LEVELS):
            return self.signed()
        left = self.expression(level + 1)
        while sign := self.take(*_LEVELS[level]):
            right = self.expression(level + 1)
            left = Operator(left.start, right.end, sign.text, left, right)
        return left

    def signed(self) -> Node:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise CalculatorError("is nested too deep", self.next.start)
        sign = self.take("-", "+")
        if sign:
            right = self.signed()
            node: Node = Operator(sign.start, right.end, sign.text, None, right)
        else:
            node = self.postfix()
            if self.take("**"):
                right = self.signed()
                node = Operator(node.start, right.end, "**", node, right)
        self.depth -= 1
        return node

    def postfix(self) -> Node:
        node = self.atom()
        while True:
            if self.take("."):
                name = self.word()
                if isinstance(node, Name) and node.name in PREFIXES:  # nn.Linear, torch.cat, F.relu
                    node = Name(node.start, name.end, name.text)
                elif self.next.text == "(":
                    node = self.call(node.start, name.text, node)
                else:
                    node = Call(node.start, name.end, name.text, node, (), (), True)
            elif self.next.text == "(" and isinstance(node, Name):
                node = self.call(node.start, node.name, None)
            elif self.take("["):
                indices = [self.index()]
                while self.take(","):
                    indices.append(self.index())
                node = Index(node.start, self.need("]").end, node, tuple(indices))
            else:
                return node

    def word(self) -> Token:
        token = self.next
        if token.kind != "name":
            raise CalculatorError("needs a name here", token.start)
        self.place += 1
        return token

    def call(self, start: int, name: str, owner: Node | None) -> Node:
        self.need("(")
        arguments: list[Node] = []
        named: list[tuple[str, Node]] = []
        while not self.take(")"):
            if arguments or named:
                self.need(",")
                if self.take(")"):  # a comma behind the last
                    break
            if self.next.kind == "name" and self.tokens[self.place + 1].text == "=":
                key = self.word().text
                self.place += 1
                named.append((key, self.expression()))
            else:
                arguments.append(self.expression())
        return Call(start, self.tokens[self.place - 1].end, name, owner, tuple(arguments), tuple(named))

    def index(self) -> Node:
        start = self.next.start
        parts: list[Node | None] = [None]
        sliced = False
        while self.next.text not in (",", "]"):
            if self.take(":"):
                parts.append(None)
                sliced = True
            elif parts[-1] is None:
                parts[-1] = self.expression()
            else:
                self.need("]")
        if sliced:
            return Slice(start, self.tokens[self.place - 1].end, tuple(parts[:3]))
        if parts[0] is None:
            raise CalculatorError("needs an index here", start)
        return parts[0]

    def atom(self) -> Node:
        token = self.next
        self.place += 1
        if token.kind == "number":
            return Constant(token.start, token.end, _number(token))
        if token.kind == "shape":
            return ShapeOf(token.start, token.end, token.text)
        if token.kind == "text":
            return Constant(token.start, token.end, token.text[1:-1])
        if token.kind == "name":
            words = {"True": True, "False": False, "None": None}
            if token.text in words:
                return Constant(token.start, token.end, words[token.text])
            return Name(token.start, token.end, token.text)
        if token.text == "?":
            return Unknown(token.start, token.end)
        if token.text == "...":
            return Constant(token.start, token.end, "...")
        if token.text in ("(", "["):
            return self.items(token)
        self.place -= 1
        found = f"not {token.text!r}" if token.text else "but here it ends"
        raise CalculatorError(f"needs a layer, a tensor or a number, {found}", token.start, len(token.text))

    def items(self, opening: Token) -> Node:
        closing = ")" if opening.text == "(" else "]"
        items: list[Node] = []
        comma = opening.text == "["
        while self.next.text != closing:
            items.append(self.expression())
            if not self.take(","):
                break
            comma = True
        end = self.need(closing).end
        return items[0] if len(items) == 1 and not comma else Items(opening.start, end, tuple(items))


def _number(token: Token) -> int | float:
    if len(token.text) > 40:
        raise CalculatorError("is a number with too many digits", token.start, len(token.text))
    return int(token.text) if token.text.isdigit() else float(token.text)
