"""A draft from a preset, into a file, into a run that trains. For threads: each may wait for a disk.

What a person can mend comes as UserError with sentences to show. No Textual, no torch.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dlcore import launch
from dlcore import preset as presets
from dlcore.atomic import write_atomic
from dlcore.errors import UserError
from dlcore.preset.overrides import parse_override
from dlcore.preset.sections import NAMED, Suggestion
from dlcore.preset.text import parse, read_text
from dlcore.run_dir import RunDir
from dlcore.text_safety import safe_text
from tui.commands import run_files
from tui.draft import Draft


def load(source: str, changes: Sequence[str] = ()) -> Draft:
    """The draft that a preset is, by the name of a shipped one or by path.

    Args:
        changes: overrides made in the draft, ``section.key=value`` each.

    Raises:
        UserError: there is none, or it is no TOML; what else is wrong with it shows in the form.
    """
    shipped = {path.stem: path for path in (*presets.shipped(), *presets.pitfalls())}
    path = shipped.get(source) or Path(source).expanduser()
    if source not in shipped and not path.suffix:
        path = presets.find(source)  # raises, naming the nearest
    data = parse(read_text(path, safe_text(source, limit=200)), safe_text(source, limit=200)).data
    values = {section: table for section, table in data.items() if isinstance(table, dict)}
    told = _of_run(path)
    base = told.get("base")
    name = told.get("preset")
    draft = Draft(
        values,
        source,
        Path(base) if isinstance(base, str) else path.absolute().parent,
        Path(name).stem if isinstance(name, str) else "",
    )
    for change in changes:
        override = parse_override(change)
        section, key = override.place[:2]
        if section in NAMED and key == "name":
            draft.choose(str(section), str(override.value))
        else:
            draft.set(str(section), str(key), override.value)
    return draft


def _of_run(path: Path) -> dict[str, Any]:
    """What is told of the run whose own preset this is: what it is called, where its relative paths start."""
    told = path.with_name("run.json")
    if path.name == "preset.toml" and told.is_file():
        with contextlib.suppress(OSError, ValueError, RecursionError):
            found = json.loads(told.read_bytes())
            return found if isinstance(found, dict) else {}
    return {}


def suggestions(run: Path) -> tuple[Suggestion, ...]:
    """The changes that a run's preset says are worth a try.

    Raises:
        UserError: the preset cannot be read.
    """
    return run_files.preset_of(RunDir(run), (), builders=False).about.try_


def save(draft: Draft, path: Path) -> None:
    """Writes the draft as a preset, as it is.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        write_atomic(path, draft.toml().encode())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{safe_text(path)} cannot be written: {reason}") from error


def start_changed(run: Path, changes: Sequence[str], runs: Path) -> Path:
    """Starts a run with the preset of another, but for the changes; returns its directory when it trains.

    Raises:
        UserError: what keeps it from starting.
    """
    return start(load(str(run / "preset.toml"), changes), runs, wait_ready=True)


def start(
    draft: Draft, runs: Path, *, wait_ready: bool = False, warn: Callable[[str], None] | None = None
) -> Path:
    """Makes a run of the draft and starts its worker.

    Args:
        wait_ready: come back when it trains, and not before; for drafts that nobody could check.
        warn: told in a sentence when logging out would end the worker.

    Returns:
        The run's directory.

    Raises:
        UserError: what keeps it from starting; no run is left behind.
    """
    run_files.require_writable(runs)
    source = f"{draft.title}.toml" if draft.name or not draft.source else draft.source
    preset = presets.loads(draft.toml(), source, builders=False, base=draft.base)
    run = run_files.create(runs, None, preset)
    try:
        launch.start_detached(run, wait_ready=wait_ready, warn=warn)
    except UserError:
        if not run.is_locked():
            with contextlib.suppress(UserError):
                run.remove()
        raise
    return run.path
