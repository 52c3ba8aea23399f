"""What the evaluation screen draws: figures, the confusion matrix in colours, residuals as a scatter plot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.segment import Segment
from rich.style import Style

from dlcore.text_safety import safe_text
from tui import heat, report_lines, sentences, words
from tui.evaluation import Judged
from tui.samples import Sample, Samples
from tui.terminal import is_ascii_only
from tui.widgets import half_blocks
from tui.widgets.gauge import Part, bar
from tui.widgets.page import Line

MOST_ROWS = 500
HIT, MISS = (0, 114, 178), (213, 94, 0)  # Okabe and Ito's blue and vermilion
LEAST_PLOT = 24  # columns
CAPTION = 17  # columns that a picture is given at least, for what stands below it


def progress(judged: Judged, width: int) -> list[Line]:
    """What is done and what is still to do."""
    if judged.state != "measuring":
        return [[Part("Loading the network and its data …", "quiet")]]
    share = judged.done / judged.samples if judged.samples else 0.0
    said = f"measured {judged.done:,} of {words.plural(judged.samples, 'sample')}"
    return [[Part(said, "quiet")], [], list(bar(share, max(8, min(40, width - 2))))]


def figures(judged: Judged, width: int) -> list[Line]:
    """What was measured and every metric; notes below."""
    part = f"{judged.split} part of " if judged.split else ""
    said = f"{words.plural(judged.samples, 'sample')}, {part}{judged.data}"
    lines: list[Line] = [
        [Part(words.fit(said, width))],
        [Part(words.fit(judged.checkpoint, width), "quiet")],
        [],
    ]
    names = [name.partition("/")[2] for name in sentences.in_order(f"test/{name}" for name in judged.metrics)]
    rows = [(words.fit(name, 24), words.metric(judged.metrics[name])) for name in names]
    column = max((words.cells(name) for name, _ in rows), default=0)
    figure = max((words.cells(value) for _, value in rows), default=0)
    across = max(1, (width + 4) // (column + figure + 6))
    for start in range(0, len(rows), across):
        line: list[Part] = []
        for name, value in rows[start : start + across]:
            line += [
                Part(f"{name}{' ' * (column - words.cells(name))}  ", "quiet"),
                Part(f"{value:>{figure}}    "),
            ]
        lines.append(line)
    for note in judged.notes:
        lines += [[], *([Part(text, "warning")] for text in _wrapped(note, width))]
    return lines


def section(
    content: Mapping[str, Any], width: int, height: int, palette: heat.Palette = heat.DARK
) -> list[Line]:
    """A section of the report for a panel of this size."""
    kind = content.get("kind")
    drawn: list[Line] = []
    try:
        if kind == "matrix":
            drawn = matrix(content, width, palette)
        elif kind == "points" and width >= LEAST_PLOT and not is_ascii_only():
            drawn = scatter(content, width, max(8, min(height - 2, width // 3)))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        drawn = []
    if drawn:
        note = content.get("note")
        return drawn + (
            [[], *([Part(text, "quiet")] for text in _wrapped(safe_text(note), width))] if note else []
        )
    plain = report_lines.lines(content, width, MOST_ROWS, max(6, min(14, height - 3)))
    if not plain:
        return [[Part("There is nothing in it, or it does not fit here.", "quiet")]]
    return [[Part(text, tone) for text, tone in line] for line in plain]


def title(content: Mapping[str, Any]) -> str:
    """Of a section."""
    said = safe_text(content.get("title", ""), limit=80)
    return said[:1].upper() + said[1:]


def captioned(samples: Samples) -> Samples:
    """Small pictures enlarged, with the confidence in what stands below them."""
    return replace(samples, rows=tuple(map(_captioned, samples.rows)))


def _captioned(row: Sample) -> Sample:
    if not row.pictures:
        return row
    widest = max(len(picture.pixels[0]) for picture in row.pictures)
    times = max(1, CAPTION // widest)
    pictures = tuple(replace(each, pixels=half_blocks.enlarged(each.pixels, times)) for each in row.pictures)
    caption = row.caption
    if not caption and row.sure is not None:
        sure = f" {100 * row.sure:.0f}%"  # as short as can be
        sign = "✓" if row.right else "✗"
        caption = f"{sign} {row.answer(max(CAPTION, times * widest) - len(sure) - 2)}{sure}"
    return replace(row, pictures=pictures, caption=caption)


def matrix(content: Mapping[str, Any], width: int, palette: heat.Palette = heat.DARK) -> list[Line]:
    """Rows true, columns predicted, shaded by the share of the row; many classes as a picture without numbers."""
    names = [safe_text(name, limit=60) for name in content["names"]]
    cells: Sequence[Sequence[int]] = content["cells"]
    column = max(len(str(count)) for row in cells for count in row) + 1
    numbered = max(map(words.cells, names)) >= column
    if numbered:  # long names have a number above their column
        names = [f"{at} {name}" for at, name in enumerate(names)]
    lead = min(16, max(6, *map(words.cells, names))) + 1
    if lead + column * len(names) > width:
        return _picture(cells, width, palette)
    shown = [str(at) for at in range(len(names))] if numbered else names
    head = "".join(" " * (column - words.cells(name)) + name for name in shown)
    lines: list[Line] = [[Part(f"{'':{lead}}"), Part(words.fit("predicted →", width - lead), "quiet")]]
    lines.append([Part(f"{'true ↓':{lead}}", "quiet"), Part(head, "quiet")])
    for at, (name, row) in enumerate(zip(names, cells, strict=True)):
        total = sum(row) or 1
        label = words.fit(name, lead - 1)
        line: list[Part | Segment] = [Part(label + " " * (lead - words.cells(label)), "quiet")]
        for place, count in enumerate(row):
            ink = HIT if place == at else MISS
            line.append(Segment(f"{count or '·':>{column}}", _shade(ink, count / total, palette)))
        lines.append(line)
    return lines


def _shade(ink: heat.Colour, share: float, palette: heat.Palette) -> Style:
    """Ink on the palette's ground; a single sample among many can still be seen."""
    if not share:
        return Style(dim=True)
    strength = 0.25 + 0.75 * math.sqrt(min(1.0, share))
    red, green, blue = (
        round(ground + strength * (full - ground)) for ground, full in zip(palette.middle, ink, strict=True)
    )
    return heat.on((red, green, blue))


