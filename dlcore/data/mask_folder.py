"""Pictures of one's own with a mask each: what belongs to what, pixel by pixel.

A value in the masks is a class. All of them are looked at first, so that classes, and masks that do not fit, are
known before anything is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import Dataset

from dlcore.data.augment_masks import MaskAugmentName, mask_augmentation
from dlcore.data.files import resolve_path
from dlcore.data.mask_pairs import NAMED, Pair, Pairs, find_pairs
from dlcore.data.mask_parts import Masked, mask_spec, masked_images, pixels_of_classes
from dlcore.data.memory import free_memory
from dlcore.data.pictures import (
    PictureSize,
    map_files,
    read_picture,
    read_values,
    size_of,
)
from dlcore.data.pictures import UnreadablePictureError as Unreadable
from dlcore.data.preprocess import normalise_images, normaliser
from dlcore.data.spec import NOT_JUDGED, Data, DataContext, DatasetPart
from dlcore.data.splits import split
from dlcore.errors import UserError
from dlcore.fields import CountOrZero, Fraction, Names
from dlcore.registry import DATA

Value = Annotated[int, Field(ge=-1, le=2**24 - 1)]
Cache = Literal["auto", "memory", "disk"]
Side = Annotated[int, Field(ge=0, le=4096)]

MOST_CLASSES = 256
STATISTICS_PICTURES = 500


class Masks(NamedTuple):
    """What the user says of the values in masks; see `mask_folder`."""

    classes: tuple[str, ...] = ()
    threshold: int = 0
    ignore: int = -1


class Meaning(NamedTuple):
    """What values of a mask stand for: above ``threshold`` is the object, or each of ``values`` is a class."""

    values: Tensor  # int32 (classes,), ascending
    threshold: int
    ignore: int

    def classes(self, raw: Tensor) -> Tensor:
        """Class indices int64 of raw values int32, both (height, width)."""
        codes = (raw > self.threshold).long() if self.threshold else torch.searchsorted(self.values, raw)
        return torch.where(raw == self.ignore, NOT_JUDGED, codes) if self.ignore >= 0 else codes


@DATA.register("masks", group="own", input="image", target="mask")
def mask_folder(
    context: DataContext,
    *,
    path: str,
    image_size: Side = 0,
    channels: Literal["rgb", "gray"] = "rgb",
    classes: Names = (),
    threshold: CountOrZero = 0,
    ignore: Value = -1,
    val: Fraction = 0.15,
    test: Fraction = 0.15,
    augment: MaskAugmentName = "none",
    cache: Cache = "auto",
) -> Data:
    """Your own pictures with masks: a folder of images and one of masks with the same file names.

    Args:
        path: the folder that holds images and masks; it may hold train, val and test folders that hold those.
        image_size: pictures and masks are scaled to cover a square of so many pixels and cut at its centre; 0 keeps
            their size, which then has to be the same for all.
        channels: rgb for colour, gray for one channel.
        classes: names of the classes, in the order of their values in the masks.
        threshold: mask values above it are the object, the others are not; 0 takes every value as a class.
        ignore: mask value of pixels that are not judged, such as 255; -1 for none.
        val: share of the pictures held back to watch the training, where there is no val folder.
        test: share of the pictures held back for the final figure, where there is no test folder.
        augment: random change of training pictures and their masks, new each epoch.
        cache: memory keeps all decoded pictures, disk decodes them anew each time; auto takes what fits.
    """
    root = resolve_path(path, context)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder")
    found = find_pairs(root)
    size = _size(found, image_size, 3 if channels == "rgb" else 1)
    return from_pairs(
        found, size, Masks(classes, threshold, ignore), val=val, test=test, seed=context.seed, augment=augment,
        cache=cache,
    )  # fmt: skip


def from_pairs(
    found: Pairs,
    size: PictureSize,
    masks: Masks,
    *,
    val: float,
    test: float,
    seed: int,
    augment: MaskAugmentName,
    cache: Cache = "auto",
) -> Data:
    """Data of these pictures and masks; parts that are not there are taken from the training part."""
    values = _look_through(found, size)
    meaning, names = _meaning(values, masks, found)
    parts = _parts(found, val, test, seed)
    total = sum(map(len, parts.values())) * (size.bytes + 8 * size.height * size.width)
    if cache == "memory" or (cache == "auto" and total <= free_memory() // 4):
        whole = {name: _read(pairs, size, meaning) for name, pairs in parts.items()}
        held = whole["test"] if parts["test"] else None
        return masked_images(
            whole["train"], whole["val"], held, class_names=names, augment=augment, notes=found.notes
        )
    found.notes.append(
        f"decoded, the pictures and masks would take {total / 2**30:.1f} GB: they are read from disk in training, "
        "and training.workers decode ahead"
    )
    return _on_disk(found, parts, size, meaning, names, augment)


def _size(found: Pairs, side: int, channels: int) -> PictureSize:
    if side:
        return PictureSize(channels, side, side)
    pairs = [pair for part in found.parts.values() for pair in part]
    sizes = {answer for answer in map_files(size_of, [image for image, _ in pairs], lambda _: None)
             if not isinstance(answer, Unreadable)}  # fmt: skip
    if len(sizes) != 1:
        shown = ", ".join(f"{height}×{width}" for height, width in sorted(sizes)[:NAMED])
        what = (
            f"different sizes ({shown}{', …' if len(sizes) > NAMED else ''})"
            if sizes
            else "none that is readable"
        )
        raise UserError(
            f"the pictures in {found.root} have {what}: set data.image_size to bring them to one size"
        )
    return PictureSize(channels, *sizes.pop())


def _look_through(found: Pairs, size: PictureSize) -> list[int]:
    """All values in all masks; pairs of which either cannot be read are left out with a note.

    Raises:
        UserError: no training pair is left, or a mask is not as large as its picture.
    """
    values: set[int] = set()
    for part, pairs in found.parts.items():
        answers = map_files(partial(_examine, size=size), pairs, lambda _: None)
        bad = [f"{p[0].name} ({a})" for p, a in zip(pairs, answers, strict=True) if isinstance(a, Unreadable)]
        if bad:
            more = f", and {len(bad) - NAMED:,} more" if len(bad) > NAMED else ""
            found.notes.append(f"left out {len(bad):,} that cannot be read: {', '.join(bad[:NAMED])}{more}")
        found.parts[part] = [p for p, a in zip(pairs, answers, strict=True) if not isinstance(a, Unreadable)]
        values.update(value for answer in answers if not isinstance(answer, Unreadable) for value in answer)
    if not found.parts["train"]:
        raise UserError([f"none of the pictures in {found.root} can be read with its mask", *found.notes])
    return sorted(values)


def _examine(pair: Pair, *, size: PictureSize) -> list[int]:
    """The values in a mask that fits its picture."""
    picture, mask = map(size_of, pair)
    if picture != mask:
        raise UserError(
            f"{pair[1]} has {_times(mask)} pixels, its picture {pair[0].name} has {_times(picture)}"
        )
    values: list[int] = np.unique(read_values(pair[1], size.height, size.width).numpy()).tolist()
    return values


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"


def _meaning(values: Sequence[int], masks: Masks, found: Pairs) -> tuple[Meaning, tuple[str, ...]]:
    """What the values stand for, and the names of the classes."""
    classes, threshold, ignore = masks
    judged = [value for value in values if value != ignore]
    if not threshold and len(judged) > max(MOST_CLASSES, len(classes)):
        raise UserError(
            f"the masks in {found.root} hold {len(judged):,} different values, too many for classes: "
            "save them without compression (PNG), or set data.threshold, such as 127"
        )
    count = 2 if threshold else len(judged)
    if count < 2:
        raise UserError(f"all pixels of all masks in {found.root} have the same value, {judged or values}")
    if classes and len(classes) != count:
        raise UserError(
            f"data.classes names {len(classes)} classes, but the masks hold {count}"
            + ("" if threshold else f": {', '.join(map(str, judged[:8]))}{', …' if count > 8 else ''}")
        )
    if classes:
        names = tuple(classes)
    elif count == 2:
        names = ("background", "object")
    else:
        names = tuple(str(value) for value in judged)
    return Meaning(torch.tensor(judged, dtype=torch.int32), threshold, ignore), names


def _parts(found: Pairs, val: float, test: float, seed: int) -> dict[str, list[Pair]]:
    pairs = found.parts["train"]
    cut = split(
        len(pairs),
        val=0 if found.parts.get("val") else val,
        test=0 if found.parts.get("test") else test,
        seed=seed,
    )
    parts = {name: [pairs[row] for row in rows] for name, rows in cut._asdict().items()}
    return {
        name: list(found.parts.get(name) or parts[name]) if name != "train" else parts[name] for name in parts
    }


def _read(pairs: Sequence[Pair], size: PictureSize, meaning: Meaning) -> Masked:
    images = torch.empty(len(pairs), *size, dtype=torch.uint8)
    masks = torch.empty(len(pairs), size.height, size.width, dtype=torch.int64)
    files = MaskedFiles(pairs, size, meaning)
    for row in range(len(pairs)):
        images[row], masks[row] = files[0, row]
    return Masked(images, masks)


def _on_disk(
    found: Pairs,
    parts: dict[str, list[Pair]],
    size: PictureSize,
    meaning: Meaning,
    names: tuple[str, ...],
    augment: MaskAugmentName,
) -> Data:
    sample = _read(parts["train"][:: max(1, len(parts["train"]) // STATISTICS_PICTURES)], size, meaning)
    preprocessing = normalise_images(sample.images)
    prepare = normaliser(preprocessing)
    made = {name: MaskedFiles(pairs, size, meaning) for name, pairs in parts.items()}
    return Data(
        mask_spec(preprocessing, names, pixels_of_classes(sample.masks, len(names))),
        DatasetPart(made["train"], prepare, mask_augmentation(augment, size.width)),
        DatasetPart(made["val"], prepare),
        DatasetPart(made["test"], prepare) if len(made["test"]) else None,
        tuple(found.notes),
    )


class MaskedFiles(Dataset[tuple[Tensor, Tensor]]):
    """Pictures and masks decoded when asked for; nothing about one is random, so the epoch does not matter."""

    def __init__(self, pairs: Sequence[Pair], size: PictureSize, meaning: Meaning) -> None:
        self.pairs, self.size, self.meaning = pairs, size, meaning

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """uint8 (channels, height, width) and int64 (height, width); ``key`` is (epoch, index)."""
        image, mask = self.pairs[key[1]]
        try:
            picture = read_picture(image, size=self.size)
            raw = read_values(mask, self.size.height, self.size.width)
        except Unreadable as error:
            raise UserError(
                f"{image} or its mask cannot be read ({error}): remove or replace it, then start a new run"
            ) from None
        return picture, self.meaning.classes(raw)
