"""What a repair has to go by: the failed pass, the user's source, and where in it things are."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import Tensor, nn

from dlcore.inspection.programs import Attempt, text_of
from dlcore.inspection.recording import Call
from dlcore.inspection.records import Failure, Shape
from dlcore.inspection.source_edits import Edit, Source
from dlcore.inspection.sources import Site


class Candidate(NamedTuple):
    """A change that might mend the failure."""

    say: str
    edits: tuple[Edit, ...]


Candidates = Iterator[Candidate]
WIDTHS = ("out_features", "out_channels", "embedding_dim", "hidden_size")
"""What layers call the size that they give."""


class Scene:
    """A failed pass, its source, and where in it things are.

    Attributes:
        node: the user's expression that failed; None where its source is not at hand.
    """

    def __init__(self, attempt: Attempt) -> None:
        assert attempt.result is not None and attempt.result.trace.failure is not None
        self.attempt = attempt
        self.result = attempt.result
        self.failure: Failure = attempt.result.trace.failure
        self.call = attempt.result.call
        self.operation = attempt.result.operation
        self._sources: dict[str, Source | None] = {}
        self.node = self._failing_expression()

    @property
    def module(self) -> Any:
        """The innermost module that was running."""
        return self.call.module if self.call else None

    @property
    def shape(self) -> Shape:
        """Of the failing module's first input."""
        return self.failure.inputs[0].shape if self.failure.inputs else ()

    @property
    def given(self) -> tuple[Tensor, ...]:
        """The tensors that the failing module was called with."""
        return self.call.given if self.call else ()

    def source(self, file: str) -> Source | None:
        """A file as it was run; None where it cannot be read."""
        if file not in self._sources:
            text = self.attempt.texts.get(file) or text_of(file)
            try:
                self._sources[file] = Source(file, text) if text else None
            except (SyntaxError, ValueError, RecursionError):
                self._sources[file] = None
        return self._sources[file]

    def made_at(self, module: nn.Module) -> tuple[Source, ast.Call] | None:
        """The call that made a module."""
        site = self.attempt.construction.site(module)
        found = self.node_of(site) if site else None
        return found if found and isinstance(found[1], ast.Call) else None  # type: ignore[return-value]

    def node_of(self, site: Site) -> tuple[Source, ast.expr] | None:
        """The expression that a site means."""
        line = site.source()
        source = self.source(line.file)
        node = source.at(line.place) if source else None
        return (source, node) if source and node is not None else None

    def assignments(self, attribute: str) -> Iterator[tuple[Source, ast.expr]]:
        """What is assigned to ``self.attribute`` in the files that were running."""
        for file in dict.fromkeys(line.file for line in self.failure.source):
            source = self.source(file)
            for node in ast.walk(source.tree) if source else ():
                target = node.targets[0] if isinstance(node, ast.Assign) else None
                if isinstance(target, ast.Attribute) and target.attr == attribute:
                    assert source is not None and isinstance(node, ast.Assign)
                    yield source, node.value

    def around(self, call: Call) -> Call | None:
        """The module call that a call is directly in."""
        before = self.result.calls[: self.result.calls.index(call)]
        return next((each for each in reversed(before) if each.depth == call.depth - 1), None)

    def producers(self) -> list[Call]:
        """Layers with weights that have run before the failure, the last first."""
        return [
            each
            for each in reversed(self.result.calls)
            if each.finished and width_out(each.module) is not None
        ]

    def _failing_expression(self) -> tuple[Source, ast.expr] | None:
        line = self.failure.line
        source = self.source(line.file) if line else None
        node = source.at(line.place) if source and line else None
        return (source, node) if source and node is not None else None


def width_out(module: nn.Module) -> int | None:
    """How many channels or features a layer with weights gives; None for others."""
    return next(
        (getattr(module, name) for name in WIDTHS if isinstance(getattr(module, name, None), int)), None
    )
