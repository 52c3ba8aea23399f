"""Pictures in a terminal: two pixels a cell, the upper as the sign's colour, the lower as its background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from tui.terminal import is_ascii_only

if TYPE_CHECKING:
    from tui.samples import Pixels

UPPER = "▀"
SHADES = " .:-=+*#%@"  # where there is only ASCII, by brightness


def scaled(pixels: Pixels, columns: int) -> Pixels:
    """The picture in at most so many columns, by leaving pixels out evenly."""
    wide = len(pixels[0])
    if wide <= columns:
        return pixels
    tall = max(1, len(pixels) * columns // wide)
    rows = [pixels[at * len(pixels) // tall] for at in range(tall)]
    return tuple(tuple(row[at * wide // columns] for at in range(columns)) for row in rows)


def enlarged(pixels: Pixels, times: int) -> Pixels:
    """Each pixel as a square of so many."""
    if times <= 1:
        return pixels
    rows = (tuple(pixel for pixel in row for _ in range(times)) for row in pixels)
    return tuple(row for row in rows for _ in range(times))


def draw(pixels: Pixels, *, ascii_only: bool | None = None) -> list[list[Segment]]:
    """Lines of cells; equal neighbours share a segment.

    Args:
        ascii_only: by brightness in plain signs; None: as the locale wants it.
    """
    plain = is_ascii_only() if ascii_only is None else ascii_only
    lines = []
    for top in range(0, len(pixels), 2):
        upper = pixels[top]
        lower = pixels[top + 1] if top + 1 < len(pixels) else None
        lines.append(_shades(upper, lower) if plain else _blocks(upper, lower))
    return lines


def _blocks(
    upper: Sequence[tuple[int, int, int]], lower: Sequence[tuple[int, int, int]] | None
) -> list[Segment]:
    segments: list[Segment] = []
    below_all: Sequence[tuple[int, int, int] | None] = lower or [None] * len(upper)
    pairs = list(zip(upper, below_all, strict=True))
    start = 0
    for at in range(1, len(pairs) + 1):
        if at == len(pairs) or pairs[at] != pairs[start]:
            above, below = pairs[start]
            background = None if below is None else Color.from_rgb(*below)
            style = Style(color=Color.from_rgb(*above), bgcolor=background)
            segments.append(Segment(UPPER * (at - start), style))
            start = at
    return segments


def _shades(
    upper: Sequence[tuple[int, int, int]], lower: Sequence[tuple[int, int, int]] | None
) -> list[Segment]:
    sums = [sum(above) + sum(below) for above, below in zip(upper, lower or upper, strict=True)]
    return [Segment("".join(SHADES[bright * 10 // (6 * 256)] for bright in sums))]
