"""`dltui evaluate`: how good a run's network is, on a part of its data or on other data."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlcore.run_dir import RunDir
from dlcore.text_safety import safe_text
from tui import sentences, words
from tui.commands import own_code
from tui.commands.common import paint, print_json, runs_in
from tui.commands.sections import INDENT, lines_of


def evaluate(
    name: str | None,
    runs: Path | None,
    *,
    split: str,
    data: str | None,
    checkpoint: str,
    as_json: bool,
) -> None:
    """Measures and prints.

    Raises:
        UserError: no such run, checkpoint or part, or the data cannot be had.
    """
    run = RunDir.find(runs_in(runs), name)
    from dlcore import trained
    from dlcore.deploy.evaluate import evaluate as measure

    with own_code.running():
        result = measure(trained.load(run, checkpoint), split=split, other=data)
    if as_json:
        print_json(result)
        return
    for note in result["notes"]:
        print(f"{paint('!', 'yellow', stream=sys.stderr)} {safe_text(note)}", file=sys.stderr)
    print("\n".join([_heading(result), "", *_metrics(result["metrics"]), *lines_of(result["report"])]))


def _heading(result: Mapping[str, Any]) -> str:
    checkpoint = result["checkpoint"]
    which = f"epoch {checkpoint['epoch']}" + (", the best" if checkpoint["best"] else "")
    part = f"{result['split']} part of " if result["split"] else ""
    samples = words.plural(result["samples"], "sample")
    return f"{paint(safe_text(result['run']), 'bold')}  {which}  on {samples} of the {part}{safe_text(result['data'])}"


def _metrics(metrics: Mapping[str, float]) -> list[str]:
    ordered = [name.partition("/")[2] for name in sentences.in_order(f"test/{name}" for name in metrics)]
    rows = [(name, words.metric(metrics[name])) for name in ordered]
    return [INDENT + line for line in words.columns(rows, "<>")]
