"""A run is a directory, and the directory is the interface: RunDir makes, opens, locks and removes it.

One worker writes a run, under its lock; any number of viewers read. Names are slugs and never trusted.
Folders have mode 0700, files 0600. Listing and finding are in listing.py, what a listing shows in
summary.py, the lock in lock.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcore.atomic import sweep, write_atomic
from dlcore.errors import UserError
from dlcore.json_lines import decode, encode, plain
from dlcore.run_dir.listing import MARKS, list_runs, marks, resolve
from dlcore.run_dir.lock import RunHeld, RunLock, is_locked
from dlcore.run_dir.summary import RunSummary, created, summarise
from dlcore.text_safety import safe_text

__all__ = ["RunDir", "RunHeld", "RunLock", "RunSummary", "data_folder", "list_runs", "runs_folder", "slug"]

_FOLDERS = ("metrics", "checkpoints", "inspections", "samples")
_SLUG_LENGTH = 80
_REMOVED = ".dltui-removed-"


def runs_folder() -> Path:
    """Where runs are kept: DLTUI_RUNS, else ./runs."""
    return Path(os.environ.get("DLTUI_RUNS") or "runs").expanduser()


def data_folder() -> Path:
    """Where downloaded data is kept: DLTUI_DATA, else the user's cache folder."""
    chosen = os.environ.get("DLTUI_DATA")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("dltui", appauthor=False)


def slug(text: str) -> str:
    """A text as a file name: letters, digits, ``.`` and ``_``, dashes for the rest; "" when none is left."""
    flat = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._]+", "-", flat).strip("-._")[:_SLUG_LENGTH].rstrip("-._")


