"""Tensors as pictures of cells: heat maps, grids of maps, tables of values, points of a plane. No Textual widgets.

Colours run from blue over the theme's ground to orange around 0, for eyes of any colour vision; without colours,
signs of growing ink stand for the size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from tui import words
from tui.terminal import is_ascii_only
from tui.widgets import half_blocks
from tui.widgets.gauge import Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

Line = list[Part | Segment]
Colour = tuple[int, int, int]


class Palette(NamedTuple):
    """Colours on a ground: of the least number, of 0 or of nothing, of the largest, of none that is finite.

    Attributes:
        points: one a class, each to be seen on the ground.
    """

    low: Colour
    middle: Colour
    high: Colour
    not_finite: Colour
    points: tuple[Colour, ...]


DARK = Palette(
    (35, 90, 180), (38, 42, 50), (240, 150, 40), (230, 60, 60),
    (
        (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (70, 140, 220), (213, 94, 0), (204, 121, 167),
        (160, 160, 160), (250, 250, 250), (170, 125, 80),
    ),
)  # fmt: skip
LIGHT = Palette(
    (20, 80, 175), (232, 232, 228), (190, 90, 0), (205, 20, 45),
    (
        (180, 110, 0), (20, 120, 190), (0, 125, 90), (130, 115, 0), (0, 60, 150), (190, 60, 0), (165, 60, 120),
        (110, 110, 110), (30, 30, 30), (110, 70, 30),
    ),
)  # fmt: skip
VALUE = 9  # columns of a number
GAP = 1
LARGEST_PIXEL = 4  # a number's columns where there is room
SMALL = 8  # columns below which a map among others is enlarged
USUAL = 24  # columns to which a map among others is cut
ALONE = 40  # columns up to which a single map is enlarged
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of red, green and blue light
EVEN = 0.18  # luminance from which black stands out as much as white
SIGNS = "o+x*#@%&ABCDEFGH"


def on_theme(*, dark: bool) -> Palette:
    """The palette whose ground is near that of a dark or a light theme."""
    return DARK if dark else LIGHT


def colours(values: Array, low: float, high: float, palette: Palette = DARK) -> Any:
    """(rows, columns) of numbers as (rows, columns, 3) of 0..255; 0 is in the middle where there are both signs."""
    import numpy as np

    finite = np.isfinite(values)
    clean = np.where(finite, values, 0.0)
    if low < 0 < high:
        share = clean / max(-low, high)  # -1 … 1
    else:
        share = (clean - low) / (high - low) if high > low else np.zeros_like(clean)
    share = np.clip(share, -1, 1)[..., None]
    ends = np.where(share < 0, np.array(palette.low, float), np.array(palette.high, float))
    middle = np.array(palette.middle, float)
    mixed = middle + np.abs(share) * (ends - middle)
    mixed[~finite] = palette.not_finite
    return mixed.round().astype(int)


def extremes(values: Array) -> tuple[float, float]:
    """The least and the largest finite value, 0 where there is none."""
    import numpy as np

    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def heat_map(
    values: Array,
    width: int,
    limits: tuple[float, float] | None = None,
    *,
    least: int = ALONE,
    palette: Palette = DARK,
) -> list[Line]:
    """A matrix, two rows a line; larger ones by leaving rows and columns out evenly, small ones enlarged.

    Args:
        least: columns up to which it is enlarged.
    """
    low, high = extremes(values) if limits is None else limits
    values = _enlarged(values, min(width, least))
    rows, columns = values.shape
    wide = max(1, min(width, columns))
    tall = max(1, min(rows, rows * wide // columns)) if columns > wide else rows
    chosen = values[[at * rows // tall for at in range(tall)]][
        :, [at * columns // wide for at in range(wide)]
    ]
    mixed = colours(chosen, low, high, palette).tolist()
    pixels = tuple(tuple((r, g, b) for r, g, b in row) for row in mixed)
    return [list(line) for line in half_blocks.draw(pixels)]


def _enlarged(values: Array, width: int) -> Array:
    """A small matrix with every number several times beside and below itself."""
    import numpy as np

    columns = values.shape[1]
    by = max(1, min(LARGEST_PIXEL, width // columns))
    return values if by == 1 else np.repeat(np.repeat(values, by, 0), by, 1)


def grid(maps: Array, width: int, most_lines: int = 400, *, palette: Palette = DARK) -> list[Line]:
    """Maps (count, height, width) side by side, each with its own number below; one scale for all."""
    limits = extremes(maps)
    count, _, columns = maps.shape
    most = max(USUAL, (width + GAP) // 2 - GAP)
    column = max(SMALL, min(columns, most)) if columns > 1 else LARGEST_PIXEL
    column = min(column, max(LARGEST_PIXEL, width))
    across = max(1, (width + GAP) // (column + GAP))
    lines: list[Line] = []
    for start in range(0, count, across):
        blocks = [
            heat_map(maps[at], column, limits, least=SMALL, palette=palette)
            for at in range(start, min(count, start + across))
        ]
        for row in range(max(map(len, blocks))):
            line: Line = []
            for block in blocks:
                drawn = block[row] if row < len(block) else []
                used = sum(words.cells(part.text) for part in drawn)
                line += [*drawn, Part(" " * (column - used + GAP))]
            lines.append(line)
        numbers = "".join(f"{at:<{column + GAP}}" for at in range(start, start + len(blocks)))
        lines.append([Part(numbers.rstrip(), "quiet")])
        if len(lines) > most_lines:
            break
    return lines


def value_table(values: Array, width: int, most_lines: int = 200, *, palette: Palette = DARK) -> list[Line]:
    """A matrix as numbers on their colours, with the indices of rows and columns."""
    rows, columns = values.shape
    low, high = extremes(values)
    fit = max(1, (width - 5) // VALUE)
    shown = values[:most_lines, :fit]
    mixed = colours(shown, low, high, palette).tolist()
    head = "".join(f"{at:>{VALUE}}" for at in range(shown.shape[1]))
    lines: list[Line] = [[Part(f"{'':4}{head}", "quiet")]]
    for at, row in enumerate(shown.tolist()):
        line: Line = [Part(f"{at:>3} ", "quiet")]
        for value, colour in zip(row, mixed[at], strict=True):
            line.append(Segment(f"{value:>{VALUE}.3g}"[:VALUE], on(tuple(colour))))
        lines.append(line)
    left = [
        f"{rows - len(shown)} more rows" if rows > len(shown) else "",
        f"{columns - shown.shape[1]} more columns" if columns > shown.shape[1] else "",
    ]
    said = " and ".join(each for each in left if each)
    return [*lines, [Part(f"    … {said}", "quiet")]] if said else lines


def on(colour: Colour) -> Style:
    """A ground, and on it whichever of white and black stands out more: at least 4.5 : 1."""
    luminance = sum(weight * (part / 255) ** 2.2 for weight, part in zip(LUMINANCE, colour, strict=True))
    ink = (255, 255, 255) if luminance < EVEN else (0, 0, 0)
    return Style(color=Color.from_rgb(*ink), bgcolor=Color.from_rgb(*colour))


def scale(values: Array, width: int, palette: Palette = DARK) -> Line:
    """The colours from the least to the largest value."""
    import numpy as np

    low, high = extremes(values)
    room = max(6, min(24, width - 24))
    steps = np.linspace(low, high, room, dtype=np.float32)[None]
    ramp: list[Part | Segment] = [Part(" " * room)] if is_ascii_only() else [
        Segment("█", Style(color=Color.from_rgb(*each))) for each in colours(steps, low, high, palette)[0].tolist()
    ]  # fmt: skip
    return [Part(f"{words.metric(low)} ", "quiet"), *ramp, Part(f" {words.metric(high)}", "quiet")]


def points(
    plane: Array, kinds: Sequence[int], width: int, height: int, palette: Palette = DARK
) -> list[Line]:
    """Points (count, 2) as signs on a field; the sign and the colour tell the class."""
    import numpy as np

    field: list[list[tuple[str, Colour] | None]] = [[None] * width for _ in range(height)]
    clean = np.nan_to_num(plane)
    low, high = clean.min(0), clean.max(0)
    room = np.where(high > low, high - low, 1.0)
    for at, (x, y) in enumerate(((clean - low) / room).tolist()):
        kind = kinds[at] if at < len(kinds) else 0
        row, column = round((1 - y) * (height - 1)), round(x * (width - 1))
        field[row][column] = (SIGNS[kind % len(SIGNS)], palette.points[kind % len(palette.points)])
    lines: list[Line] = []
    for cells in field:
        line: Line = []
        for cell in cells:
            line.append(
                Part(" ") if cell is None else Segment(cell[0], Style(color=Color.from_rgb(*cell[1])))
            )
        lines.append(line)
    return lines


def legend(kinds: Sequence[int], names: Sequence[str], width: int, palette: Palette = DARK) -> list[Line]:
    """The sign of every class that occurs with its name, or its number where it has none; wrapped."""
    lines: list[Line] = [[]]
    used = 0
    for kind in sorted(set(kinds))[: len(SIGNS)]:
        name = words.fit(names[kind], 16) if 0 <= kind < len(names) else str(kind)
        taken = words.cells(name) + 4
        if used and used + taken > width:
            lines.append([])
            used = 0
        colour = Style(color=Color.from_rgb(*palette.points[kind % len(palette.points)]))
        lines[-1] += [Segment(SIGNS[kind % len(SIGNS)], colour), Part(f" {name}  ", "quiet")]
        used += taken
    return [line for line in lines if line]


def bars(counts: Sequence[int], height: int = 4) -> list[str]:
    """A histogram as rows of blocks, the highest bar as tall as all rows; every value that occurs is seen."""
    top = max(counts, default=0)
    if not top:
        return []
    eighths = [max(1, round(8 * height * count / top)) if count else 0 for count in counts]
    blocks = " .:-=+*#@" if is_ascii_only() else " ▁▂▃▄▅▆▇█"
    return [
        "".join(blocks[min(8, max(0, filled - 8 * level))] for filled in eighths)
        for level in reversed(range(height))
    ]
