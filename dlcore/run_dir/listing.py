"""The runs in a folder: all of them for a listing, or the one that a user means.

A name finds nothing outside its runs folder, and one broken run never hides the others.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from dlcore.errors import UserError
from dlcore.run_dir.summary import RunSummary, summarise
from dlcore.text_safety import safe_text

MARKS = ("run.json", "state.json", "preset.toml", "events.jsonl")
_SHOWN = 5


def list_runs(runs: Path) -> list[RunSummary]:
    """All runs of a folder, newest first; none when it is missing. 20 µs a run.

    A damaged run is listed as far as it can be read.
    """
    summaries = (summarise(f"{runs}/{name}", name) for name in _folders(runs))
    found = [summary for summary in summaries if summary is not None]
    return sorted(found, key=lambda summary: (summary.created, summary.name), reverse=True)


def marks(folder: Path) -> int:
    """How many of the files that make a folder a run it has."""
    try:
        return sum((folder / mark).is_file() for mark in MARKS)
    except (OSError, ValueError):  # a name too long, or with a zero byte
        return 0


def resolve(runs: Path, reference: str | None) -> Path:
    """The directory of the run a user means.

    Args:
        runs: the runs folder.
        reference: a name, the start of a name if only one run has it, or a path. None: the newest run.

    Raises:
        UserError: there is none, naming the nearest; or several, naming them.
    """
    if reference is None:
        newest = list_runs(runs)
        if not newest:
            raise UserError(f"there are no runs in {safe_text(runs)}; start one: dltui run digits-cnn")
        return newest[0].path
    names: list[str] = []
    if "/" not in reference and reference not in ("", ".", ".."):
        if marks(runs / reference):
            return runs / reference
        names = [name for name in _folders(runs) if marks(runs / name)]
        matching = [name for name in names if name.startswith(reference)]
        if len(matching) == 1:
            return runs / matching[0]
        if matching:
            raise _ambiguous(reference, matching)
    if reference and marks(Path(reference)):
        return Path(reference)
    raise _unknown(runs, reference, names)


def _ambiguous(reference: str, names: list[str]) -> UserError:
    some = ", ".join(safe_text(name, limit=100) for name in sorted(names, reverse=True)[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    what = safe_text(reference, limit=100)
    return UserError(f"'{what}' starts the names of {len(names)} runs: {some}{more}; type more of it")


def _unknown(runs: Path, reference: str, names: list[str]) -> UserError:
    what = safe_text(reference, limit=100)
    if not names and reference and os.path.lexists(reference.replace("\0", "")):
        return UserError(f"{what} is not a run directory: it has none of {', '.join(MARKS)}")
    near = get_close_matches(reference[:200], names, 3, 0.5)
    hint = f"; nearest: {', '.join(safe_text(name, limit=100) for name in near)}" if near else ""
    return UserError(f"there is no run '{what}' in {safe_text(runs)}{hint}")


def _folders(runs: Path) -> list[str]:
    try:
        with os.scandir(runs) as entries:
            return [entry.name for entry in entries if entry.name[0] != "." and _is_folder(entry)]
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that points to itself
        return False
