"""Curves as SVG, drawn by hand: a few hundred bytes a curve, no script, no font, readable on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlcore.series.decimation import decimate

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which people with any colour vision can tell apart."""

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 34, 34
INK = "#767676"  # enough contrast on white and on black


class Line(NamedTuple):
    """One curve: equally long x and y; what is not finite is left out."""

    name: str
    x: NDArray[Any]
    y: NDArray[Any]


def chart(
    title: str, lines: Sequence[Line], *, x_name: str = "step", dots: bool = False, titled: bool = False
) -> str:
    """A chart with its legend; an empty text where there is not a point to draw.

    Args:
        dots: points without lines between them.
        titled: the title is to be seen, since the legend does not say what is drawn.
    """
    drawn = [line for line in map(_finite, lines) if len(line.x)]
    if not drawn:
        return ""
    x_low, x_high = _span([line.x for line in drawn])
    y_low, y_high = _span([line.y for line in drawn])
    across = (WIDTH - LEFT - RIGHT) / (x_high - x_low)
    up = (HEIGHT - TOP - BOTTOM) / (y_high - y_low)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="11" fill="{INK}"><title>{escape(title)}</title>'
    ]
    for value in ticks(y_low, y_high):
        y = HEIGHT - BOTTOM - (value - y_low) * up
        parts.append(
            f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{INK}" stroke-opacity=".25"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.6g}</text>'
        )
    for value in ticks(x_low, x_high):
        x = LEFT + (value - x_low) * across
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 16}" text-anchor="middle">{value:.6g}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{escape(x_name)}</text>')
    place = float(LEFT)
    for number, line in enumerate(drawn):
        colour = COLOURS[number % len(COLOURS)]
        xs = LEFT + (line.x - x_low) * across
        ys = HEIGHT - BOTTOM - (line.y - y_low) * up
        parts.append(_dots(xs, ys, colour) if dots else _path(xs, ys, colour))
        name = line.name if len(line.name) <= 40 else line.name[:39] + "…"
        parts.append(f'<text x="{place:.0f}" y="16" fill="{colour}">● {escape(name)}</text>')
        place += 24 + 6.2 * len(name)
    if titled:
        parts.append(
            f'<text x="{WIDTH - RIGHT}" y="{TOP - 4}" text-anchor="end" font-weight="bold">{escape(title)}</text>'
        )
    return "".join(parts) + "</svg>"


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between two limits."""
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step - 1e-9)
    return [float(f"{at * step:.12g}") for at in range(first, math.floor(high / step + 1e-9) + 1)]


def _finite(line: Line) -> Line:
    points = decimate(np.asarray(line.x, np.float64), np.asarray(line.y, np.float64), WIDTH // 2)
    return Line(line.name, np.asarray(points.x), np.asarray(points.y))


def _span(columns: Sequence[NDArray[Any]]) -> tuple[float, float]:
    low, high = min(float(c.min()) for c in columns), max(float(c.max()) for c in columns)
    if low == high:
        margin = abs(low) / 10 or 1.0
        return low - margin, high + margin
    return low, high


def _path(x: NDArray[Any], y: NDArray[Any], colour: str) -> str:
    steps = " ".join(f"{a:.1f} {b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    if len(x) == 1:
        return _dots(x, y, colour)
    return f'<path d="M{steps}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-linejoin="round"/>'


def _dots(x: NDArray[Any], y: NDArray[Any], colour: str) -> str:
    spots = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    return (
        f'<path d="{spots}" stroke="{colour}" stroke-width="4" stroke-linecap="round" stroke-opacity=".6"/>'
    )
