"""`dltui check`: what a run would be, as a table of layers with its totals; nothing is trained or written."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from dlcore import preset as presets
from dlcore.text_safety import safe_text
from tui import memory_split, words
from tui.commands import layout, own_code
from tui.commands.common import BAD_INPUT, paint, print_json
from tui.commands.layout import Give

INDENT = "  "
PATH = 28  # columns of a layer, where there are too few
SHOWN = 10  # tensors that were not loaded


def check(source: str, sets: Sequence[str], *, as_json: bool) -> int:
    """Checks a preset and prints what was found.

    Returns:
        0, or 2 when a batch does not go through the model.

    Raises:
        UserError: everything that is wrong with the preset.
    """
    presets.load(source, sets, builders=False)  # what is wrong in the text is said before torch is loaded
    from dlcore import checking

    with own_code.running():
        facts = checking.check(presets.load(source, sets, builders=True))
    if as_json:
        print_json(facts)
    else:
        print("\n".join(page(facts)))
    failure = facts["failure"]
    if failure is None:
        return 0
    for line in _failure(failure):
        print(line, file=sys.stderr)
    return BAD_INPUT


def page(facts: Mapping[str, Any]) -> list[str]:
    """The human form of what `dlcore.checking.check` finds."""
    parts = [_heading(facts), _layers(facts), _totals(facts), _weights(facts["weights"])]
    parts.append([f"{paint('!', 'yellow')} {safe_text(note)}" for note in facts["notes"]])
    lines: list[str] = []
    for part in parts:
        lines += ["", *part] if lines and part else part
    return lines


def _heading(facts: Mapping[str, Any]) -> list[str]:
    data = facts["data"]
    target = f"{data['num_outputs']} classes" if data["target"] == "class" else f"{data['target']} target"
    samples = " + ".join(f"{data[part]:,}" for part in ("train", "val", "test") if data[part])
    pairs = [
        ("data", f"{safe_text(data['name'])}: {data['input']} {_shape(data['input_shape'])}, {target}"),
        ("samples", samples),
        ("task", safe_text(facts["task"])),
        ("device", f"{facts['device']}, {facts['precision']}"),
        (
            "training",
            f"{words.plural(facts['epochs'], 'epoch')} of {words.plural(facts['steps_per_epoch'], 'step')}",
        ),
    ]
    title = paint(f"{safe_text(facts['model'])} on {safe_text(data['name'])}", "bold")
    return [title, "", *layout.facts([(f"{INDENT}{name}", value) for name, value in pairs])]


def _layers(facts: Mapping[str, Any]) -> list[str]:
    rows = [(f"{INDENT}layer", "type", "output", "parameters", "MFLOP")]
    for row in facts["layers"]:
        outputs = " and ".join(_shape(tensor["shape"]) for tensor in row["outputs"])
        parameters = (
            f"{row['parameters']:,}" if row["parameters"] else "shared" if row["shared"] else words.UNKNOWN
        )
        rows.append(
            (
                f"{INDENT}{safe_text(row['path'], limit=60) or '(model)'}",
                safe_text(row["type"], limit=40),
                outputs,
                parameters,
                words.mega(row["flops"]),
            )
        )
    gives = (Give(2, layout.first_of(" and ")), Give(0, layout.end_of(PATH)), Give(1))
    header, *lines = layout.table(rows, "<<<>>", gives)
    return [paint(header, "dim"), *lines]


def _totals(facts: Mapping[str, Any]) -> list[str]:
    frozen = facts["parameters"] - facts["trainable_parameters"]
    parameters = f"{facts['parameters']:,}" + (f", {frozen:,} of them frozen" if frozen else "")
    pairs = [
        ("parameters", parameters),
        ("compute", f"{words.mega(facts['flops'])} MFLOP a batch of {facts['batch_size']}, forward"),
    ]
    if facts["failure"] is None:
        device = safe_text(facts["device"], limit=40)
        pairs.append((memory_split.NAME, memory_split.expected(facts["memory"], device)))
    if facts["loss"] is not None:
        pairs.append(("loss", f"{words.metric(facts['loss'])} on the first batch, before training"))
    return layout.facts([(f"{INDENT}{name}", value) for name, value in pairs])


def _weights(weights: Mapping[str, Any] | None) -> list[str]:
    """What the model starts from, and why the rest of either side was left alone."""
    if weights is None:
        return []
    lines = [f"{INDENT}weights  {safe_text(weights['sentence'])}"]
    for kind in ("new", "unused"):
        rows = [(f"{INDENT}  {kind}", safe_text(n, limit=60), why) for n, why in weights[kind].items()]
        lines += words.columns(rows[:SHOWN], "<<<")
        if len(rows) > SHOWN:
            lines.append(f"{INDENT}  {kind}  and {len(rows) - SHOWN:,} more")
    return lines


def _failure(failure: Mapping[str, Any]) -> list[str]:
    where = safe_text(failure["path"] or "the model")
    lines = [f"{paint('✗', 'red', stream=sys.stderr)} {where}: {safe_text(failure['message'])}"]
    if failure["source"]:
        line = failure["source"][-1]
        lines.append(f"{INDENT}{safe_text(line['file'])}:{line['line']}: {safe_text(line['code'])}")
    return lines


def _shape(sizes: Sequence[int]) -> str:
    return "×".join(map(str, sizes)) or "a number"
