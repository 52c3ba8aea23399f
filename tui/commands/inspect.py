"""`dltui inspect`: every shape of a forward pass as a table, or as far as it gets, with what would mend it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlcore.text_safety import safe_text
from tui import memory_split, words
from tui.commands import layout
from tui.commands.common import BAD_INPUT, paint, print_json
from tui.commands.layout import Give

INDENT = "  "
PATH = 28  # columns of a layer, where there are too few
LONGEST_DIFF = 20_000  # characters
DIFF_COLOURS = {"+": ("green",), "-": ("red",), " ": ()}


def inspect(
    name: str,
    inputs: Sequence[str],
    arguments: Sequence[str],
    sets: Sequence[str],
    *,
    device: str,
    evaluation: bool,
    operations: bool,
    as_json: bool,
) -> int:
    """Traces a network and prints what was found.

    Returns:
        0, or 2 when a batch does not go through.

    Raises:
        UserError: there is nothing to trace.
    """
    from dlcore import inspecting

    facts = inspecting.inspect(
        name,
        inputs,
        arguments,
        sets,
        training=not evaluation,
        device=device,
        operations=operations,
    )
    if as_json:
        print_json(facts)
    else:
        print("\n".join(page(facts, operations=operations)))
    return BAD_INPUT if facts["failure"] else 0


def page(facts: Mapping[str, Any], *, operations: bool = False) -> list[str]:
    """The human form of what `dlcore.inspecting.inspect` finds."""
    parts = [[paint(safe_text(facts["name"]), "bold")]]
    if facts["rows"] or facts["failure"]:
        parts.append(_operations(facts) if operations else _layers(facts))
    if facts["failure"]:
        parts += [_failure(facts["failure"]), *(_fix(fix) for fix in facts["fixes"])]
    elif facts["rows"]:
        parts.append(_totals(facts))
    parts.append(_remarks(facts))
    lines: list[str] = []
    for part in parts:
        lines += ["", *part] if lines and part else part
    return lines


def _layers(facts: Mapping[str, Any]) -> list[str]:
    sizes = facts.get("batch", {}).get("rows", [])
    receptive = any(row["receptive"] for row in facts["rows"])
    header = (f"{INDENT}layer", "type", "input", "output", "parameters", "MFLOP", "kept", "sees", "line")
    rows: list[tuple[str, ...]] = [header]
    for number, row in enumerate(facts["rows"]):
        told = sizes[number] if number < len(sizes) else None
        rows.append(
            (
                f"{INDENT}{_path(row['path'])}",
                safe_text(row["type"], limit=40) + (" (again)" if row["reused"] else ""),
                _shapes(row["inputs"], told and told["inputs"]),
                _shapes(row["outputs"], told and told["outputs"]),
                _parameters(row),
                words.mega(row["flops"]),
                words.size(row["activation_bytes"]) if row["activation_bytes"] else words.UNKNOWN,
                "×".join(map(str, row["receptive"])) or words.UNKNOWN,
                _place(row["source"]),
            )
        )
    failure = facts["failure"]
    if failure and failure["kind"] != "build":
        line = failure["source"][-1] if failure["source"] else None
        cells = (_path(failure["path"]), safe_text(failure["type"], limit=40), _shapes(failure["inputs"]))
        rows.append((f"✗ {cells[0]}", *cells[1:], *[""] * 5, _place(line)))
    if not receptive:
        rows = [(*row[:7], row[8]) for row in rows]
    gives = (
        Give(3, layout.first_of(", ")), Give(2, layout.first_of(", ")), Give(0, layout.end_of(PATH)),
        Give(2), Give(6), Give(1), Give(7),
    )  # fmt: skip
    top, *lines = layout.table(rows, "<<<<>>>" + ("<<" if receptive else "<"), gives)
    if failure and failure["kind"] != "build":
        lines[-1] = paint(lines[-1], "red")
    return [paint(top, "dim"), *lines] if facts["rows"] or lines else []


def _operations(facts: Mapping[str, Any]) -> list[str]:
    rows = [(f"{INDENT}layer", "operation", "inputs", "output", "MFLOP", "line")]
    for row in facts["operations"]:
        place = _place(row["source"])
        code = words.fit(safe_text(row["source"]["code"]), 60) if row["source"] else ""
        cells = (_path(row["path"]), safe_text(row["name"], limit=40))
        shapes = (_shapes(row["inputs"]), _shapes(row["outputs"]))
        rows.append(
            (f"{INDENT}{cells[0]}", cells[1], *shapes, words.mega(row["flops"]), f"{place} {code}".strip())
        )
    failure = facts["failure"]
    if failure and failure["operation"]:
        line = _place(failure["source"][-1]) if failure["source"] else ""
        operands = _shapes(failure["operands"])
        rows.append((f"✗ {_path(failure['path'])}", safe_text(failure["operation"]), operands, "", "", line))
    top, *lines = words.columns(rows, "<<<<><")
    if failure and failure["operation"]:
        lines[-1] = paint(lines[-1], "red")
    return [paint(top, "dim"), *lines]


def _totals(facts: Mapping[str, Any]) -> list[str]:
    frozen = facts["parameters"] - facts["trainable_parameters"]
    samples = words.plural(facts["batch"]["size"], "sample")
    parameters = f"{facts['parameters']:,} ({words.size(facts['parameter_bytes'])})"
    pairs = [
        ("parameters", parameters + (f", {frozen:,} of them frozen" if frozen else "")),
        ("compute", f"{words.mega(facts['flops'])} MFLOP forward, for {samples}"),
        (memory_split.NAME, memory_split.expected(facts["memory"], optimizer=safe_text(facts["optimizer"]))),
        ("batch", _batch(facts)),
    ]
    return layout.facts([(f"{INDENT}{name}", value) for name, value in pairs])


def _batch(facts: Mapping[str, Any]) -> str:
    look = facts["batch"]
    outputs = ", ".join(map(safe_text, look["outputs"]))
    several = len(look["outputs"]) > 1
    if look["problem"]:
        return "see below"
    if not outputs:
        return f"B = {look['size']}; there is no output"
    if look["keeps"]:
        verb = "outputs keep it:" if several else "output keeps it:"
        return f"B = {look['size']}; the {verb} {outputs}"
    verb = "not all outputs keep it" if several else "the output does not keep it"
    return f"B = {look['size']}; {verb} as a dimension: {outputs}"


def _remarks(facts: Mapping[str, Any]) -> list[str]:
    """What a person should know and would not see in the table."""
    said = []
    for names in facts.get("tied", ()):
        said.append(f"tied: {' = '.join(safe_text(name) for name in names)} are one and the same tensor")
    unused = facts.get("unused", ())
    if unused:
        shown = ", ".join(safe_text(name) for name in unused[:6]) + (" …" if len(unused) > 6 else "")
        said.append(f"never used: {shown}")
    for note in facts["notes"]:
        place = _place(note["source"])
        said.append(safe_text(note["message"]) + (f" ({place})" if place else ""))
    problem = facts.get("batch", {}).get("problem")
    if problem and not facts["failure"]:
        place = _place(facts["batch"]["source"])
        said.append(safe_text(problem) + (f" ({place})" if place else ""))
    if facts.get("mode") == "real":
        said.append("the forward pass reads numbers out of tensors, so it was run on real ones")
    return [f"{paint('!', 'yellow')} {line}" for line in said]


def _failure(failure: Mapping[str, Any]) -> list[str]:
    where = safe_text(failure["path"]) or "the model's own code"
    kind = f" ({safe_text(failure['type'])})" if failure["path"] else ""
    where = "the model cannot be built" if failure["kind"] == "build" else where + kind
    lines = [f"{paint('✗', 'red')} {paint(where, 'bold')}: {safe_text(failure['message'])}"]
    for line in failure["source"][-2:]:
        lines += _code(line)
    operands = failure["operands"] if failure["operation"] else failure["inputs"]
    if operands:
        name = safe_text(failure["operation"] or failure["type"])
        lines.append(f"{INDENT}{name} got {_marked(operands, failure['marks'])}")
    return lines


def _code(line: Mapping[str, Any]) -> list[str]:
    """A line of source, with what failed underlined."""
    place = f"{INDENT}{_place(line)}  "
    lines = [place + safe_text(line["code"])]
    if 0 <= line["begin"] < line["end"]:
        under = " " * (words.cells(place) + line["begin"]) + "^" * (line["end"] - line["begin"])
        lines.append(paint(under, "red"))
    return lines


def _marked(tensors: Sequence[Mapping[str, Any]], marks: Sequence[Sequence[int]]) -> str:
    """Shapes with the dimensions that do not go together in brackets: ``8×[3136] and 128×[4096]``."""
    texts = []
    for number, tensor in enumerate(tensors):
        sizes = [
            paint(f"[{size}]", "red") if [number, axis] in [list(mark) for mark in marks] else str(size)
            for axis, size in enumerate(tensor["shape"])
        ]
        texts.append("×".join(sizes) or "a number")
    differ = len({tensor["dtype"] for tensor in tensors}) > 1
    return " and ".join(
        f"{text} {tensor['dtype']}" if differ else text for text, tensor in zip(texts, tensors, strict=True)
    )


def _fix(fix: Mapping[str, Any]) -> list[str]:
    tried = f"  (tried: a batch goes through{', ' + safe_text(fix['why']) if fix['why'] else ''})"
    lines = [f"{paint('fix', 'green')} {safe_text(fix['say'])}{paint(tried, 'dim')}"]
    for section, values in fix["set"].items():
        for key, value in values.items():
            option = (
                f"--arg {safe_text(key)}"
                if section == "arg"
                else f"--set {safe_text(section)}.{safe_text(key)}"
            )
            lines.append(f"{INDENT}{option}={_toml(value)}")
    for line in safe_text(fix["diff"], limit=LONGEST_DIFF, newlines=True).splitlines():
        lines.append(paint(line, *DIFF_COLOURS.get(line[:3].strip("+-") and line[:1], ("dim",))))
    return lines


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return safe_text(value if isinstance(value, str) else repr(value)).replace(" ", "")


def _path(path: str) -> str:
    return safe_text(path, limit=60) or "(model)"


def _place(source: Mapping[str, Any] | None) -> str:
    return f"{safe_text(Path(source['file']).name, limit=40)}:{source['line']}" if source else ""


def _shapes(tensors: Sequence[Mapping[str, Any]], told: Sequence[str] | None = None) -> str:
    """Shapes, with B for the batch where that is known; dtypes where they are no plain floats."""
    texts = told or ["×".join(map(str, tensor["shape"])) or "()" for tensor in tensors]
    plain = ("float32", "bfloat16", "float16")
    named = [
        safe_text(text) if tensor["dtype"] in plain else f"{safe_text(text)} {tensor['dtype']}"
        for text, tensor in zip(texts, tensors, strict=False)
    ]
    return ", ".join(named[:4]) + (f" and {len(named) - 4} more" if len(named) > 4 else "") or words.UNKNOWN


def _parameters(row: Mapping[str, Any]) -> str:
    if row["parameters"]:
        return f"{row['parameters']:,}"
    return "shared" if row["shared"] else words.UNKNOWN
