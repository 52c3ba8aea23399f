"""Runs beside each other: what differs between their presets, and whose figures are best.

Pure functions over presets and states; whatever a run directory holds, nothing here raises.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dlcore.errors import UserError
from dlcore.preset.text import read_text
from dlcore.text_safety import safe_text
from tui import words
from tui.follow import RunView
from tui.sentences import in_order
from tui.step_times import step_times

Settings = Mapping[str, str]
LEFT_OUT = ("about",)  # sections that say nothing of the training
_STAMP = re.compile(r"\d{8}-\d{6}-(?=.)")
_WORD = re.compile(r"[^-_]*[-_]|[^-_]+")
_LESS_IS_BETTER = re.compile(r"loss|error|perplexity|(^|[/_-])(r?mse|mae|nll|bpc|fid)($|[/_-])")


class Row(NamedTuple):
    """One line of a table with a column for each run.

    Attributes:
        name: of a metric, a preset key, or a fact.
        values: safe text by run; `words.UNKNOWN` where a run has none.
        best: indices of the runs with the best value; none where there is no better.
        metric: whether the name is that of a curve.
    """

    name: str
    values: tuple[str, ...]
    best: frozenset[int] = frozenset()
    metric: bool = False


def settings(path: Path) -> Settings:
    """A preset file as ``section.key`` and readable values; empty when it is missing or damaged."""
    try:
        found = tomllib.loads(read_text(path, "preset"))
    except (UserError, OSError, ValueError, RecursionError):
        return {}
    flat: dict[str, str] = {}
    for section, values in found.items():
        if section not in LEFT_OUT:
            _flatten(section, values, flat)
    return flat


def _flatten(name: str, value: Any, into: dict[str, str]) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _flatten(f"{name}.{key}", inner, into)
    else:
        into[safe_text(name, limit=80)] = readable(value)


def readable(value: Any) -> str:
    """A TOML value as a person would write it in a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(readable(item) for item in value) or "none"
    return safe_text(value, limit=80)


def differing(presets: Sequence[Settings]) -> list[Row]:
    """Keys whose values are not the same in all presets, in their order in the first that has them.

    A preset that could not be read differs from nothing.
    """
    keys = dict.fromkeys(key for preset in presets for key in preset)
    known = [preset for preset in presets if preset]
    return [
        Row(key, tuple(preset.get(key, words.UNKNOWN) for preset in presets))
        for key in keys
        if len({preset.get(key) for preset in known}) > 1
    ]


def metric_names(views: Sequence[RunView | None]) -> list[str]:
    """All metrics that have a curve in some run."""
    return in_order({name for view in views if view is not None for name in view.curves})


def judged(views: Sequence[RunView | None]) -> str:
    """The curve to begin with: what most runs are judged by, else a loss, else any; "" for none."""
    names = metric_names(views)
    monitors = Counter(
        view.state.best.metric if view.state.best else view.state.monitor
        for view in views
        if view is not None
    )
    wanted = [name for name, _ in monitors.most_common()]
    fallback = [name for name in ("val/loss", "train/loss") if name in names]
    return next((name for name in [*wanted, *fallback, *names] if name in names), "")


def less_is_better(metric: str) -> bool:
    """Whether the best value of a metric is its lowest."""
    return bool(_LESS_IS_BETTER.search(metric.lower()))


def figures(views: Sequence[RunView | None]) -> list[Row]:
    """Latest value of every metric but the costs side by side; of those that are evaluated, the best marked."""
    known = [_latest(view) if view is not None else {} for view in views]
    evaluated = {_leaf(name) for values in known for name in values if name.startswith(("val/", "test/"))}
    rows = []
    for name in in_order({name for values in known for name in values if not words.is_cost(name)}):
        values = [found.get(name) for found in known]
        sign = "▼" if less_is_better(name) else "▲"
        best = _best(values, lowest=sign == "▼") if _leaf(name) in evaluated else frozenset()
        plain = [words.metric(value) for value in values]
        texts = [f"{sign} {text}" if number in best else text for number, text in enumerate(plain)]
        rows.append(Row(safe_text(name, limit=80), tuple(texts), best, metric=True))
    return rows


def costs(views: Sequence[RunView | None]) -> list[Row]:
    """What each part of a step takes, and of the machine the latest figures, side by side."""
    known = [_costs(view) if view is not None else {} for view in views]
    return [
        Row(
            safe_text(name, limit=80),
            tuple(words.figure(name, found.get(name)) for found in known),
            metric=True,
        )
        for name in dict.fromkeys(name for found in known for name in found)
    ]


def _costs(view: RunView) -> dict[str, float]:
    times = {words.TIME + part: seconds for part, seconds in step_times(view).items()}
    return times | {name: value for name, value in _latest(view).items() if name.startswith(words.SYSTEM)}


def facts(views: Sequence[RunView | None]) -> list[Row]:
    """How far each run is and what it cost."""
    states = [view.state if view is not None else None for view in views]
    unknown = words.UNKNOWN
    return [
        Row("status", tuple(words.status(view.status) if view is not None else unknown for view in views)),
        Row("epoch", tuple(words.progress(each.epoch, each.epochs) if each else unknown for each in states)),
        Row("time", tuple(words.duration(each.seconds or None) if each else unknown for each in states)),
        Row("parameters", tuple(words.count(each.parameters) if each else unknown for each in states)),
    ]


def _latest(view: RunView) -> dict[str, float]:
    """As of the last epoch; from the end of its curve where no event told a metric."""
    found = {name: float(curve.value[-1]) for name, curve in view.curves.items() if len(curve.value)}
    return found | dict(view.state.metrics)


def _leaf(name: str) -> str:
    return name.partition("/")[2]


def _best(values: Sequence[float | None], *, lowest: bool) -> frozenset[int]:
    finite = {
        number: value for number, value in enumerate(values) if value is not None and math.isfinite(value)
    }
    if len(finite) < 2:
        return frozenset()
    best = min(finite.values()) if lowest else max(finite.values())
    return frozenset(number for number, value in finite.items() if value == best)


def short_names(names: Iterable[str]) -> list[str]:
    """Names without the time at their front and the words that all begin with, where they stay different."""
    names = list(names)
    for shorten in (_without_stamp, _without_start):
        short = shorten(names)
        if len(set(short)) == len(set(names)) and all(short):
            names = short
    return names


def _without_stamp(names: list[str]) -> list[str]:
    return [_STAMP.sub("", name, count=1) for name in names]


def _without_start(names: list[str]) -> list[str]:
    split = [_WORD.findall(name) for name in names]
    common = 0
    while len(names) > 1 and all(len(parts) > common + 1 for parts in split):
        if len({parts[common] for parts in split}) > 1:
            break
        common += 1
    return ["".join(parts[common:]) for parts in split]
