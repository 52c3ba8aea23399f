"""A run's recorded curves, grouped as people read them: losses together, then each metric with its parts."""

from __future__ import annotations

from pathlib import Path

from dlcore import series
from dlcore.deploy.svg import Line, chart

MACHINE = frozenset(("lr", "grad_norm", "samples_per_second", "seconds"))
"""What says how the training went, not how good the network is."""


def groups(folder: Path) -> dict[str, list[str]]:
    """Names of series by what they measure, losses first: ``loss`` -> train/loss, val/loss."""
    found: dict[str, list[str]] = {}
    for name in series.names(folder):
        part, _, metric = name.partition("/")
        if metric and part in ("train", "val") and metric not in MACHINE:
            found.setdefault(metric, []).append(name)
    measured = {metric: names for metric, names in found.items() if any(n.startswith("val/") for n in names)}
    return dict(sorted((measured or found).items(), key=lambda pair: ("loss" not in pair[0], pair[0])))


def lines(folder: Path, names: list[str], label: str = "") -> list[Line]:
    """The series of a run as curves over steps."""
    read = {name: series.read(folder, name) for name in names}
    return [Line(label or name, values.step, values.value) for name, values in read.items()]


def charts(folder: Path) -> dict[str, str]:
    """An SVG for each group, by what it measures."""
    drawn = {metric: chart(metric, lines(folder, names)) for metric, names in groups(folder).items()}
    return {metric: svg for metric, svg in drawn.items() if svg}
