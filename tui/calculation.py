"""The shape calculator's answer as lines, and the lines typed before. Pure: no widgets, no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlcore.text_safety import safe_text
from tui import words
from tui.plain_data import integer, text
from tui.widgets.gauge import Part
from tui.widgets.text_lines import wrapped

Line = list[Part]

GAP = "  "
MOST_TYPED = 100
EXAMPLES = (
    "8x3x32x32 > Conv2d(3,32,3) > MaxPool2d(2) > Flatten() > Linear(?,10)",
    "a: 8x1x5; b: 3x1; a+b",
    "grad x**2+3*x+1 at x=2",
)


def examples(width: int) -> list[Line]:
    """What may be asked."""
    return [[Part(words.fit(each, width), "quiet")] for each in EXAMPLES]


def answer_lines(answer: Any, width: int) -> list[Line]:
    """Every step with its shape; what each ? has become; the result. Without what is wrong."""
    if not isinstance(answer, Mapping):
        return []
    listed = answer.get("rows")
    rows = [row for row in (listed if isinstance(listed, list) else []) if isinstance(row, Mapping)]
    page = _steps([(text(row, "say"), text(row, "output"), text(row, "note")) for row in rows], width)
    solved, result = text(answer, "solved"), text(answer, "result")
    if solved:
        page += _labelled("solved", solved, "success", width)
    if result and (not rows or text(rows[-1], "output") != result):
        page += _labelled("result", result, "accent", width)
    return page


def _steps(rows: Sequence[tuple[str, str, str]], width: int) -> list[Line]:
    """A step a line: what, its shape, and a note as far as there is room; the last shape is the answer."""
    if not rows:
        return []
    shapes = max(words.cells(output) for _, output, _ in rows)
    says = min(max(words.cells(say) for say, _, _ in rows), max(12, width - shapes - len(GAP)))
    page: list[Line] = []
    for number, (say, output, note) in enumerate(rows):
        last = number == len(rows) - 1
        shown = words.fit(say, says)
        line = [
            Part(shown + " " * (says - words.cells(shown) + len(GAP))),
            Part(output, "accent" if last else ""),
        ]
        room = width - says - shapes - 2 * len(GAP)
        if note and room >= words.cells(note):
            line.append(Part(" " * (shapes - words.cells(output) + len(GAP)) + note, "quiet"))
        page.append(line)
    return page


def _labelled(label: str, said: str, tone: str, width: int) -> list[Line]:
    rows = list(wrapped(said, max(8, width - len(label) - len(GAP))))
    blank = " " * (len(label) + len(GAP))
    return [[Part(label + GAP if at == 0 else blank, tone), Part(row)] for at, row in enumerate(rows)]


def problem_of(answer: Any) -> tuple[str, int, int] | None:
    """What is wrong in an answer: the sentence, and the characters from and to which it is."""
    told = answer.get("problem") if isinstance(answer, Mapping) else None
    if not isinstance(told, Mapping):
        return None
    at = max(0, integer(told, "at") or 0)
    return text(told, "message"), at, at + max(1, integer(told, "length") or 1)


def pointer(typed: str, start: int, end: int, scrolled: int, width: int) -> str:
    """Marks below the characters from ``start`` to ``end``, as far as they are in sight."""
    left = words.cells(safe_text(typed[:start])) - scrolled
    right = left + max(1, words.cells(safe_text(typed[start:end])))
    left, right = max(0, left), min(width, right)
    return " " * left + "^" * (right - left) if right > left else ""


def remembered(value: object) -> list[str]:
    """Lines typed before, oldest first, out of whatever was kept."""
    kept = (
        [each for each in value if isinstance(each, str) and each.isprintable()]
        if isinstance(value, list)
        else []
    )
    return kept[-MOST_TYPED:]


def with_line(typed: Sequence[str], line: str) -> list[str]:
    """One more line; one that was there before moves to the end."""
    return [*(each for each in typed if each != line), line][-MOST_TYPED:]
