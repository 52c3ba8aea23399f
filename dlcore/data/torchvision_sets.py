"""The image sets that torchvision knows where to get, in its own folder layout.

The files are read directly, which takes a fraction of a second and no torchvision; that is imported only to
learn mirrors and checksums when files are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dlcore.data.augment import AugmentName
from dlcore.data.build import Pictures, images
from dlcore.data.cifar_files import pictures, read_files, unpack
from dlcore.data.classes import keep_classes
from dlcore.data.download import DownloadError, download
from dlcore.data.idx import read_idx
from dlcore.data.preprocess import Statistics
from dlcore.data.spec import Data, DataContext
from dlcore.data.splits import Indices, limited, split
from dlcore.errors import UserError
from dlcore.fields import CountOrZero, Fraction, Names
from dlcore.registry import DATA
from dlcore.torchvision_compat import import_torchvision

DIGITS = tuple(str(digit) for digit in range(10))
GARMENTS = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

Labelled = tuple[
    NDArray[np.uint8], NDArray[Any]
]  # images (samples, channels, height, width), codes (samples,)


@DATA.register(group="images", input="image", target="class or binary", shape=(1, 28, 28), outputs=10)
def mnist(
    context: DataContext,
    *,
    classes: Names = (),
    val: Fraction = 0.1,
    limit: CountOrZero = 0,
    augment: AugmentName = "none",
) -> Data:
    """MNIST: 70,000 handwritten digits, grey, 28 by 28 pixels, 10 classes.

    Args:
        classes: keep these digits only, such as [0, 1]; empty for all.
        val: share of the 60,000 training images held back to watch the training.
        limit: train on only so many images; 0 for all.
        augment: random change of training images, new each epoch.
    """
    return _data(context, *_idx_set(context, "MNIST"), DIGITS, Choice(classes, val, limit, augment))


@DATA.register(group="images", input="image", target="class or binary", shape=(1, 28, 28), outputs=10)
def fashion(
    context: DataContext,
    *,
    classes: Names = (),
    val: Fraction = 0.1,
    limit: CountOrZero = 0,
    augment: AugmentName = "none",
) -> Data:
    """Fashion-MNIST: 70,000 pieces of clothing, grey, 28 by 28 pixels, 10 classes.

    Args:
        classes: keep these kinds only, such as ["shirt", "coat"]; empty for all.
        val: share of the 60,000 training images held back to watch the training.
        limit: train on only so many images; 0 for all.
        augment: random change of training images, new each epoch.
    """
    return _data(context, *_idx_set(context, "FashionMNIST"), GARMENTS, Choice(classes, val, limit, augment))


@DATA.register(group="images", input="image", target="class or binary", shape=(3, 32, 32), outputs=10)
def cifar10(
    context: DataContext,
    *,
    classes: Names = (),
    val: Fraction = 0.1,
    limit: CountOrZero = 0,
    augment: AugmentName = "none",
    normalise: Statistics = "train",
) -> Data:
    """CIFAR-10: 60,000 photos in colour, 32 by 32 pixels, 10 classes from airplane to truck.

    Args:
        classes: keep these classes only, such as ["cat", "dog"]; empty for all.
        val: share of the 50,000 training photos held back to watch the training.
        limit: train on only so many photos; 0 for all.
        augment: random change of training photos, new each epoch.
        normalise: mean and deviation of the training photos, or ImageNet's, as published weights want them.
    """
    train, test, names = _cifar_set(context, "CIFAR10", "cifar-10-batches-py", "labels", "label_names")
    return _data(context, train, test, names, Choice(classes, val, limit, augment, normalise))


@DATA.register(group="images", input="image", target="class or binary", shape=(3, 32, 32), outputs=100)
def cifar100(
    context: DataContext,
    *,
    classes: Names = (),
    val: Fraction = 0.1,
    limit: CountOrZero = 0,
    augment: AugmentName = "none",
    normalise: Statistics = "train",
) -> Data:
    """CIFAR-100: 60,000 photos in colour, 32 by 32 pixels, 100 classes of 600 photos each.

    Args:
        classes: keep these classes only, such as ["cat", "dog"]; empty for all.
        val: share of the 50,000 training photos held back to watch the training.
        limit: train on only so many photos; 0 for all.
        augment: random change of training photos, new each epoch.
        normalise: mean and deviation of the training photos, or ImageNet's, as published weights want them.
    """
    train, test, names = _cifar_set(
        context, "CIFAR100", "cifar-100-python", "fine_labels", "fine_label_names"
    )
    return _data(context, train, test, names, Choice(classes, val, limit, augment, normalise))


class Choice(NamedTuple):
    """What of a set is used, and how; see the builders."""

    classes: tuple[str, ...]
    val: float
    limit: int
    augment: AugmentName
    normalise: Statistics = "train"


def _data(
    context: DataContext, train: Labelled, test: Labelled, names: Sequence[str], choice: Choice
) -> Data:
    kept = keep_classes(choice.classes, names)
    rows = kept.rows(train[1])
    codes = train[1][rows]
    parts = split(len(codes), val=choice.val, seed=context.seed, labels=codes)
    learned = limited(parts.train, choice.limit, seed=context.seed, labels=codes)

    def pictures_of(part: Labelled, rows: Indices) -> Pictures:
        return _pictures(part[0][rows], kept.renumbered(part[1][rows]))

    return images(
        pictures_of(train, rows[learned]),
        pictures_of(train, rows[parts.val]),
        pictures_of(test, kept.rows(test[1])),
        class_names=kept.names,
        augment=choice.augment,
        normalise=choice.normalise,
    )


def _pictures(pixels: NDArray[np.uint8], codes: NDArray[Any]) -> Pictures:
    return Pictures(torch.from_numpy(pixels), torch.from_numpy(codes.astype(np.int64)))


def _idx_set(context: DataContext, name: str) -> tuple[Labelled, Labelled]:
    folder = context.folder / name / "raw"
    missing = [f"{file}.gz" for file in IDX_FILES if not _idx_path(folder, file).is_file()]
    if missing:
        _get(context, missing, folder, lambda: _idx_sources(name))
    with ThreadPoolExecutor(2) as pool:  # unpacking lets go of the interpreter
        pixels, codes, test_pixels, test_codes = pool.map(
            lambda file: read_idx(_idx_path(folder, file)), IDX_FILES
        )
    for pictures_, labels in ((pixels, codes), (test_pixels, test_codes)):
        if (
            pictures_.ndim != 3
            or labels.ndim != 1
            or len(pictures_) != len(labels)
            or labels.max(initial=0) > 9
        ):
            raise UserError(
                f"the files in {folder} do not belong together: put good copies of all four there"
            )
    return (pixels[:, None], codes), (test_pixels[:, None], test_codes)


def _idx_path(folder: Path, file: str) -> Path:
    """The unpacked file where there is one, which is faster to read, else the compressed one."""
    plain = folder / file
    return plain if plain.is_file() else folder / f"{file}.gz"


def _idx_sources(name: str) -> dict[str, tuple[list[str], str]]:
    source = getattr(import_torchvision().datasets, name)
    return {file: ([mirror + file for mirror in source.mirrors], md5) for file, md5 in source.resources}


def _cifar_set(
    context: DataContext, name: str, folder_name: str, label_key: str, names_key: str
) -> tuple[Labelled, Labelled, list[str]]:
    ten = name == "CIFAR10"
    train_names = [f"data_batch_{number}" for number in range(1, 6)] if ten else ["train"]
    test_name, meta_name = ("test_batch", "batches.meta") if ten else ("test", "meta")
    wanted = [*train_names, test_name, meta_name]
    folder = context.folder / folder_name
    archive = (
        context.folder / f"{folder_name.removesuffix('-batches-py').removesuffix('-python')}-python.tar.gz"
    )
    if not all((folder / file).is_file() for file in wanted):
        if not archive.is_file():
            _get(context, [archive.name], context.folder, lambda: _cifar_source(name))
        _try_unpack(archive, folder, wanted)
    content = read_files(folder, archive, wanted)
    try:
        train = [
            (pictures(content[file]), np.array(content[file][label_key], np.int64)) for file in train_names
        ]
        test = pictures(content[test_name]), np.array(content[test_name][label_key], np.int64)
        names = [str(entry).replace("_", " ") for entry in content[meta_name][names_key]]
        joined = np.concatenate([part[0] for part in train]), np.concatenate([part[1] for part in train])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"the files of {folder} are not those of {name}: put good copies there") from None
    return joined, test, names


def _try_unpack(archive: Path, folder: Path, wanted: list[str]) -> None:
    try:
        unpack(archive, folder, wanted)  # saves two seconds at the next start
    except OSError:
        return  # a read-only folder: the archive serves as it is


def _cifar_source(name: str) -> dict[str, tuple[list[str], str]]:
    source = getattr(import_torchvision().datasets, name)
    return {source.filename: ([source.url], source.tgz_md5)}


def _get(
    context: DataContext,
    files: Sequence[str],
    folder: Path,
    sources: Callable[[], dict[str, tuple[list[str], str]]],
) -> None:
    """Download ``files`` into ``folder``, or say in one sentence where to put them by hand."""
    known = sources()
    for file in files:
        urls, md5 = known[file]
        try:
            download(urls, folder / file, md5=md5, report=context.report)
        except DownloadError as error:
            raise UserError(
                f"cannot download {file} ({error}): put {', '.join(files)} into {folder} yourself, "
                "or set DLTUI_DATA to the folder that holds torchvision's data sets"
            ) from None
