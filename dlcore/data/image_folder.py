"""Pictures of one's own, one folder a class.

Kept in memory as bytes when they fit into a quarter of what is free, which trains fastest; else each is
decoded again whenever it is its turn, by the loader's workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import Dataset

from dlcore.data.augment import AugmentName, augmentation
from dlcore.data.build import Pictures, image_spec, images
from dlcore.data.files import resolve_path
from dlcore.data.memory import free_memory
from dlcore.data.picture_folders import NAMED, Files, Found, find_pictures
from dlcore.data.pictures import (
    PictureSize,
    UnreadablePictureError,
    check_picture,
    map_files,
    read_picture,
)
from dlcore.data.preprocess import Statistics, normalise_images, normaliser
from dlcore.data.seeding import derived_seed
from dlcore.data.spec import Data, DataContext, DatasetPart
from dlcore.data.splits import Indices, limited, split
from dlcore.errors import UserError
from dlcore.fields import CountOrZero, Fraction
from dlcore.registry import DATA

ImageSize = Annotated[int, Field(ge=4, le=4096)]

STATISTICS_PICTURES = 2_000
"""Pictures that mean and deviation are taken from when all do not fit in memory."""

REPORT_SECONDS = 0.5

Pixels = dict[str, list[Tensor]]  # of each found part, uint8 (channels, height, width) a picture


@DATA.register("folder", group="own", input="image", target="class or binary")
def image_folder(
    context: DataContext,
    *,
    path: str,
    image_size: ImageSize = 64,
    channels: Literal["rgb", "gray"] = "rgb",
    val: Fraction = 0.15,
    test: Fraction = 0.15,
    limit: CountOrZero = 0,
    augment: AugmentName = "none",
    normalise: Statistics = "train",
    cache: Literal["auto", "memory", "disk"] = "auto",
) -> Data:
    """Your own pictures: a folder with one folder of pictures for each class.

    Args:
        path: the folder; it may also hold train, val and test folders that hold the class folders.
        image_size: pictures are scaled to cover a square of so many pixels, and cut at its centre.
        channels: rgb for colour, gray for one channel.
        val: share of the training pictures held back to watch the training, where there is no val folder.
        test: share of the training pictures held back for the final figure, where there is no test folder.
        limit: train on only so many pictures; 0 for all.
        augment: random change of training pictures, new each epoch.
        normalise: mean and deviation of the training pictures, or ImageNet's, as published weights want them.
        cache: memory keeps all decoded pictures, disk decodes them anew each time; auto takes what fits.
    """
    root = resolve_path(path, context)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder")
    found = find_pictures(root)
    size = PictureSize(3 if channels == "rgb" else 1, image_size, image_size)
    total = sum(len(files.paths) for files in found.parts.values()) * size.bytes
    if cache == "memory" or (cache == "auto" and total <= free_memory() // 4):
        pixels = _keep_readable(found, partial(read_picture, size=size), context.report)
        parts = _parts(found, val, test, limit, context.seed)
        return _in_memory(found, pixels, parts, augment, normalise)
    _keep_readable(found, check_picture, context.report)
    found.notes.append(
        f"decoded, the pictures would take {total / 2**30:.1f} GB: they are read from disk in training, "
        "and training.workers decode ahead"
    )
    parts = _parts(found, val, test, limit, context.seed)
    return _on_disk(found, size, parts, augment, normalise, context.seed)


def _keep_readable(
    found: Found, read: Callable[..., Any], report: Callable[[str], None]
) -> dict[str, list[Any]]:
    """What ``read`` made of each picture; ``found`` is left with the readable ones and their classes.

    Raises:
        UserError: fewer than two classes have readable training pictures.
    """
    results: dict[str, list[Any]] = {}
    for part in list(found.parts):
        files = found.parts[part]
        answers = map_files(read, files.paths, _reporter(report, len(files.paths)))
        bad = {
            row: answer for row, answer in enumerate(answers) if isinstance(answer, UnreadablePictureError)
        }
        if bad:
            named = [f"{files.paths[row].relative_to(found.root)} ({bad[row]})" for row in list(bad)[:NAMED]]
            more = f", and {len(bad) - NAMED:,} more" if len(bad) > NAMED else ""
            found.notes.append(f"left out {len(bad):,} that cannot be read: {', '.join(named)}{more}")
        if part == "train":
            _drop_classes_without(found, np.delete(files.codes, list(bad)))
            files = found.parts[part]
        good = np.array(
            [row for row in range(len(answers)) if row not in bad and files.codes[row] >= 0], np.int64
        )
        if len(good):
            found.parts[part] = files.at(good)
            results[part] = [answers[row] for row in good]
        else:
            del found.parts[part]
    return results


def _reporter(report: Callable[[str], None], total: int) -> Callable[[int], None]:
    shown = time.monotonic()

    def done(count: int) -> None:
        nonlocal shown
        if time.monotonic() - shown >= REPORT_SECONDS:
            shown = time.monotonic()
            report(f"reading pictures: {count:,} of {total:,}")

    return done


def _drop_classes_without(found: Found, readable: Indices) -> None:
    """Leave out the classes that no training picture is left of; their files get the code -1."""
    left = np.unique(readable)
    names = [found.class_names[code] for code in left]
    if len(names) < 2:
        what = f"only {names[0]!r} has some" if names else "there are none"
        raise UserError(
            [f"{found.root} needs readable pictures of at least two classes; {what}", *found.notes]
        )
    gone = [name for name in found.class_names if name not in names]
    if gone:
        found.notes.append(f"left out {', '.join(gone)}: none of the training pictures can be read")
        new_codes = np.full(len(found.class_names), -1)
        new_codes[left] = np.arange(len(left))
        found.parts = {part: Files(f.paths, new_codes[f.codes]) for part, f in found.parts.items()}
        found.class_names = names


def _parts(found: Found, val: float, test: float, limit: int, seed: int) -> dict[str, tuple[str, Indices]]:
    """For each part, the found part it comes from and its rows there."""
    codes = found.parts["train"].codes
    cut = split(
        len(codes),
        val=0 if "val" in found.parts else val,
        test=0 if "test" in found.parts else test,
        seed=seed,
        labels=codes,
    )
    cut = cut._replace(train=limited(cut.train, limit, seed=seed, labels=codes))
    parts = {name: ("train", rows) for name, rows in cut._asdict().items()}
    for name in ("val", "test"):
        if name in found.parts:
            parts[name] = (name, np.arange(len(found.parts[name].paths)))
    return parts


def _in_memory(
    found: Found,
    pixels: Pixels,
    parts: dict[str, tuple[str, Indices]],
    augment: AugmentName,
    normalise: Statistics,
) -> Data:
    def pictures(name: str) -> Pictures:
        source, rows = parts[name]
        kept = [pixels[source][row] for row in rows]
        stacked = torch.stack(kept) if kept else torch.empty(0, *pixels["train"][0].shape, dtype=torch.uint8)
        return Pictures(stacked, torch.from_numpy(found.parts[source].codes[rows]))

    test = pictures("test")
    return images(
        pictures("train"),
        pictures("val"),
        test if len(test.codes) else None,
        class_names=found.class_names,
        augment=augment,
        normalise=normalise,
        notes=found.notes,
    )


def _on_disk(
    found: Found,
    size: PictureSize,
    parts: dict[str, tuple[str, Indices]],
    augment: AugmentName,
    normalise: Statistics,
    seed: int,
) -> Data:
    made = {name: PictureFiles(found.parts[source].at(rows), size) for name, (source, rows) in parts.items()}
    train = made["train"].files
    count = len(train.paths)
    rng = np.random.default_rng(derived_seed(seed, "statistics"))
    rows = np.sort(rng.choice(count, min(count, STATISTICS_PICTURES), replace=False))
    sample = map_files(partial(read_picture, size=size), train.at(rows).paths, lambda _: None)
    readable = [picture for picture in sample if isinstance(picture, Tensor)]
    if not readable:
        raise UserError([f"none of the training pictures in {found.root} can be read", *found.notes])
    preprocessing = normalise_images(torch.stack(readable), statistics=normalise)
    prepare = normaliser(preprocessing)
    return Data(
        image_spec(preprocessing, found.class_names, train.codes),
        DatasetPart(made["train"], prepare, augmentation(augment, size.width)),
        DatasetPart(made["val"], prepare),
        DatasetPart(made["test"], prepare) if len(made["test"]) else None,
        tuple(found.notes),
    )


class PictureFiles(Dataset[tuple[Tensor, int]]):
    """Pictures decoded when asked for; nothing about one is random, so the epoch does not matter."""

    def __init__(self, files: Files, size: PictureSize) -> None:
        self.files, self.size = files, size

    def __len__(self) -> int:
        return len(self.files.paths)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int]:
        """The picture as uint8 (channels, height, width) and its class code; ``key`` is (epoch, index)."""
        path = self.files.paths[key[1]]
        try:
            return read_picture(path, size=self.size), int(self.files.codes[key[1]])
        except UnreadablePictureError as error:
            raise UserError(
                f"{path} cannot be read ({error}): remove or replace it, then start a new run"
            ) from None
