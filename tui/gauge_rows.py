"""Figures of the machine as rows of bars and numbers. Pure; columns keep their place whatever the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dlcore.gauges import Gpu, Host
from tui import words
from tui.memory_split import CACHED, NAME, parts_of
from tui.widgets.gauge import Part, Row, bar, history, percent, stacked

History = Mapping[str, Sequence[float | None]]

OURS, OTHERS = "━", "╍"
LEGEND: Row = [
    Part(2 * OURS, "accent"),
    Part(" this run  ", "quiet"),
    Part(2 * OTHERS, "primary"),
    Part(" others", "quiet"),
]
CPU = "cpu"
_LABEL = 7
_PART = 14  # of a step's memory
_FIGURES = 15
_FULL = 0.97  # of a memory, from which it is worth a warning
_GIB = 1 << 30
_NOT = "n/a"


class Ranked(NamedTuple):
    """A row and how soon it goes when there is not enough room: the highest first."""

    row: Row
    rank: int = 0


def one_gpu(gpu: Gpu, past: History, width: int) -> list[Ranked]:
    """Four rows about the only GPU."""
    used, total, ours = gpu.memory_used, gpu.memory_total, gpu.memory_worker
    figures = f"{gib_pair(used, total):>{_FIGURES}}"
    rows = [Ranked(_row("memory", _memory_bar(used, total, ours, _bar_width(width)), figures, width))]
    shares = []
    if ours is not None:
        shares.append(f"this run {gib(ours)}")
        if used is not None and used >= ours:
            shares.append(f"others {gib(used - ours)}")
    if gpu.memory_reserved:
        shares.append(f"driver {gib(gpu.memory_reserved)}")
    while shares and words.cells("  ".join(shares)) > width - _LABEL - 4:
        shares.pop()
    if shares:
        rows.append(Ranked([Part(" " * _LABEL), Part(f"{'  '.join(shares)} GiB", "quiet")], 2))
    use = bar(gpu.utilisation, _bar_width(width))
    rows.append(Ranked(_row("use", use, f"{percent(gpu.utilisation):>{_FIGURES}}", width)))
    facts = f"{watts(gpu):<10}  {degrees(gpu.temperature):>6}"
    room = max(0, width - _LABEL - len(facts) - 2)
    marks = history(past.get(gpu.label, ()), room)
    rows.append(Ranked([_label("power"), Part(facts), Part("  "), Part(marks, "primary")]))
    return rows


class _Widths(NamedTuple):
    bar: int
    temperature: int
    power: int
    past: int


def many_gpus(gpus: Sequence[Gpu], past: History, width: int) -> list[Ranked]:
    """A heading and a row each."""
    label = max(2, *(len(gpu.label) for gpu in gpus)) + 1
    memory, use = 14, 6
    rest = width - label - memory - use
    temperature = 8 if rest >= 8 + 4 else 0
    power = 8 if rest - temperature >= 8 + 4 else 0
    rest -= temperature + power
    past_width = min(24, rest // 2) if rest >= 20 else 0
    at = _Widths(max(0, rest - past_width - (2 if past_width else 0)), temperature, power, past_width)
    heading = f"{'':{label}}{'memory'[: at.bar]:{at.bar}}{'GiB':>{memory}}{'use':>{use}}"
    heading += f"{'temp':>{at.temperature}}" if at.temperature else ""
    heading += f"{'power':>{at.power}}" if at.power else ""
    heading += "  use so far" if at.past >= 10 else ""
    rows = [Ranked([Part(heading[:width], "quiet")], 1)]
    for gpu in gpus:
        rows.append(Ranked(_gpu_row(gpu, past, label, memory, use, at)))
    return rows


def _gpu_row(gpu: Gpu, past: History, label: int, memory: int, use: int, at: _Widths) -> Row:
    figures = gib_pair(gpu.memory_used, gpu.memory_total, unit="")
    parts = [
        Part(f"{gpu.label:<{label}}"),
        *_memory_bar(gpu.memory_used, gpu.memory_total, gpu.memory_worker, at.bar),
        Part(f"{figures:>{memory}}{percent(gpu.utilisation):>{use}}"),
    ]
    if at.temperature:
        parts.append(Part(f"{degrees(gpu.temperature):>{at.temperature}}"))
    if at.power:
        said = _NOT if gpu.power is None else f"{gpu.power:.0f} W"
        parts.append(Part(f"{said:>{at.power}}"))
    if at.past:
        parts += [Part("  "), Part(history(past.get(gpu.label, ()), at.past), "primary")]
    return parts


def host_rows(host: Host, past: History, width: int) -> list[Ranked]:
    """Processors, memory and disk, with the worker's part of each."""
    long = _bar_width(width)
    cores = host.cores
    ours = host.worker_cpu / cores if host.worker_cpu is not None and cores else None
    share = None if host.cpu is None else max(host.cpu, ours or 0.0)
    cpu_bar = _split_bar(share, ours, long, full=2.0) if share is not None else bar(None, long)
    rows = [Ranked(_row("cpu", cpu_bar, f"{percent(share):>{_FIGURES}}", width))]
    said = []
    if host.worker_cpu is not None:
        said.append(f"this run {host.worker_cpu:.1f}{f' of {cores}' if cores else ''} cores")
    elif cores:
        said.append(words.plural(cores, "core"))
    text = f"{'  '.join(said):<24}"
    marks = history(past.get(CPU, ()), max(0, width - _LABEL - len(text) - 2))
    rows.append(Ranked([Part(" " * _LABEL), Part(text, "quiet"), Part("  "), Part(marks, "primary")], 3))
    memory = _memory_bar(host.memory_used, host.memory_total, host.worker_memory, long)
    figures = f"{gib_pair(host.memory_used, host.memory_total):>{_FIGURES}}"
    rows.append(Ranked(_row("ram", memory, figures, width)))
    if host.worker_memory is not None:
        rows.append(Ranked([Part(" " * _LABEL), Part(f"this run {gib(host.worker_memory)} GiB", "quiet")], 4))
    free, total = host.disk_free, host.disk_total
    taken = 1 - free / total if free is not None and total else None
    figures = f"{_NOT if free is None else f'{gib(free)} GiB free':>{_FIGURES}}"
    tone = "warning" if taken is not None and taken >= _FULL else "primary"
    rows.append(Ranked(_row("disk", bar(taken, long, tone), figures, width), 1))
    return rows


