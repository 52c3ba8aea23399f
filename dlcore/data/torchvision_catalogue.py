"""Which classification sets of torchvision there are here, their parts, and what to fetch by hand.

A new one is a line in the table; nothing is imported or loaded here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SetName = Literal[
    "caltech101", "caltech256", "country211", "dtd", "emnist", "emnist-digits", "emnist-letters", "eurosat",
    "fer2013", "fgvc-aircraft", "flowers102", "food101", "gtsrb", "imagenette", "kmnist", "pcam", "pets", "qmnist",
    "rendered-sst2", "semeion", "stanford-cars", "stl10", "sun397", "svhn", "usps",
]  # fmt: skip

Options = Mapping[str, Any]

DIGITS = tuple(str(digit) for digit in range(10))
FACES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@dataclass(frozen=True)
class Source:
    """A set as torchvision knows it.

    Attributes:
        builder: name of the class in torchvision.datasets.
        parts: options that give ``train`` and, where the set has them, ``val`` and ``test``.
        files: what to fetch by hand, as people would name it.
        folder: where to, below the folder of all data.
        channels, side: of the pictures as they are used unless told otherwise.
        names: of the classes, where torchvision does not tell.
        by_hand: torchvision cannot download it.
        turned: its pictures lie on their side, mirrored.
    """

    builder: str
    parts: Mapping[str, Options]
    files: str
    folder: str = ""
    channels: int = 3
    side: int = 64
    names: tuple[str, ...] = ()
    options: Options = field(default_factory=dict)
    by_hand: bool = False
    turned: bool = False


def _splits(train: str = "train", val: str = "", test: str = "test") -> dict[str, Options]:
    found = {"train": train, "val": val, "test": test}
    return {part: {"split": split} for part, split in found.items() if split}


_WHOLE: dict[str, Options] = {"train": {}}
_TRAIN_OR_NOT: dict[str, Options] = {"train": {"train": True}, "test": {"train": False}}


def _emnist(split: str) -> Source:
    options = {"split": split}
    return Source(
        "EMNIST", _TRAIN_OR_NOT, "gzip.zip", "EMNIST/raw", channels=1, side=28, options=options, turned=True
    )


SOURCES: dict[str, Source] = {
    "caltech101": Source("Caltech101", _WHOLE, "caltech-101.zip", "caltech101", side=128),
    "caltech256": Source("Caltech256", _WHOLE, "256_ObjectCategories.tar", "caltech256", side=128),
    "country211": Source("Country211", _splits(val="valid"), "country211.tgz", side=128),
    "dtd": Source("DTD", _splits(val="val"), "dtd-r1.0.1.tar.gz", "dtd", side=128),
    "emnist": _emnist("balanced"),
    "emnist-digits": _emnist("digits"),
    "emnist-letters": _emnist("letters"),
    "eurosat": Source("EuroSAT", _WHOLE, "EuroSAT.zip", "eurosat"),
    "fer2013": Source(
        "FER2013", _splits(), "fer2013.csv (from Kaggle, challenges-in-representation-learning)", "fer2013",
        channels=1, side=48, names=FACES, by_hand=True,
    ),
    "fgvc-aircraft": Source("FGVCAircraft", _splits(val="val"), "fgvc-aircraft-2013b.tar.gz", side=128),
    "flowers102": Source(
        "Flowers102", _splits(val="val"), "102flowers.tgz, imagelabels.mat and setid.mat", "flowers-102", side=128
    ),
    "food101": Source("Food101", _splits(), "food-101.tar.gz", side=128),
    "gtsrb": Source(
        "GTSRB", _splits(),
        "GTSRB-Training_fixed.zip, GTSRB_Final_Test_Images.zip and GTSRB_Final_Test_GT.zip", "gtsrb", side=32,
    ),
    "imagenette": Source(
        "Imagenette", _splits(test="val"), "imagenette2-160.tgz", side=128, options={"size": "160px"}
    ),
    "kmnist": Source(
        "KMNIST", _TRAIN_OR_NOT, "train-images-idx3-ubyte.gz and the three others", "KMNIST/raw",
        channels=1, side=28,
    ),
    "pcam": Source(
        "PCAM", _splits(val="val"), "camelyonpatch_level_2_split_train_x.h5 and the five others", "pcam",
        side=96, names=("no tumour", "tumour"),
    ),
    "pets": Source(
        "OxfordIIITPet", _splits("trainval"), "images.tar.gz and annotations.tar.gz", "oxford-iiit-pet", side=128
    ),
    "qmnist": Source(
        "QMNIST", _TRAIN_OR_NOT, "qmnist-train-images-idx3-ubyte.gz and the three others", "QMNIST/raw",
        channels=1, side=28,
    ),
    "rendered-sst2": Source("RenderedSST2", _splits(val="val"), "rendered-sst2.tgz", side=128),
    "semeion": Source("SEMEION", _WHOLE, "semeion.data", channels=1, side=16, names=DIGITS),
    "stanford-cars": Source(
        "StanfordCars", _splits(),
        "the folders devkit, cars_train and cars_test, and cars_test_annos_withlabels.mat", "stanford_cars",
        side=128, by_hand=True,
    ),
    "stl10": Source("STL10", _splits(), "stl10_binary.tar.gz", side=96),
    "sun397": Source("SUN397", _WHOLE, "SUN397.tar.gz", side=128),
    "svhn": Source("SVHN", _splits(), "train_32x32.mat and test_32x32.mat", side=32, names=DIGITS),
    "usps": Source("USPS", _TRAIN_OR_NOT, "usps.bz2 and usps.t.bz2", channels=1, side=16, names=DIGITS),
}  # fmt: skip