@dataclass(frozen=True)
class RunDir:
    """One run directory; `os.fspath` and `Path` take it for its path.

    Attributes:
        path: the directory.
    """

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """The directory's name; make it safe before showing it."""
        return self.path.name

    @property
    def preset_path(self) -> Path:
        """Exactly what runs, every default spelled out."""
        return self.path / "preset.toml"

    @property
    def run_json_path(self) -> Path:
        """What the run is: name, creation, command line, versions, environment."""
        return self.path / "run.json"

    @property
    def state_path(self) -> Path:
        """How far it is, for listings."""
        return self.path / "state.json"

    @property
    def events_path(self) -> Path:
        """What happened."""
        return self.path / "events.jsonl"

    @property
    def control_path(self) -> Path:
        """What viewers asked for."""
        return self.path / "control.jsonl"

    @property
    def metrics_path(self) -> Path:
        """Folder of the series."""
        return self.path / "metrics"

    @property
    def checkpoints_path(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def inspections_path(self) -> Path:
        """Folder of what the inspector saw."""
        return self.path / "inspections"

    @property
    def samples_path(self) -> Path:
        """Folder of what a person would look at."""
        return self.path / "samples"

    @property
    def log_path(self) -> Path:
        """What the worker and the user's own code print."""
        return self.path / "worker.log"

    @property
    def lock_path(self) -> Path:
        """Locked while a worker lives."""
        return self.path / "worker.lock"

    @classmethod
    def create(cls, runs: Path, name: str | None, preset_name: str, base: Path | None = None) -> RunDir:
        """Makes a new run with its folders, run.json, and a state.json that says "starting".

        Args:
            runs: the runs folder, made when missing.
            name: as the user wishes; slugged. None: the local time and the preset's name.
            preset_name: for the name and for listings.
            base: the preset's folder; relative paths in it mean the same files when the run is resumed.

        Raises:
            UserError: the name is taken or has no letter or digit, or the folder cannot be written.
        """
        now = time.time()
        if name is not None and not slug(name):
            raise UserError(f"run name '{safe_text(name, limit=60)}' needs letters a-z or digits")
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
        wanted = f"{stamp}-{slug(Path(preset_name).stem) or 'run'}" if name is None else slug(name)
        try:
            runs.mkdir(parents=True, exist_ok=True)
            run = cls(_claim(runs, wanted, numbered=name is None))
        except OSError as error:
            raise _unwritable(runs, error) from error
        try:
            run.write_state({"status": "starting", "preset": preset_name, "created": now})
            about = {
                "name": run.name,
                "created": now,
                "preset": preset_name,
                "command": sys.argv,
                "cwd": str(Path.cwd()),
                "base": str(base.absolute()) if base is not None else None,
            }
            run.write_json_atomic("run.json", about)
            for folder in _FOLDERS:
                (run.path / folder).mkdir(mode=0o700)
        except OSError as error:
            shutil.rmtree(run.path, ignore_errors=True)
            raise _unwritable(runs, error) from error
        return run

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunDir:
        """An existing run.

        Raises:
            UserError: there is nothing, or it is not a run directory.
        """
        folder = Path(path)
        if not marks(folder):
            missing = not os.path.lexists(folder)
            problem = (
                "does not exist" if missing else f"is not a run directory: it has none of {', '.join(MARKS)}"
            )
            raise UserError(f"{safe_text(folder)} {problem}")
        return cls(folder)

    @classmethod
    def find(cls, runs: Path, ref: str | None) -> RunDir:
        """The run a user means: a name, the start of one, a path, or None for the newest.

        Raises:
            UserError: there is none, naming the nearest; or several, naming them.
        """
        return cls(resolve(runs, ref))

    def lock(self) -> RunLock:
        """Takes the run for this process until release or death, and clears what killed writers left.

        Raises:
            RunHeld: another process has it.
            UserError: it cannot be locked here.
        """
        lock = RunLock(self.lock_path)
        sweep(self.path)
        return lock

    def is_locked(self) -> bool:
        """Whether a process holds the run now."""
        return is_locked(self.lock_path)

    def summary(self) -> RunSummary:
        """Its line in a listing; never raises, whatever is in the files."""
        found = summarise(str(self.path), self.name)
        return found if found is not None else RunSummary(safe_text(self.name), self.path, damaged=True)

    def write_json_atomic(self, name: str, values: object, *, durable: bool = True) -> None:
        """Replaces a JSON file of the run as a whole.

        Args:
            name: relative to the run, such as ``run.json`` or ``inspections/step-00001200.json``.
            values: JSON-able; non-finite numbers become null.
            durable: survive a power cut, see `write_atomic`.

        Raises:
            OSError: the old file is still there.
        """
        assert ".." not in Path(name).parts and not Path(name).is_absolute(), name
        text = json.dumps(plain(values), indent=2, allow_nan=False) if durable else encode(values)
        write_atomic(self.path / name, text.encode() + b"\n", durable=durable)

    def update_json(self, name: str, changes: Mapping[str, Any]) -> None:
        """Sets some keys of a JSON file of the run and keeps the others; an unreadable file starts anew.

        For one writer at a time.

        Raises:
            OSError: the old file is still there.
        """
        file = self.path / name
        known = (decode(file.read_bytes()) or {}) if file.is_file() else {}
        self.write_json_atomic(name, {**known, **changes})

    def write_state(self, values: Mapping[str, Any]) -> None:
        """Replaces state.json, cheaply enough for every second (0.1 ms). Keeps ``created`` for listings.

        The worker writes its last state before it releases the lock: readers rely on that.

        Raises:
            OSError: the old state is still there.
        """
        state = dict(values)
        if "created" not in state:
            state["created"] = created(str(self.path), self.name)
        self.write_json_atomic("state.json", state, durable=False)

    def remove(self) -> None:
        """Deletes the run with everything in it. It leaves the listing in one step, then the disk.

        Raises:
            RunHeld: a process holds it.
            UserError: a link, not a run directory, or it cannot be removed.
        """
        shown = safe_text(self.path)
        if self.path.is_symlink():
            raise UserError(f"{shown} is a link; remove the link, or what it points to, yourself")
        if marks(self.path) < 2:
            raise UserError(f"{shown} does not look like a run directory, so it is not removed")
        grave = self.path.with_name(f"{_REMOVED}{os.getpid()}-{os.urandom(4).hex()}")
        with RunLock(self.lock_path):
            try:
                self.path.rename(grave)
            except OSError as error:
                raise UserError(f"cannot remove {shown}: {error.strerror}") from error
            shutil.rmtree(grave, ignore_errors=True)  # follows no links
        if grave.exists():
            raise UserError(f"{shown} could not be deleted wholly; the rest is in {safe_text(grave)}")
        for earlier in self.path.parent.glob(f"{_REMOVED}*"):  # of a removal that was killed half-way
            shutil.rmtree(earlier, ignore_errors=True)


def _claim(runs: Path, name: str, *, numbered: bool) -> Path:
    """Takes a name by making its folder, which only one of several processes can."""
    for number in range(1, 10_000):
        path = runs / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(mode=0o700)
            return path
        except FileExistsError:
            if not numbered:
                break
    raise UserError(
        f"there is a run {name} already; choose another --name, or go on with it: dltui resume {name}"
    )


def _unwritable(runs: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write in {safe_text(runs)}: {error.strerror}; "
        "choose another runs folder with --runs or DLTUI_RUNS"
    )
