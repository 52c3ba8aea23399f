"""The user's own code, kept in the run that was trained with it.

A run says in run.json which files of the user's it was made from, with their hashes, and holds a copy of
each under ``code/``: resume, predict and export use what was trained, whatever has become of the originals.
Kept are the files that the preset names and the modules beside them that they import.
"""

from __future__ import annotations

import hashlib
import stat
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dlcore.atomic import write_atomic
from dlcore.errors import UserError
from dlcore.json_lines import decode
from dlcore.preset.sections import NAMED, Preset
from dlcore.run_dir import RunDir
from dlcore.text_safety import safe_text
from dlcore.user_code import file_of, find_file, is_user_name, standing_in

FOLDER = "code"
MOST_BYTES = 4_000_000
"""Of all copies together; a folder of code is smaller, and a data file that ends in .py is not copied."""

_FOREIGN = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class KeptFile:
    """One file of the user's.

    Attributes:
        name: as the preset names it, or "" for a module that such a file imports.
        path: where it was.
        copy: where it is now, relative to the run.
        sha256: of its bytes.
    """

    name: str
    path: str
    copy: str
    sha256: str


def keep(run: RunDir, preset: Preset) -> list[KeptFile]:
    """Copy the user's files that a preset names, and their neighbours as far as they are imported by now.

    Raises:
        UserError: a file cannot be read or copied, or they are too large together.
    """
    files: list[KeptFile] = []
    names = [getattr(preset, section).name for section in NAMED]
    found = {name: find_file(name, preset.base) for name in map(file_of, filter(is_user_name, names))}
    total = 0
    for number, folder in enumerate(dict.fromkeys(path.parent for path in found.values())):
        named = {path: name for name, path in found.items() if path.parent == folder}
        for path in [*named, *(each for each in _imported_below(folder) if each not in named)]:
            try:
                text = path.read_bytes()
            except OSError as error:
                raise UserError(f"{safe_text(path)} cannot be kept: {error.strerror}") from error
            total += len(text)
            if total > MOST_BYTES:
                raise UserError(
                    f"the code in {safe_text(folder)} has more than {MOST_BYTES // 10**6} MB, too much to be kept"
                )
            copy = PurePosixPath(FOLDER, str(number), *path.relative_to(folder).parts)
            _write(run, copy, text)
            digest = hashlib.sha256(text).hexdigest()
            files.append(KeptFile(named.get(path, ""), str(path), str(copy), digest))
    run.update_json("run.json", {"code": [asdict(file) for file in files]})
    return files


def kept_files(run: RunDir) -> list[KeptFile] | None:
    """What a run holds of the user's code; None for a run that was made before code was kept, or is damaged.

    Raises:
        UserError: a copy is missing or is not what was trained.
    """
    entries = _about(run).get("code")
    if not isinstance(entries, list):
        return None
    files = []
    for entry in entries:
        try:
            file = KeptFile(**entry)
            place = PurePosixPath(file.copy)
            if place.parts[0] != FOLDER or ".." in place.parts:
                raise FileNotFoundError(place)
            text = _read_plain(run.path / place)
        except (TypeError, IndexError, OSError):
            raise UserError(
                f"the code of run {safe_text(run.name)} is not whole: a copy under {FOLDER}/ is missing"
            ) from None
        if hashlib.sha256(text).hexdigest() != file.sha256:
            raise UserError(
                f"{safe_text(file.copy)} of run {safe_text(run.name)} is not the code that was trained: "
                "it was changed inside the run"
            )
        files.append(file)
    return files


@contextmanager
def using(run: RunDir) -> Iterator[None]:
    """Inside, a preset's ``net.py:Net`` means the copy that the run keeps, if it keeps one.

    Raises:
        UserError: a copy is missing or is not what was trained.
    """
    files = kept_files(run) or []
    with standing_in({file.name: run.path.absolute() / file.copy for file in files if file.name}):
        yield


def changes(run: RunDir) -> list[str]:
    """A sentence for each of the user's files that is no longer what was trained.

    Raises:
        UserError: a copy is missing or is not what was trained.
    """
    return [
        f"{safe_text(file.path)} {became} since this run began; used is what was trained ({file.copy})"
        for file in kept_files(run) or []
        if (became := _became(file))
    ]


def _became(file: KeptFile) -> str:
    try:
        text = Path(file.path).read_bytes()
    except OSError:
        return "has gone"
    return "" if hashlib.sha256(text).hexdigest() == file.sha256 else "has changed"


def _imported_below(folder: Path) -> Iterable[Path]:
    """Source files below a folder that this process has imported: no packages, and not this program."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    ours = Path(__file__).parents[1]
    own = [ours / name for name in ("dlcore", "tui")]
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py"):
            continue
        path = Path(file)
        if not path.is_relative_to(folder) or any(part in _FOREIGN for part in path.parts):
            continue
        if path.is_relative_to(stdlib) or any(path.is_relative_to(package) for package in own):
            continue
        if path.is_file():
            yield path


def _write(run: RunDir, place: PurePosixPath, text: bytes) -> None:
    path = run.path / place
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(path, text)
    except OSError as error:
        raise UserError(f"cannot keep {safe_text(place.name)} in the run: {error.strerror}") from error


def _read_plain(path: Path) -> bytes:
    """A regular file's bytes, of no more than is ever kept."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
        raise FileNotFoundError(path)
    return path.read_bytes()


def _about(run: RunDir) -> Mapping[str, Any]:
    try:
        return (decode(run.run_json_path.read_bytes()) or {}) if run.run_json_path.is_file() else {}
    except OSError:
        return {}