def step_rows(memory: Mapping[str, int], width: int) -> list[Ranked]:
    """What a training step holds at its peak, and of that each part with a bar; the first rows to go, the sum last."""
    parts = parts_of(memory)
    if not parts:
        return []
    peak, cached = sum(parts.values()), memory.get(CACHED, 0)
    total = peak + cached
    room = max(0, width - _PART - _FIGURES)
    heading = [Part(f"{NAME:<{width - _FIGURES}}", "quiet"), Part(f"{words.size(peak):>{_FIGURES}}")]
    rows = [
        [
            Part(f"  {name:<{_PART - 2}}", "quiet"),
            *bar(size / total, room),
            Part(f"{words.size(size):>{_FIGURES}}"),
        ]
        for name, size in [*parts.items(), *([(f"+ {CACHED}", cached)] if cached else [])]
    ]
    return [Ranked(heading, 6), *(Ranked(row, 7) for row in rows)]


def fitting(rows: Sequence[Ranked], height: int) -> list[Row]:
    """As many rows as there is room for; the least important go first, the last of them before others."""
    kept = list(rows)
    while len(kept) > max(1, height):
        rank = max(row.rank for row in kept)
        at = max(number for number, row in enumerate(kept) if row.rank == rank)
        del kept[at]
    return [ranked.row for ranked in kept]


def gib(value: int) -> str:
    """Bytes in GiB without the unit: ``3.1``, ``112``."""
    amount = value / _GIB
    return f"{amount:.0f}" if amount >= 99.95 else f"{amount:.1f}"


def gib_pair(used: int | None, total: int | None, unit: str = " GiB") -> str:
    """``62.1/79.2 GiB``; what is not known reads n/a."""
    if used is None and total is None:
        return _NOT
    return f"{_NOT if used is None else gib(used)}/{_NOT if total is None else gib(total)}{unit}"


def degrees(value: float | None) -> str:
    """``61 °C``."""
    return _NOT if value is None else f"{value:.0f} °C"


def watts(gpu: Gpu) -> str:
    """``512/700 W``."""
    if gpu.power is None:
        return _NOT
    return f"{gpu.power:.0f} W" if gpu.power_limit is None else f"{gpu.power:.0f}/{gpu.power_limit:.0f} W"


def _bar_width(width: int) -> int:
    return max(0, width - _LABEL - _FIGURES)


def _row(name: str, middle: Sequence[Part], figures: str, width: int) -> Row:
    """Name, bar and figures; without room for a bar the figures follow the name."""
    if _bar_width(width) < 4:
        return [_label(name), Part(figures.strip())]
    return [_label(name), *middle, Part(figures)]


def _label(name: str) -> Part:
    return Part(f"{name:<{_LABEL}}")


def _memory_bar(used: int | None, total: int | None, ours: int | None, width: int) -> list[Part]:
    if used is None or not total:
        return bar(None, width)
    return _split_bar(used / total, None if ours is None else ours / total, width)


def _split_bar(share: float, ours: float | None, width: int, full: float = _FULL) -> list[Part]:
    """The worker's part and that of others; one bar where nobody knows the parts."""
    tone = "warning" if share >= full else "primary"
    if ours is None:
        return bar(share, width, tone)
    ours = min(ours, share)
    return stacked([(ours, OURS, "accent"), (share - ours, OTHERS, tone)], width)
