"""`dltui bench`: how fast a preset trains on this machine, and what would make it faster, as tables."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from dlcore import preset as presets
from dlcore.cores import share_cores
from dlcore.text_safety import safe_text
from tui import memory_split, words
from tui.commands.common import print_json, terminal_width, wants_colour
from tui.commands.status import status

PARTS = {
    "data": "a batch is there",
    "forward": "network and loss",
    "backward": "gradients",
    "optimizer": "weights changed",
    "launch": "the rest of a recorded step, whose parts the device timed",
    "replay": "forward, backward and optimizer in one launch",
    "recording": "curves and state written",
}
BAR = 24


def bench(source: str, sets: Sequence[str], seconds: float, *, as_json: bool) -> None:
    """Measures a preset and prints what was found.

    Raises:
        UserError: everything that is wrong with the preset, or why a step cannot be made.
    """
    presets.load(source, sets, builders=False)  # what is wrong in the text is said before torch is loaded
    share_cores()
    from dlcore.bench.bench import bench as measure

    with (
        contextlib.redirect_stdout(sys.stderr),
        status("opening the preset") as report,
    ):  # the user's own code may print
        facts = measure(presets.load(source, sets, builders=True), seconds, report)
    if as_json:
        print_json(facts)
        return
    console = Console(
        width=min(terminal_width(), 110),
        no_color=not wants_colour(sys.stdout),
        highlight=False,
        soft_wrap=False,
    )
    console.print(page(facts))


def page(facts: Mapping[str, Any]) -> RenderableType:
    """The human form of what `dlcore.bench.bench.bench` finds."""
    title = Text(f"{safe_text(facts['model'])} on {safe_text(facts['data'])}", style="bold")
    title.append(
        f"   {facts['device']} · {facts['precision']} · {words.plural(facts['threads'], 'thread')} · "
        f"batches of {facts['batch_size']}"
        + (f" × {facts['accumulate']}" if facts["accumulate"] > 1 else ""),
        style="dim",
    )
    parts: list[RenderableType] = [
        title,
        _speeds(facts),
        _split(facts["split"]),
        _machine(facts),
        _changes(facts),
    ]
    parts += [Text(f"! {safe_text(note)}", style="yellow") for note in facts["notes"]]
    parts.append(Text(f"measured in {words.duration(facts['seconds'])}", style="dim"))
    return Group(*(line for part in parts[:-1] for line in (part, "")), parts[-1])


def _speeds(facts: Mapping[str, Any]) -> RenderableType:
    table = _table(f"{facts['unit']}/s", "median", "middle half", "beside the bare loop")
    ratio = facts["ratio"]
    for name, label in (("ours", "dltui"), ("bare", "bare loop, same network and batches")):
        figure = facts[name]
        beside = (
            f"{ratio['median']:.2f}× [{ratio['low']:.2f}, {ratio['high']:.2f}]" if name == "ours" else "1"
        )
        table.add_row(
            label,
            words.count(figure["median"]),
            f"{words.count(figure['low'])} to {words.count(figure['high'])}",
            beside,
        )
    turns = f"{words.plural(ratio['rounds'], 'round')} in turn, {words.plural(ratio['steps'], 'step')} each"
    return Group(table, Text(f"  {turns}", style="dim"))


def _split(split: Mapping[str, float]) -> RenderableType:
    table = _table("a step", "time", "share", "")
    total = sum(split.values())
    for name in sorted(split, key=lambda part: list(PARTS).index(part) if part in PARTS else len(PARTS)):
        share = split[name] / total if total else 0.0
        bar = "█" * round(BAR * share)
        table.add_row(
            Text(name).append(f"  {PARTS.get(name, '')}", style="dim"),
            _time(split[name]),
            _share(share),
            Text(bar, style="cyan"),
        )
    table.add_row("together", _time(total), "", style="dim")
    return table


def _machine(facts: Mapping[str, Any]) -> RenderableType:
    flops, memory = facts["flops"], facts["memory"]
    table = _table("device", "")
    what = "of the process, resident" if memory["kind"] == "resident" else "allocated on the device"
    grown = words.size(max(0, memory["peak"] - memory["before"]))
    table.add_row(
        "peak memory", f"{words.size(memory['peak'])} {what}; {grown} more than before the training"
    )
    if memory.get("split"):
        table.add_row(memory_split.NAME, memory_split.measured(memory["split"]))
    if flops["step"]:
        table.add_row("work of a step", f"{_flops(flops['step'])}FLOP, {flops['how']}")
        table.add_row(
            "work done",
            f"{_flops(flops['achieved'])}FLOP/s, {_share(flops['share'])} of the {_flops(flops['peak'])}FLOP/s "
            f"of the fastest {flops['peak_of']} here",
        )
    table.add_row("threads", safe_text(facts["choices"]["threads"]))
    return table


def _changes(facts: Mapping[str, Any]) -> RenderableType:
    table = _table("change", f"{facts['unit']}/s", "")
    better = [change for change in facts["changes"] if change["worth"]]
    others = [change for change in facts["changes"] if not change["worth"]]
    for change in better + others:
        style = "green" if change["worth"] else "dim"
        sets = " ".join(change["set"])
        gain = f"{change['median']:.2f}× [{change['low']:.2f}, {change['high']:.2f}]"
        table.add_row(
            Text(sets, style=style), Text(gain, style=style), Text(safe_text(change["say"]), style="dim")
        )
    for name, reason in facts["not_tried"].items():
        table.add_row(
            Text(name, style="dim"), Text("not tried", style="dim"), Text(safe_text(reason), style="dim")
        )
    if better:
        verdict = Text(
            f"Faster here: --set {better[0]['set'][0]}, {better[0]['median']:.2f}×.", style="green"
        )
    else:
        verdict = Text("No change that was tried makes it faster here.", style="bold")
    return Group(table, verdict)


def _table(first: str, *columns: str) -> Table:
    """Without lines between cells; what a heading is over are figures, to the right, the rest is text."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    table.add_column(first, overflow="fold")
    for name in columns:
        table.add_column(name, justify="right" if name else "left", no_wrap=bool(name), overflow="fold")
    return table


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:,.2f} ms"


def _share(part: float) -> str:
    return f"{part:.1%}" if part >= 0.001 or not part else "under 0.1%"


def _flops(number: float) -> str:
    """``1.2 G``, to which the unit is added."""
    for size, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:.3g} "
