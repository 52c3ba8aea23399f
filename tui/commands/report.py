"""`dltui report`: one HTML page about a run, or a comparison of several."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from dlcore.text_safety import safe_text
from tui import words
from tui.commands import own_code
from tui.commands.common import paint, runs_in


def report(names: Sequence[str], runs: Path | None, *, out: Path | None, evaluated: bool) -> None:
    """Writes the page and says where.

    Raises:
        UserError: no such run, or the page cannot be written.
    """
    folder = runs_in(runs)
    wanted: list[str | None] = [*names] or [None]
    found_runs = (RunDir.find(folder, name) for name in wanted)
    chosen = list({run.path.resolve(): run for run in found_runs}.values())
    from dlcore.deploy import report as pages

    with own_code.running():
        found, notes = pages.evaluate_runs(chosen) if evaluated else ({}, [])
    for note in notes:
        print(f"{paint('!', 'yellow', stream=sys.stderr)} {safe_text(note)}", file=sys.stderr)
    path = out or Path(f"{chosen[0].name}.html" if len(chosen) == 1 else "report.html")
    text = pages.report(chosen, found)
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UserError(f"{safe_text(path)} cannot be written: {error.strerror}") from error
    print(f"{safe_text(path)}  {words.size(len(text.encode()))}")
