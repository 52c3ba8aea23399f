"""A forecast as a few lines of text: the past, what came, and what was forecast."""

from __future__ import annotations

from collections.abc import Sequence

ROWS = 9
MOST_PAST = 36  # steps of the past that are shown


def plot(past: Sequence[float], truth: Sequence[float], forecast: Sequence[float]) -> str:
    """Columns are steps: ``·`` the past, ``o`` what came, ``x`` the forecast, ``*`` both in one cell."""
    past = past[-MOST_PAST:]
    everything = [*past, *truth, *forecast]
    low, high = min(everything), max(everything)
    span = (high - low) or 1.0

    def row_of(value: float) -> int:
        return round((high - value) / span * (ROWS - 1))

    cells = [[" "] * (len(past) + len(truth)) for _ in range(ROWS)]
    for column, value in enumerate(past):
        cells[row_of(value)][column] = "·"
    for step, (came, said) in enumerate(zip(truth, forecast, strict=True)):
        column = len(past) + step
        cells[row_of(came)][column] = "o"
        cells[row_of(said)][column] = "*" if row_of(said) == row_of(came) else "x"
    labels = [f"{high:.4g}", *[""] * (ROWS - 2), f"{low:.4g}"]
    width = max(map(len, labels))
    lines = [f"{label:>{width}} ┤{''.join(row)}".rstrip() for label, row in zip(labels, cells, strict=True)]
    return "\n".join([*lines, f"{'':>{width}}  o came, x was forecast, * both"])
