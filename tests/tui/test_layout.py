"""Tables and facts of the verbs: whole down a pipe, never wider than a terminal."""

from __future__ import annotations

import os
import sys
from io import StringIO

import pytest

from tui import words
from tui.commands import layout
from tui.commands.layout import Give

ROWS = [
    ("  layer", "type", "output", "params"),
    ("  blocks.0.attention.projection", "Linear", "64×28×128 and 1×64×128", "70,656"),
]
GIVES = (Give(2, layout.first_of(" and ")), Give(0, layout.end_of(12)), Give(1))


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def in_a_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((width, 24)))


def test_down_a_pipe_nothing_is_cut_or_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", StringIO())
    assert layout.table(ROWS, "<<<>", GIVES) == words.columns(ROWS, "<<<>")
    assert layout.facts([("name", "word " * 60)]) == ["name  " + ("word " * 60).rstrip()]


@pytest.mark.parametrize(
    ("width", "row"),
    [
        (90, "  blocks.0.attention.projection  Linear  64×28×128 and 1×64×128  70,656"),
        (66, "  blocks.0.attention.projection  Linear  64×28×128 …  70,656"),
        (50, "  ….projection  Linear  64×28×128 …  70,656"),
        (40, "  ….projection  64×28×128 …  70,656"),
    ],
)
def test_columns_give_way_in_turn(monkeypatch: pytest.MonkeyPatch, width: int, row: str) -> None:
    in_a_terminal(monkeypatch, width)
    assert layout.table(ROWS, "<<<>", GIVES)[1] == row


def test_a_long_fact_goes_on_beside_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    in_a_terminal(monkeypatch, 40)
    lines = layout.facts([("  memory", "weights 281 KiB + gradients 281 KiB + optimizer"), ("  loss", "2.3")])
    assert lines == [
        "  memory  weights 281 KiB + gradients",
        "          281 KiB + optimizer",
        "  loss    2.3",
    ]
