"""A report as one HTML page that needs nothing else: no network, no script, no file beside it.

Everything that comes from a run is text until it is escaped here. A policy in the page forbids any request.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from dlcore.deploy.svg import Line, chart
from dlcore.text_safety import safe_text

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
MOST_ROWS = 200
WIDEST_MATRIX = 60
PICTURE_SIDE = 96
HIT, MISS = "0,114,178", "213,94,0"  # Okabe and Ito's blue and vermilion

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882 }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { margin: 2.2rem 0 .6rem; font-size: 1.25rem }
h3 { margin: 1.4rem 0 .4rem; font-size: 1rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
th { font-weight: 600 } td.n, th.n { text-align: right }
.note { opacity: .7; font-size: .9rem } .scroll { overflow-x: auto }
.charts, .samples { display: flex; flex-wrap: wrap; gap: 1rem } .charts svg { width: 31rem; max-width: 100% }
.beside { display: flex; flex-wrap: wrap; gap: 1rem 5rem; margin-top: 1rem } .beside h2 { margin-top: 0 }
figure { margin: 0 } figcaption { font-size: .8rem; opacity: .8; max-width: 12rem; overflow-wrap: anywhere }
img { image-rendering: pixelated } pre { overflow-x: auto; background: var(--soft); padding: .8rem; font-size: .85rem }
details { margin: .6rem 0 } summary { cursor: pointer; font-weight: 600 }
.matrix td { text-align: center; border: 0; padding: .15rem .4rem; min-width: 1.6rem }
.bar { background: #0072b2; height: .8rem; min-width: 1px } .bad { color: #d55e00 }
"""


def page(title: str, parts: Sequence[str]) -> str:
    """The whole document."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def text(value: object, limit: int = 2000, *, newlines: bool = False) -> str:
    """Anything as text that no browser takes for markup."""
    return escape(safe_text(value, limit=limit, newlines=newlines))


def number(value: Any) -> str:
    """A cell: figures with four digits, counts with their thousands, a dash for nothing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return text(value, 300)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows of texts and numbers; numbers to the right."""
    if not rows:
        return ""
    right = [all(isinstance(row[at], int | float | None) for row in rows) for at in range(len(rows[0]))]
    marks = [' class="n"' if each else "" for each in right]
    head = "".join(f"<th{mark}>{text(name)}</th>" for mark, name in zip(marks, columns, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{mark}>{number(cell)}</td>" for mark, cell in zip(marks, row, strict=True))
        + "</tr>"
        for row in rows[:MOST_ROWS]
    )
    more = f'<p class="note">and {len(rows) - MOST_ROWS:,} more</p>' if len(rows) > MOST_ROWS else ""
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>{more}'


def pairs(rows: Sequence[tuple[str, Any]]) -> str:
    """Names and values; what nobody knows is left out."""
    known = [(name, value) for name, value in rows if value not in ("", None)]
    cells = "".join(f"<tr><th>{text(name)}</th><td>{number(value)}</td></tr>" for name, value in known)
    return f"<table>{cells}</table>"


def section(content: Mapping[str, Any]) -> str:
    """One section of a task's report."""
    drawn = _DRAW[content["kind"]](content)
    if not drawn:
        return ""
    note = f'<p class="note">{text(content["note"])}</p>' if content["note"] else ""
    return f"<h3>{text(content['title'])}</h3>{drawn}{note}"


def _table(content: Mapping[str, Any]) -> str:
    return table(content["columns"], content["rows"])


def _matrix(content: Mapping[str, Any]) -> str:
    names, cells = content["names"], content["cells"]
    if len(names) > WIDEST_MATRIX:
        return f'<p class="note">{len(names):,} classes are too many to draw</p>'
    head = "".join(f"<th>{text(name, 20)}</th>" for name in names)
    rows: list[str] = []
    for name, counts in zip(names, cells, strict=True):
        total = sum(counts) or 1
        shaded = "".join(
            f'<td style="background:rgba({HIT if at == len(rows) else MISS},{(count / total) ** 0.5:.2f})">'
            f"{count or ''}</td>"
            for at, count in enumerate(counts)
        )
        rows.append(f"<tr><th>{text(name, 20)}</th>{shaded}</tr>")
    return (
        f'<div class="scroll"><table class="matrix"><tr><th>true ╲ predicted</th>{head}</tr>{"".join(rows)}'
        "</table></div>"
    )


def _bars(content: Mapping[str, Any]) -> str:
    most = max(content["values"], default=0) or 1
    rows = "".join(
        f'<tr><td class="n">{text(label)}</td>'
        f'<td style="width:22rem"><div class="bar" style="width:{100 * value / most:.1f}%"></div></td>'
        f'<td class="n">{number(value)}</td></tr>'
        for label, value in zip(content["labels"], content["values"], strict=True)
    )
    return f"<table>{rows}</table>"


def _points(content: Mapping[str, Any]) -> str:
    x, y = np.asarray(content["x"], np.float64), np.asarray(content["y"], np.float64)
    svg = chart(content["title"], [Line(content["y_name"], x, y)], x_name=content["x_name"], dots=True)
    return f'<div class="charts">{svg}</div>'


_DRAW = {"table": _table, "matrix": _matrix, "bars": _bars, "points": _points}


def sample(row: Mapping[str, Any], names: Sequence[str]) -> str:
    """What a person would look at of one sample: its pictures, its text, the answer and the truth."""
    shown = [(str(each.get("name", "")), each.get("pixels")) for each in row.get("pictures", ())]
    if "pixels" in row:
        shown.append(("", row["pixels"]))
    images = "".join(
        f"<figure>{drawn}<figcaption>{text(name)}</figcaption></figure>"
        for name, pixels in shown
        if (drawn := picture(pixels))
    )
    lines = [text(row["caption"])] if row.get("caption") else []
    if "prediction" in row:
        wrong = ' class="bad"' if row.get("target") != row["prediction"] and names else ""
        said, truth = _named(row["prediction"], names), _named(row.get("target"), names)
        lines.append(f"<span{wrong}>{said}</span> (true: {truth})")
    body = f"<pre>{text(row['text'], 4000, newlines=True)}</pre>" if "text" in row else ""
    if not (images or body or lines):
        return ""
    return f'<figure><div class="samples">{images}</div>{body}<figcaption>{"<br>".join(lines)}</figcaption></figure>'


def _named(value: Any, names: Sequence[str]) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
        return text(names[value], 60)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return number(value) if isinstance(value, int | float) else text(value, 120)


def picture(pixels: object) -> str:
    """Nested lists (height, width), (channels, height, width) or (height, width, 3) as an image in the page."""
    try:
        array = np.asarray(pixels, np.float64)
    except (TypeError, ValueError):
        return ""
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] != 3:
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    sound = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if not sound or not 0 < array.size <= 1_000_000:
        return ""
    array = np.nan_to_num(array)
    scale = 255.0 if array.max() <= 1.0 else 1.0
    image = Image.fromarray((array * scale).clip(0, 255).astype(np.uint8))
    file = io.BytesIO()
    image.save(file, "PNG")
    height, width = array.shape[:2]
    factor = max(1, PICTURE_SIDE // max(height, width))
    source = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="" width="{width * factor}" height="{height * factor}" src="data:image/png;base64,{source}">'
