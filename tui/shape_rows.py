"""The shape table as text: rows, totals and the reason of a failure, from what the engine answers.

Pure functions; what they give is safe to print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any, NamedTuple

from dlcore.text_safety import safe_text
from tui import memory_split, words
from tui.fixes import fixes

NONE = "-"
_AND = " and "


class ShapeRow(NamedTuple):
    """A layer, or a line of what is wrong.

    Attributes:
        tone: ``error`` where the pass fails, ``quiet`` for what explains it, ``accent`` for what mends it.
        fix: number of the fix that it offers; -1 where it is something else.
    """

    layer: str
    type: str = ""
    inputs: str = ""
    output: str = ""
    parameters: str = ""
    mega: str = ""
    tone: str = ""
    fix: int = -1


def layer_rows(answer: Mapping[str, Any]) -> list[ShapeRow]:
    """One row for each layer that was reached."""
    rows = [_row(row) for row in answer.get("rows", ())]
    more = answer.get("more_rows", 0)
    return [*rows, *([ShapeRow(f"… {more:,} more layers", tone="quiet")] if more else [])]


def failure_rows(answer: Mapping[str, Any], width: int) -> list[ShapeRow]:
    """Where and why a batch does not go through, in lines of a width; none where it does."""
    failure = answer.get("failure")
    if not failure:
        return []
    name = safe_text(failure["path"] or failure["type"], limit=80)
    got = shapes(failure["inputs"])
    built = failure["kind"] != "build"
    heading = f"✗ {name}" + (f"  gets {got}" if got else "" if built else " cannot be built")
    lines = [ShapeRow(line, tone="error") for line in _wrapped(heading, width)]
    message = failure["message"]
    if built and failure["path"] and not message.startswith(failure["type"]):
        message = f"{failure['type']}: {message}"
    lines += [ShapeRow(f"  {line}", tone="error") for line in _wrapped(message, width - 2)]
    lines += [ShapeRow(f"  {line}", tone="quiet") for line in _wrapped(failure["source"], width - 2)[:3]]
    return lines


def fix_rows(answer: Mapping[str, Any], width: int) -> list[ShapeRow]:
    """What mends it, in lines of a width: the first takes a key, each is taken with enter."""
    lines: list[ShapeRow] = []
    for number, fix in enumerate(fixes(answer)):
        key = "ctrl+f" if number == 0 else "or"
        lead = 8
        first, *rest = _wrapped(fix.offer, width - lead)
        lines += [ShapeRow("", tone="quiet")] if number == 0 else []
        lines.append(ShapeRow(f"{key:<{lead}}{first}", tone="accent", fix=number))
        lines += [ShapeRow(f"{'':<{lead}}{line}", tone="accent", fix=number) for line in rest]
        lines += [ShapeRow(f"{'':<{lead}}{line}", tone="quiet") for line in _wrapped(fix.why, width - lead)]
    return lines


def totals(answer: Mapping[str, Any]) -> str:
    """What all layers take together: ``421,642 parameters · 1.6 MiB · 297 MFLOP/batch``."""
    found = answer.get("totals")
    if not found:
        return ""
    frozen = found["parameters"] - found["trainable"]
    parts = [
        words.plural(found["parameters"], "parameter"),
        words.size(found["parameter_bytes"]),
        f"{words.mega(found['flops'])} MFLOP/batch",
    ]
    if frozen:
        parts.insert(1, f"{frozen:,} frozen")
    return " · ".join(parts)


def memory(answer: Mapping[str, Any]) -> tuple[str, str]:
    """What a step holds and whether the device has it, with the tone to say it in."""
    if answer.get("state") != "ok":
        return "", ""
    device, said = answer["device"], memory_split.NAME
    name = safe_text(device["name"], limit=40)
    if "memory" not in answer:
        said += " …"
    elif answer["memory"] is None:
        said += " n/a before a run"
    else:
        said += f" about {words.size(answer['memory']['peak'])}"
    if device["problem"]:
        return f"{said} · {safe_text(device['problem'], limit=300)}", "error"
    if device["free"] is None:
        return f"{said} · on {name}", ""
    free = memory_split.free_on(name, device["free"])
    if device["fits"] is False:
        return f"{said} · does not fit: {free}", "error"
    return f"{said} · {free}", ""


def data_line(answer: Mapping[str, Any]) -> tuple[str, str]:
    """What the data is, or why it is not known, with the tone to say it in."""
    data = answer.get("data") or {}
    message = safe_text(data.get("message", ""), limit=400)
    if data.get("state") == "read":
        outputs = data.get("outputs", 0)
        target = words.plural(outputs, "class").replace("classs", "classes")
        told = {"class": target, "binary": "yes or no", "number": words.plural(outputs, "number")}
        parts = zip(("train", "val", "test"), data["samples"], strict=False)
        samples = " · ".join(f"{part} {count:,}" for part, count in parts)
        return f"{samples} · {told.get(data.get('target', ''), '')}", ""
    if data.get("state") == "reading":
        return message, ""
    made_up = " · shapes for a made-up sample" if answer.get("rows") and data.get("state") == "wrong" else ""
    return message + made_up, "warning"


def shape(sizes: Sequence[int]) -> str:
    """``64×1×28×28``."""
    return "×".join(map(str, sizes)) or "a number"


def shapes(all_sizes: Sequence[Sequence[int]]) -> str:
    """Several, joined."""
    return _AND.join(map(shape, all_sizes))


def shortened(joined: str) -> str:
    """The first of `shapes`, and how many more there are: ``64×28×128 +2``."""
    first, *more = joined.split(_AND)
    return f"{first} +{len(more)}" if more else first


def _row(row: Mapping[str, Any]) -> ShapeRow:
    return ShapeRow(
        safe_text(row["path"] or "(model)", limit=120),
        safe_text(row["type"], limit=60),
        shapes(row["inputs"]),
        shapes(row["outputs"]),
        f"{row['parameters']:,}" if row["parameters"] else "shared" if row["shared"] else NONE,
        words.mega(row["flops"]),
    )


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(safe_text(text, limit=800), max(12, width))
