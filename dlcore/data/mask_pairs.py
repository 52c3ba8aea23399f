"""Which picture belongs to which mask, told by their file names; nothing is opened here."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from dlcore.data.pictures import SUFFIXES
from dlcore.errors import UserError

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages", "photos")
MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "segmentationclass", "trimaps")
PART_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
MASK_ENDINGS = ("_mask", "-mask", "_label", "-label", "_labels", "_seg", "_gt", "_segmentation")

Pair = tuple[Path, Path]
"""A picture and its mask."""

NAMED = 3
"""Files named in a note."""


@dataclass
class Pairs:
    """Pictures and their masks, part by part: ``train`` always, ``val`` and ``test`` where there are folders."""

    root: Path
    parts: dict[str, list[Pair]]
    notes: list[str] = field(default_factory=list)


def find_pairs(root: Path) -> Pairs:
    """Pairs under ``root``: it holds a folder of images and one of masks, or part folders that do.

    Raises:
        UserError: there are no such folders, or no picture in them has a mask.
    """
    found = Pairs(root, {})
    for part, aliases in PART_FOLDERS.items():
        folder = _child(root, aliases)
        if folder is not None and _child(folder, IMAGE_FOLDERS) is not None:
            found.parts[part] = _pairs_in(folder, found.notes)
    if "train" not in found.parts:
        found.parts = {"train": _pairs_in(root, found.notes)}
    return found


def _pairs_in(folder: Path, notes: list[str]) -> list[Pair]:
    images, masks = _child(folder, IMAGE_FOLDERS), _child(folder, MASK_FOLDERS)
    if images is None or masks is None:
        raise UserError(
            f"{folder} needs a folder of pictures called images and one of their masks called masks, "
            "with files of the same names"
        )
    mask_of = {_stem(path): path for path in _pictures(masks)}
    pictures = _pictures(images)
    pairs = [(path, mask_of[path.stem.lower()]) for path in pictures if path.stem.lower() in mask_of]
    if not pairs:
        raise UserError(
            f"no picture in {images} has a mask of the same name in {masks} "
            f"(endings: {', '.join(sorted(SUFFIXES))})"
        )
    alone = [path.name for path in pictures if path.stem.lower() not in mask_of]
    if alone:
        more = f" and {len(alone) - NAMED:,} more" if len(alone) > NAMED else ""
        notes.append(f"left out {', '.join(alone[:NAMED])}{more}: there is no mask of that name in {masks}")
    return pairs


def _child(folder: Path, names: tuple[str, ...]) -> Path | None:
    try:
        with os.scandir(folder) as entries:
            known = {entry.name.lower(): Path(entry.path) for entry in entries if entry.is_dir()}
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}") from None
    return next((known[name] for name in names if name in known), None)


def _pictures(folder: Path) -> list[Path]:
    try:
        files = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}") from None
    return sorted((path for path in files if not path.name.startswith(".")), key=_natural)


def _stem(path: Path) -> str:
    stem = path.stem.lower()
    ending = next((ending for ending in MASK_ENDINGS if stem.endswith(ending)), "")
    return stem.removesuffix(ending)


def _natural(path: Path) -> tuple[int, str]:
    """2.png before 10.png."""
    return len(path.stem), path.name
