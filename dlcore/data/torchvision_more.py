"""torchvision's other classification sets, from street numbers to flowers, read through torchvision itself.

Every picture is decoded once and kept in memory as bytes, at the size that is trained on.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from dlcore.data.augment import AugmentName
from dlcore.data.build import Pictures, images
from dlcore.data.classes import keep_classes
from dlcore.data.download import require_download
from dlcore.data.memory import free_memory
from dlcore.data.pictures import PictureSize, UnreadablePictureError, fit_picture, map_files
from dlcore.data.preprocess import Statistics
from dlcore.data.seeding import derived_seed
from dlcore.data.spec import Data, DataContext
from dlcore.data.splits import Indices, split
from dlcore.data.torchvision_catalogue import SOURCES, SetName, Source
from dlcore.errors import UserError
from dlcore.fields import CountOrZero, Fraction, Names
from dlcore.registry import DATA
from dlcore.text_safety import safe_text
from dlcore.torchvision_compat import import_torchvision

Side = Annotated[int, Field(ge=0, le=1024)]

REPORT_SECONDS = 0.5


@DATA.register("torchvision", group="images", input="image", target="class or binary")
def torchvision_set(
    context: DataContext,
    *,
    dataset: SetName = "svhn",
    image_size: Side = 0,
    classes: Names = (),
    val: Fraction = 0.1,
    test: Fraction = 0.2,
    limit: CountOrZero = 0,
    augment: AugmentName = "none",
    normalise: Statistics = "train",
) -> Data:
    """Another of torchvision's classification sets: svhn, stl10, flowers102, food101, pets, gtsrb and 19 more.

    Args:
        dataset: which one; downloaded once (from 1 MB, usps, to 39 GB, sun397).
        image_size: side of the square that pictures are scaled and cut to; 0 for what is usual for the set.
        classes: keep these classes only, by name; empty for all.
        val: share of the training pictures held back to watch the training, where the set has no such part.
        test: share of the pictures held back for the final figure, where the set has no such part.
        limit: train on only so many pictures; 0 for all. Others are not decoded.
        augment: random change of training pictures, new each epoch.
        normalise: mean and deviation of the training pictures, or ImageNet's, as published weights want them.
    """
    source = SOURCES[dataset]
    size = PictureSize(source.channels, *(2 * [image_size or source.side]))
    found = {part: open_set(dataset, part, context) for part in source.parts}
    rows = _rows(found, val, test, limit, context.seed)
    total = sum(map(len, rows.values())) * size.bytes
    if total > free_memory() // 2:
        raise UserError(
            f"the pictures of {dataset} would take {total / 2**30:.1f} GB of memory at {size.width}×{size.height}: "
            "set data.image_size lower, or data.limit"
        )
    notes: list[str] = []
    parts = {}
    for part, chosen in rows.items():
        read = partial(_picture, found.get(part, found["train"]), size=size, turned=source.turned)
        parts[part] = _decoded(read, chosen, part, notes, context.report)
    names = _names(found["train"], source, parts["train"].codes)
    there = [
        names[code] for code in parts["train"].codes.unique().tolist()
    ]  # some sets name classes they have none of
    kept = keep_classes(classes or there, names)

    def of_classes(pictures: Pictures) -> Pictures:
        mine = torch.from_numpy(kept.rows(pictures.codes.numpy()))
        codes = kept.renumbered(pictures.codes[mine].numpy())
        return Pictures(pictures.images[mine], torch.from_numpy(codes))

    return images(
        of_classes(parts["train"]),
        of_classes(parts["val"]),
        of_classes(parts["test"]) if len(parts["test"].codes) else None,
        class_names=kept.names,
        augment=augment,
        normalise=normalise,
        notes=notes,
    )


def open_set(name: str, part: str, context: DataContext) -> Any:
    """torchvision's data set of a part, downloaded if it is not here.

    Raises:
        UserError: it cannot be had; names the files and where to put them.
    """
    source = SOURCES[name]
    make = getattr(import_torchvision().datasets, source.builder)
    options = {**source.options, **source.parts[part]}
    folder = context.folder / source.folder if source.folder else context.folder
    place = "or set DLTUI_DATA to the folder that holds torchvision's data sets"
    remedy = f"put {source.files} into {folder} yourself, {place}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return make(str(context.folder), **options, **({} if source.by_hand else {"download": False}))
        except Exception as error:  # not there, or only in part: each set says so in its own way
            if source.by_hand:
                raise UserError(f"{name} has to be fetched by hand: {remedy}") from error
            _require_module(name, error)
        require_download(name)
        context.report(f"downloading {name}")
        try:
            return make(str(context.folder), **options, download=True)
        except Exception as error:
            reason = safe_text(" ".join(str(error).split()) or type(error).__name__, limit=150)
            raise UserError(f"cannot download {name} ({reason}): {remedy}") from error


def _require_module(name: str, error: Exception) -> None:
    """Some sets are in formats that a package reads which dltui does not need otherwise."""
    for module in ("h5py", "scipy"):
        if f"{module} is not found" in str(error).lower():
            raise UserError(f"{name} needs the package {module}: pip install {module}") from error


def _rows(found: dict[str, Any], val: float, test: float, limit: int, seed: int) -> dict[str, Indices]:
    """Rows of each part, in the data set it comes from; which ones is drawn before any is decoded."""
    count = len(found["train"])
    cut = split(count, val=0 if "val" in found else val, test=0 if "test" in found else test, seed=seed)
    rows = cut._asdict() | {part: np.arange(len(found[part])) for part in found if part != "train"}
    if 0 < limit < len(rows["train"]):
        rng = np.random.default_rng(derived_seed(seed, "limit"))
        rows["train"] = np.sort(rng.choice(rows["train"], limit, replace=False))
    return rows


def _picture(dataset: Any, row: int, *, size: PictureSize, turned: bool) -> tuple[Tensor, int]:
    try:
        picture, code = dataset[row]
        pixels = fit_picture(picture, size)
        return pixels.transpose(1, 2).contiguous() if turned else pixels, int(code)
    except MemoryError:
        raise
    except Exception as error:  # decoders raise whatever a damaged file makes them stumble over
        raise UnreadablePictureError(safe_text(str(error), limit=80)) from None


def _decoded(
    read: Callable[[int], tuple[Tensor, int]],
    rows: Indices,
    part: str,
    notes: list[str],
    report: Callable[[str], None],
) -> Pictures:
    shown = time.monotonic()

    def done(count: int) -> None:
        nonlocal shown
        if time.monotonic() - shown >= REPORT_SECONDS:
            shown = time.monotonic()
            report(f"reading the {part} pictures: {count:,} of {len(rows):,}")

    answers = map_files(read, rows.tolist(), done)
    good = [answer for answer in answers if not isinstance(answer, UnreadablePictureError)]
    if len(good) < len(answers):
        notes.append(f"left out {len(answers) - len(good):,} {part} pictures that cannot be read")
    if part == "train" and not good:
        raise UserError("none of the training pictures can be read: delete the files to download them again")
    pixels = torch.stack([picture for picture, _ in good]) if good else torch.empty(0, dtype=torch.uint8)
    return Pictures(pixels, torch.tensor([code for _, code in good], dtype=torch.int64))


def _names(dataset: Any, source: Source, codes: Tensor) -> Sequence[str]:
    """Names of all class codes; numbers where nobody knows any."""
    known = source.names or getattr(dataset, "classes", None) or getattr(dataset, "categories", None) or ()
    names = [" / ".join(name) if isinstance(name, tuple | list) else str(name) for name in known]
    return [*names, *(str(code) for code in range(len(names), int(codes.max()) + 1))]
