"""Measuring in ratios on a shared machine: contenders take turns in one process, medians are compared.

Every round runs each contender once, in a new random order, so that a neighbour's load falls on all of
them; what is compared is paired within the round.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

Samples = dict[str, list[float]]


def interleave(
    contenders: Mapping[str, Callable[[], float]], rounds: int, *, warm_up: int = 1, seed: int = 0
) -> Samples:
    """Figures of every contender, one a round.

    Args:
        contenders: name to a function that does the work once and returns its figure.
        warm_up: rounds before those that count.
    """
    order = random.Random(seed)
    names = list(contenders)
    figures: Samples = {name: [] for name in names}
    for turn in range(-warm_up, rounds):
        order.shuffle(names)
        for name in names:
            gc.collect()
            figure = contenders[name]()
            if turn >= 0:
                figures[name].append(figure)
    return figures


def paired(
    left: Sequence[float], right: Sequence[float], how: Callable[[float, float], float]
) -> list[float]:
    """``how`` of the two figures of each round."""
    return [how(a, b) for a, b in zip(left, right, strict=True)]


def ratio(left: Sequence[float], right: Sequence[float]) -> list[float]:
    """Left over right, round by round."""
    return paired(left, right, lambda a, b: a / b)


def difference(left: Sequence[float], right: Sequence[float]) -> list[float]:
    """Left less right, round by round."""
    return paired(left, right, lambda a, b: a - b)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median and, in brackets, the quartiles."""
    if len(values) < 2:
        return f"{values[0]:,.{digits}f}"
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:,.{digits}f} [{low:,.{digits}f}, {high:,.{digits}f}]"


def verdict(value: float, limit: float, *, at_least: bool = False) -> str:
    """``yes`` or ``no``: whether a goal is met."""
    return "yes" if (value >= limit if at_least else value <= limit) else "no"


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table, columns aligned."""
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    print(f"\n{title}\n")
    for number, row in enumerate(cells):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    sys.stdout.flush()


def parser(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """The command line that all benchmarks share."""
    made = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    made.add_argument(
        "--rounds", type=int, default=rounds, help=f"turns of each contender (default {rounds})"
    )
    made.add_argument("--quick", action="store_true", help="as little as shows that it works")
    return made


def parse(made: argparse.ArgumentParser) -> argparse.Namespace:
    """What was asked for, with the load of the machine printed for the record."""
    chosen = made.parse_args()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} CPUs; load of the last 1, 5, 15 minutes: {load}")
    return chosen


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for runs that goes away afterwards."""
    with tempfile.TemporaryDirectory(prefix="dltui-benchmark-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """What rivals print goes nowhere; they still pay for printing it."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def real_data() -> Path | None:
    """The folder with the MNIST files (DLTUI_DATA), or None after saying that it is missing."""
    folder = Path(os.environ.get("DLTUI_DATA", ""))
    if os.environ.get("DLTUI_DATA") and (folder / "MNIST" / "raw").is_dir():
        return folder
    print("skipped: set DLTUI_DATA to a folder that holds MNIST/raw")
    return None
