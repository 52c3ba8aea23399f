"""Which picture files a folder holds, by part and by class.

Class names are those of the training folder, sorted; nothing is opened here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlcore.data.pictures import SUFFIXES
from dlcore.data.splits import Indices
from dlcore.errors import UserError

PART_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}

NAMED = 5
"""Files named in a note."""


class Files(NamedTuple):
    """Picture files and their class codes (files,)."""

    paths: list[Path]
    codes: NDArray[np.int64]

    def at(self, rows: Indices) -> Files:
        """Only these."""
        return Files([self.paths[row] for row in rows], self.codes[rows])


@dataclass
class Found:
    """Files of each part that there are folders for: ``train`` always, ``val`` and ``test`` if present."""

    root: Path
    class_names: list[str]
    parts: dict[str, Files]
    notes: list[str] = field(default_factory=list)


def find_pictures(root: Path) -> Found:
    """The pictures under ``root``, which holds class folders or part folders that hold them.

    Raises:
        UserError: no class folders with pictures, or a single one.
    """
    folders = {name: _part_folder(root, aliases) for name, aliases in PART_NAMES.items()}
    train = folders["train"] or root
    if train is root:
        folders = {"train": root}
    class_names = [name for name in _subfolders(train) if _files(train / name)[0]]
    if len(class_names) < 2:
        what = f"only {class_names[0]!r} has some" if class_names else "there are none"
        raise UserError(
            f"{train} needs at least two folders with pictures, one for each class; {what} "
            f"(endings: {', '.join(sorted(SUFFIXES))})"
        )
    found = Found(root, class_names, {})
    for part, folder in folders.items():
        if folder is not None:
            _add_part(found, part, folder)
    return found


def _add_part(found: Found, part: str, folder: Path) -> None:
    paths: list[Path] = []
    codes: list[int] = []
    others: list[Path] = []
    for name in _subfolders(folder):
        pictures, rest = _files(folder / name)
        others += rest
        if name in found.class_names:
            paths += pictures
            codes += [found.class_names.index(name)] * len(pictures)
        elif pictures:
            found.notes.append(f"left out {folder / name}: the training folder has no class {name!r}")
    if others:
        found.notes.append(
            f"left out {len(others):,} files in {folder} that are no pictures by their ending, "
            f"such as {others[0].name}"
        )
    if paths:
        found.parts[part] = Files(paths, np.array(codes, np.int64))


def _part_folder(root: Path, aliases: Sequence[str]) -> Path | None:
    """The folder of a part; one without folders in it is a class that happens to be called so."""
    names = {name.lower(): name for name in _subfolders(root)}
    places = [root / names[alias] for alias in aliases if alias in names]
    return next((place for place in places if _subfolders(place)), None)


def _subfolders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}") from None
    return sorted(name for name in names if not name.startswith((".", "__")))


def _files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Picture files anywhere below a class folder, and other files, in order."""
    pictures: list[Path] = []
    others: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            file = Path(place, name)
            (pictures if file.suffix.lower() in SUFFIXES else others).append(file)
    return pictures, others


def pictures_below(folder: Path) -> list[Path]:
    """Picture files anywhere below a folder, by their ending, in order."""
    return _files(folder)[0]
