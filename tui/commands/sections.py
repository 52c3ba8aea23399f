"""A report's sections on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlcore.text_safety import safe_text
from tui import report_lines
from tui.commands.common import paint, terminal_width

INDENT = "  "
MOST_ROWS = 40


def lines_of(sections: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """All sections with their titles, an empty line before each."""
    printed: list[str] = []
    room = terminal_width() - len(INDENT)
    for section in sections.values():
        body = report_lines.lines(section, room, MOST_ROWS)
        if body:
            printed += ["", paint(safe_text(section.get("title", "")), "bold")]
            printed += [
                INDENT + "".join(paint(text, *(("dim",) if tone == "quiet" else ())) for text, tone in line)
                for line in body
            ]
    return printed
