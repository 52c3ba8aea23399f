"""Colours and markers of a chart: by role, safe for colour-blind eyes, and never by colour alone.

The palette is Okabe and Ito's (https://jfly.uni-koeln.de/color/), moved away from the background where the
contrast would be below 3 to 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.style import Style
from textual.color import Color

from tui.widgets.chart_series import Role

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SKY, ORANGE, GREEN, PURPLE = "#56B4E9", "#E69F00", "#009E73", "#CC79A7"
YELLOW, BLUE, VERMILLION, PLAIN = "#F0E442", "#0072B2", "#D55E00", "#999999"
PALETTES: dict[Role, tuple[str, ...]] = {
    "train": (SKY, GREEN, BLUE, YELLOW),
    "val": (ORANGE, PURPLE, VERMILLION, PLAIN),
    "run": (SKY, ORANGE, GREEN, PURPLE, YELLOW, BLUE, VERMILLION, PLAIN),
}
_OFFSETS: dict[Role, int] = {"train": 0, "val": 4, "run": 8}

AXIS, TEXT, CURSOR, BAD, WARN = range(5)
_FIRST_LINE = 5
_CONTRAST = 3.0
_FAINT = 0.38  # share of the colour in the raw line beneath a smoothed one


class Look(NamedTuple):
    """How a series is drawn.

    Attributes:
        thick: two dots wide rather than one.
        mark: one sign at points that stand alone or far apart, and here and there along a thin line.
        sample: two cells for the legend.
        sign: what it is drawn with where there is only ASCII.
    """

    thick: bool
    mark: str
    sample: str
    sign: str


_TRAIN = tuple(Look(True, mark, "⠶⠶", sign) for mark, sign in zip("▪▫▪▫", "*+#%", strict=True))
_VAL = tuple(Look(False, mark, f"⠒{mark}", sign) for mark, sign in zip("•◦•◦", "oO0@", strict=True))
_RUNS = tuple(Look(False, mark, f"⠒{mark}", sign) for mark, sign in zip("●■▲◆○□△◇", "*o+x#@%&", strict=True))
_LOOKS: dict[Role, tuple[Look, ...]] = {"train": _TRAIN, "val": _VAL, "run": _RUNS}


def look(role: Role, index: int) -> Look:
    """Markers of a series."""
    return _LOOKS[role][index % len(_LOOKS[role])]


def line_style(role: Role, index: int, *, faint: bool = False) -> int:
    """Number of the style that a series is drawn in."""
    return _FIRST_LINE + 2 * (_OFFSETS[role] + index % len(PALETTES[role])) + faint


def is_line(style: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where a style is that of a curve, not of a faint one or of anything else."""
    found: NDArray[np.bool_] = (style >= _FIRST_LINE) & ((style - _FIRST_LINE) % 2 == 0)
    return found


def styles(background: Color, foreground: Color, accent: Color, error: Color, warning: Color) -> list[Style]:
    """All styles by number, for one theme."""
    quiet = background.blend(foreground, 0.5)
    found = [quiet, background.blend(foreground, 0.8), accent, error, warning]
    for role in ("train", "val", "run"):
        for name in PALETTES[role]:
            colour = legible(Color.parse(name), background)
            found += [colour, background.blend(colour, _FAINT)]
    return [Style(color=colour.rich_color, bgcolor=background.rich_color) for colour in found]


def legible(colour: Color, background: Color) -> Color:
    """The colour, moved towards white or black until it stands out from the background."""
    goal = Color(255, 255, 255) if background.brightness < 0.5 else Color(0, 0, 0)
    for share in range(0, 10):
        moved = colour.blend(goal, share / 10)
        if contrast(moved, background) >= _CONTRAST:
            return moved
    return goal


def contrast(one: Color, other: Color) -> float:
    """Ratio of luminances as WCAG has it, 1 to 21."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: Color) -> float:
    parts = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
