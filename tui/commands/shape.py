"""`dltui shape`: the shape calculator on the command line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from dlcore.text_safety import safe_text
from tui import words
from tui.commands.common import BAD_INPUT, paint, print_json

INDENT = "  "


def shape(line: str, input_text: str, *, as_json: bool) -> int:
    """Works a line out and prints every step.

    Returns:
        0, or 2 when something is wrong with the line.
    """
    from dlcore import inspecting

    answer = inspecting.calculated(line, input_text)
    if as_json:
        print_json(answer)
    else:
        print("\n".join(page(answer)))
        if answer["problem"]:
            print("\n".join(problem(line, answer["problem"])), file=sys.stderr)
    return BAD_INPUT if answer["problem"] else 0


def page(answer: Mapping[str, Any]) -> list[str]:
    """The steps as a table, then the result, and the line with its unknowns found."""
    rows = [
        (f"{INDENT}{safe_text(row['say'])}", safe_text(row["output"]), safe_text(row["note"]))
        for row in answer["rows"]
    ]
    lines = words.columns(rows, "<<<")
    if answer["solved"]:
        lines += ["", f"{paint('solved', 'green')}  {safe_text(answer['solved'])}"]
    if answer["result"]:
        lines += ["", f"{paint('result', 'bold')}  {safe_text(answer['result'])}"]
    return lines


def problem(line: str, told: Mapping[str, Any]) -> list[str]:
    """What is wrong, under the place where it is."""
    shown = safe_text(line.replace("\n", " "))
    under = " " * words.cells(shown[: told["at"]]) + "^" * max(
        1, min(told["length"], len(shown) - told["at"])
    )
    mark = paint("✗", "red", stream=sys.stderr)
    return [f"{INDENT}{shown}", f"{INDENT}{under}", f"{mark} {safe_text(told['message'])}"]
