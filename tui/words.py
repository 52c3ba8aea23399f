"""How figures and states read to a person, the same on every screen and in every listing.

Pure functions of their arguments; a figure that is not known reads as ``-``, never as 0.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence

STATUS_SIGNS = {
    "starting": "○",
    "running": "●",
    "paused": "‖",
    "finished": "✓",
    "stopped": "◼",
    "failed": "✗",
    "died": "†",
}
STATUS_COLOURS = {
    "starting": "cyan",
    "running": "cyan",
    "paused": "yellow",
    "finished": "green",
    "stopped": "yellow",
    "failed": "red",
    "died": "red",
}
UNKNOWN = "-"
TIME, SYSTEM = (
    "time/",
    "system/",
)  # what the names of metrics in seconds a step, and of the machine's, begin with
_STAMPED = re.compile(r"^\d{8}-\d{6}-(?=.)")
_BARS = "▁▂▃▄▅▆▇"  # none as tall as its line: rows of a list must not run into each other


def metric(value: float | None) -> str:
    """Six figures or fewer: ``0.9214``, ``12.35``, ``3.1e-05``, ``nan``."""
    if value is None:
        return UNKNOWN
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size == 0 or 1e-3 <= size < 10:
        return f"{value:.4f}"
    if 10 <= size < 1e5:
        return f"{value:,.{max(0, 3 - int(math.log10(size)))}f}"
    return f"{value:.2e}"


def is_cost(name: str) -> bool:
    """Whether a metric's name is that of what training takes, not of what comes of it."""
    return name.startswith((TIME, SYSTEM))


def figure(name: str, value: float | None) -> str:
    """A metric in the unit that its name tells: a time, a size, a share, else as `metric`."""
    if name.startswith(TIME):
        return duration(value)
    if name.startswith(f"{SYSTEM}memory"):
        return size(value)
    return metric(value)


def result(name: str, value: float | None) -> str:
    """A metric with its name: ``val/accuracy 0.9214``."""
    return f"{name} {metric(value)}"


def rate(value: float | None) -> str:
    """A learning rate: ``1e-3``, ``8.1e-4``."""
    if value is None:
        return UNKNOWN
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    digits, exponent = f"{value:.2e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"


def count(value: float | None) -> str:
    """A whole number with thousands set apart."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:,.0f}"


def speed(samples_per_second: float | None) -> str:
    """``48,210 samples/s``."""
    if samples_per_second is None or not math.isfinite(samples_per_second):
        return UNKNOWN
    figure = count(samples_per_second) if samples_per_second >= 10 else f"{samples_per_second:.2g}"
    return f"{figure} samples/s"


def duration(seconds: float | None) -> str:
    """``35 ms``, ``0.4 s``, ``12 s``, ``2 min 10 s``, ``1 h 04 min``, ``3 d 4 h``."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return UNKNOWN
    if 0 < seconds < 0.0995:
        return f"{seconds * 1000:.{1 if seconds < 0.00995 else 0}f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = whole // 60
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = minutes // 60
    return f"{hours // 24} d {hours % 24} h"


def age(seconds: float | None) -> str:
    """How long ago, in one unit: ``now``, ``5 min``, ``3 h``, ``12 d``."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 60:
        return "now"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "now"


def size(number_of_bytes: float | None) -> str:
    """``412 B``, ``1.6 MiB``."""
    if number_of_bytes is None or not math.isfinite(number_of_bytes):
        return UNKNOWN
    amount = float(number_of_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def mega(flops: float) -> str:
    """Millions of floating-point operations in two or three figures: ``0.01``, ``4.2``, ``14``, ``2,310``."""
    if not flops:
        return UNKNOWN
    millions = flops / 1e6
    if millions >= 10:
        return f"{millions:,.0f}"
    return f"{millions:.1f}" if millions >= 1 else f"{millions:.2g}"


def progress(epoch: int | None, epochs: int | None) -> str:
    """``7/20``, with the total left out when nobody knows it."""
    done = 0 if epoch is None else epoch
    return f"{done:,}" if epochs is None else f"{done:,}/{epochs:,}"


def status(name: str) -> str:
    """The sign and the word: ``● running``."""
    return f"{STATUS_SIGNS.get(name, '?')} {name}"


def short_run_name(name: str) -> str:
    """The name without the time that it begins with: ``digits-cnn``."""
    return _STAMPED.sub("", name)


def plural(number: int, noun: str) -> str:
    """``1 run``, ``3 runs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def sparkline(values: Sequence[float]) -> str:
    """One bar a value, from the smallest to the largest; ``×`` where a value is not finite."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    spread = high - low
    marks = []
    for value in values:
        if not math.isfinite(value):
            marks.append("×")
        elif spread <= 0 or not math.isfinite(spread):
            marks.append(_BARS[3])
        else:
            marks.append(_BARS[min(len(_BARS) - 1, int((value - low) / spread * len(_BARS)))])
    return "".join(marks)


def cells(text: str) -> int:
    """How many terminal columns a line of safe text takes: wide letters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        for sign in text
    )


def fit(text: str, width: int) -> str:
    """The text cut to so many columns, with ``…`` at its end when something was left out."""
    if cells(text) <= width:
        return text
    kept = ""
    room = width - 1
    for sign in text:
        room -= cells(sign)
        if room < 0:
            break
        kept += sign
    return kept + "…" if width > 0 else ""


def columns(rows: Iterable[Sequence[str]], align: str, gap: str = "  ") -> list[str]:
    """Rows as aligned lines.

    Args:
        rows: the same number of safe one-line texts each.
        align: a letter a column, ``<`` or ``>``.
    """
    table = [tuple(row) for row in rows]
    widths = [max((cells(entry) for entry in column), default=0) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        parts = []
        for entry, width, side in zip(row, widths, align, strict=True):
            space = " " * (width - cells(entry))
            parts.append(entry + space if side == "<" else space + entry)
        lines.append(gap.join(parts).rstrip())
    return lines