def _picture(cells: Sequence[Sequence[int]], width: int, palette: heat.Palette) -> list[Line]:
    import numpy as np

    counts = np.asarray(cells, np.float32)
    shares = counts / counts.sum(1, keepdims=True).clip(min=1)
    return [
        [Part(words.fit("true ↓, predicted →, by the share of each true class", width), "quiet")],
        *heat.heat_map(shares, width, (0.0, 1.0), palette=palette),
    ]


def scatter(content: Mapping[str, Any], width: int, height: int) -> list[Line]:
    """Points with axes, by plotext; what is not finite is left out and said."""
    import plotext

    pairs = list(zip(content["x"], content["y"], strict=True))
    known = [
        (x, y) for x, y in pairs if x is not None and y is not None and math.isfinite(x) and math.isfinite(y)
    ]
    if not known:
        return []
    plotext.clear_figure()
    plotext.limit_size(False, False)
    plotext.theme("clear")
    plotext.plot_size(width, height)
    plotext.scatter([x for x, _ in known], [y for _, y in known], marker="braille")
    text = plotext.uncolorize(plotext.build())
    plotext.clear_figure()
    across, up = (safe_text(content[name], limit=40) for name in ("x_name", "y_name"))
    lost = f" · {len(pairs) - len(known)} not finite" if len(known) < len(pairs) else ""
    head: list[Line] = [[Part(words.fit(f"{up} ↑, {across} →{lost}", width), "quiet")]]
    return head + [[Part(line, "primary")] for line in text.split("\n")[:height] if line.strip()]


def _wrapped(text: str, width: int) -> list[str]:
    from tui.widgets.text_lines import wrapped

    return wrapped(text, max(8, width))
