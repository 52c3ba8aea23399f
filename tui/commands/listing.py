"""`dltui ls` and `dltui rm`: the runs of a folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dlcore.errors import UserError
from dlcore.run_dir import RunDir, RunSummary, list_runs
from dlcore.text_safety import safe_text
from tui import words
from tui.commands.common import exit_code, paint, print_json, report, runs_in

_HEADER = ("  status", "name", "preset", "epoch", "best", "age")


def ls(runs: Path | None, *, as_json: bool) -> None:
    """Prints the runs, newest first."""
    folder = runs_in(runs)
    found = list_runs(folder)
    if as_json:
        from tui.facts import of_summary

        print_json([of_summary(summary) for summary in found])
        return
    if not found:
        print(f"no runs in {safe_text(folder)} yet; start one: dltui run digits-cnn")
        return
    now = time.time()
    header, *lines = words.columns([_HEADER, *(_row(summary, now) for summary in found)], "<<<><>")
    print(paint(header, "dim"))
    for line, summary in zip(lines, found, strict=True):
        print(paint(line[0], words.STATUS_COLOURS.get(summary.status, "bold")) + line[1:])


def rm(names: Sequence[str], runs: Path | None, *, yes: bool) -> int:
    """Deletes runs; on a terminal it asks first.

    All names are looked up before the first run goes, so that a misspelt one deletes nothing.

    Returns:
        0, or the code of the first run that could not be deleted; the others are.
    """
    folder = runs_in(runs)
    chosen = list({run.path.resolve(): run for run in (_find(folder, name) for name in names)}.values())
    if not yes and sys.stdin.isatty() and sys.stdout.isatty() and not _agreed(chosen):
        print("nothing was deleted")
        return 0
    code = 0
    for run in chosen:
        try:
            run.remove()
            print(f"deleted {safe_text(run.name)}")
        except UserError as error:
            report(error)
            code = code or exit_code(error)
    return code


def _find(folder: Path, name: str) -> RunDir:
    return RunDir.find(folder, name)


def _agreed(chosen: Sequence[RunDir]) -> bool:
    for run in chosen:
        print(f"  {safe_text(run.name)}")
    answer = input(f"Delete {words.plural(len(chosen), 'run')} with all checkpoints? [y/N] ")
    return answer.strip().lower() in ("y", "yes")


def _row(summary: RunSummary, now: float) -> tuple[str, ...]:
    best = summary.best
    value = "" if best is None else f"{best['metric']} {words.metric(best['value'])}".strip()
    return (
        words.status(summary.status),
        summary.name,
        words.fit(summary.preset, 32),
        words.progress(summary.epoch, summary.epochs or None),
        words.fit(value, 32),
        words.age(now - (summary.updated or summary.created)),
    )
