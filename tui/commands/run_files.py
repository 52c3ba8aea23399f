"""The files that `dltui run` and `dltui resume` put into a run directory before anything trains."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlcore import kept_code
from dlcore import preset as presets
from dlcore.atomic import write_atomic
from dlcore.errors import UserError
from dlcore.json_lines import decode
from dlcore.preset import Preset
from dlcore.preset.text import read_text
from dlcore.run_dir import RunDir, slug
from dlcore.text_safety import safe_text


def create(folder: Path, name: str | None, preset: Preset) -> RunDir:
    """Makes a run that is ready to train: its preset, and where its relative paths start.

    Raises:
        UserError: the name is taken, or the folder cannot be written.
    """
    new = RunDir.create(folder.absolute(), name, Path(preset.source).stem, preset.base)
    write_atomic(new.preset_path, presets.dump(preset).encode())
    return new


def _about(run: RunDir) -> dict[str, Any]:
    """run.json, or nothing where it is damaged."""
    try:
        return (decode(run.run_json_path.read_bytes()) or {}) if run.run_json_path.is_file() else {}
    except OSError:
        return {}


def preset_of(run: RunDir, sets: Sequence[str], *, builders: bool) -> Preset:
    """A run's own preset with overrides."""
    base = _about(run).get("base")
    label = safe_text(f"{run.name}/{run.preset_path.name}")
    text = read_text(run.preset_path, label)
    with kept_code.using(run) if builders else contextlib.nullcontext():
        return presets.loads(
            text, label, sets, builders=builders, base=Path(base) if isinstance(base, str) else None
        )


def rewrite(run: RunDir, sets: Sequence[str]) -> None:
    """Puts overrides into the run's own preset, once known to be right and while nobody trains it."""
    cwd = _about(run).get("cwd")
    with run.lock(), contextlib.chdir(cwd if isinstance(cwd, str) and Path(cwd).is_dir() else "."):
        write_atomic(run.preset_path, presets.dump(preset_of(run, sets, builders=True)).encode())


def require_writable(folder: Path) -> None:
    """Refuses a runs folder that cannot be used before anything slow is done; it is made later.

    Raises:
        UserError: naming the folder that is in the way.
    """
    upwards = [folder.absolute(), *folder.absolute().parents]
    nearest = next(parent for parent in upwards if os.path.exists(parent))  # noqa: PTH110 - never raises
    try:
        Path(tempfile.mkdtemp(prefix=".dltui-", dir=nearest)).rmdir()  # permissions tell little, root nothing
    except OSError as error:
        reason = f"cannot be written ({error.strerror})" if nearest.is_dir() else "is no folder"
        raise UserError(
            f"{safe_text(nearest)} {reason}: choose another runs folder with --runs or DLTUI_RUNS"
        ) from error


def require_free(folder: Path, name: str | None) -> None:
    """Refuses a name that is taken before anything slow is done.

    Raises:
        RunHeld: and another process trains that run.
        UserError: and nobody does.
    """
    taken = folder / slug(name or "")
    if not name or taken == folder or not taken.is_dir():
        return
    run = RunDir(taken)
    if run.is_locked():
        run.lock().release()  # raises, naming the holder
    raise UserError(
        f"there is a run {run.name} already; choose another --name, or go on with it: dltui resume {run.name}"
    )
