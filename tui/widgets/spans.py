"""Sends the changed part of a line, where Textual sends the line from its widget's left edge on.

Textual knows which cells a widget wants refreshed, but draws every widget between the outermost of them, and
sends lines from where the widget begins: a chart whose curve grows at its right end would send every line
again. A screen that went through `narrow` draws the cells alone, and `only_news` leaves out of any update
what the terminal shows already. A Textual that is built otherwise is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor, CompositorUpdate, LayoutUpdate
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.shown import Piece, Shown

T = TypeVar("T")


class Span(NamedTuple):
    """Cells of one line of the screen, ``start`` to before ``stop``."""

    y: int
    start: int
    stop: int


class SpansUpdate(CompositorUpdate):
    """Pieces of lines, from above to below and from left to right.

    Args:
        shown: what the terminal shows; None to send every piece whole.
    """

    def __init__(self, pieces: Sequence[Piece], shown: Shown | None = None) -> None:
        self.pieces = sorted(pieces, key=lambda piece: (piece.y, piece.x))
        self.shown = shown

    def render_segments(self, console: Console) -> str:
        """Text with its escape codes; called when it is sent."""
        sequences: list[str] = []
        at = (-1, -1)
        for y, x, strip in self.pieces if self.shown is None else self.shown.news(self.pieces):
            if at != (y, x):
                sequences.append(Control.move_to(x, y).segment.text)
            sequences.append(strip.render(console))
            at = (y, x + strip.cell_length)
        return "".join(sequences)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for y, x, strip in self.pieces:
            yield Control.move_to(x, y).segment
            yield from strip


class SpansCompositor(Compositor):
    """Textual's own with narrower partial updates."""

    def render_partial_update(self) -> CompositorUpdate | None:  # type: ignore[override]
        """The dirty cells, each from the frontmost widget there."""
        dirty, screen = self._dirty_regions.copy(), self.size.region
        self._dirty_regions.clear()
        inside = [region.intersection(screen) for region in dirty]
        waiting = [Span(*span) for span in self._regions_to_spans(region for region in inside if region)]
        pieces: list[Piece] = []
        for widget, (region, clip) in self.visible_widgets.items():
            if not waiting:
                break
            waiting = _take(widget, region, region.intersection(clip), waiting, pieces)
        return SpansUpdate(pieces) if pieces else None


def _take(
    widget: Widget, region: Region, visible: Region, waiting: list[Span], pieces: list[Piece]
) -> list[Span]:
    """Adds the widget's share of the spans to ``pieces`` and returns what is left for widgets behind it."""
    left, top, right, bottom = visible.corners
    hit = [span for span in waiting if top <= span.y < bottom and span.start < right and span.stop > left]
    if not hit:
        return waiting
    first = min(span.y for span in hit)
    height = max(span.y for span in hit) + 1 - first
    strips = widget.render_lines(Region(left - region.x, first - region.y, visible.width, height))
    rest = [span for span in waiting if span not in hit]
    for y, start, stop in hit:
        begin, end = max(start, left), min(stop, right)
        pieces.append(Piece(y, begin, strips[y - first].crop(begin - left, end - left)))
        rest += [Span(y, a, b) for a, b in ((start, begin), (end, stop)) if a < b]
    return rest


def only_news(update: object, shown: Shown) -> Any:
    """An update that sends what it has to, and nothing that the terminal shows already."""
    if isinstance(update, LayoutUpdate):
        left, top = update.region.offset
        lines = enumerate(update.strips, top)
        return SpansUpdate([Piece(y, left, Strip.join(list(line))) for y, line in lines], shown)
    if isinstance(update, SpansUpdate):
        update.shown = shown
    elif update is not None:
        shown.forget()
    return update


def narrow(screen: Screen[T]) -> None:
    """Lets a screen send spans from now on."""
    compositor = getattr(screen, "_compositor", None)
    if type(compositor) is Compositor and hasattr(ChopsUpdate, "render_segments"):
        compositor.__class__ = SpansCompositor
