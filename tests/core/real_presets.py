"""Where the shipped presets find the real data that they name: bundled, or in the folder of real data sets."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from dlcore import preset as presets

BUNDLED = frozenset(
    {"breast_cancer", "circles", "diabetes", "digits", "iris", "moons", "scenes", "spirals", "wine"}
    | {"python_docs", "source_code", "gymnasium"}
)
RESNET20 = "model.weights={data}/pretrained/resnet20-12fca82f.th"
OWN_FILES = {
    "ants-bees-cnn": ("data.path={data}/hymenoptera",),
    "ants-bees-transfer": ("data.path={data}/hymenoptera", RESNET20),
    "cifar10-transfer": (RESNET20,),
    "membrane-unet": ("data.path={data}/membrane",),
    "names-gru": ("data.path={data}/text/names.csv",),
    "passengers-lstm": ("data.path={data}/tabular/airline-passengers.csv",),
    "sentiment-lstm": ("data.path={data}/text/rt_polarity.csv",),
    "sentiment-transformer": ("data.path={data}/text/rt_polarity.csv",),
    "shakespeare-gpt": ("data.path={data}/text/tinyshakespeare.txt",),
    "shakespeare-gpt-gpu": ("data.path={data}/text/tinyshakespeare.txt",),
    "titanic-mlp": ("data.path={data}/tabular/titanic.csv",),
}
CIFAR_PHOTOS = 400  # of each class, of each part


def folder_of_real_data() -> Path | None:
    """DLTUI_TEST_DATA, or ``../shared/data`` beside the checkout; None where there is neither."""
    folder = Path(os.environ.get("DLTUI_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    return folder if folder.is_dir() else None


def has_bundled_data(path: Path) -> bool:
    """Whether a preset needs no file."""
    return presets.load(path, builders=False).data.name in BUNDLED


def overrides(path: Path, data: Path, scratch: Path) -> list[str]:
    """What points a preset at real data; sets sets of their own up under ``scratch``, the DLTUI_DATA to run it with."""
    for name in ("MNIST", "FashionMNIST"):
        if (data / name).is_dir() and not (scratch / name).exists():
            (scratch / name).symlink_to(data / name)
    if (
        presets.load(path, builders=False).data.name == "cifar10"
        and not (scratch / "cifar-10-batches-py").exists()
    ):
        cifar10_files(data / "cifar10_jpg.tar.gz", scratch / "cifar-10-batches-py")
    return [each.format(data=data) for each in OWN_FILES.get(path.stem, ())]


def cifar10_files(archive: Path, folder: Path, most: int = CIFAR_PHOTOS) -> None:
    """The first photos of every class in CIFAR-10's own files, from an archive of part/class/number.jpg."""
    photos: dict[str, list[tuple[str, np.ndarray]]] = {"train": [], "test": []}
    with tarfile.open(archive) as files:
        for member in files:
            part, _, rest = member.name.partition("/")
            kind, _, name = rest.partition("/")
            number = name.removesuffix(".jpg")
            if not number.isdigit() or int(number) >= most or (file := files.extractfile(member)) is None:
                continue
            pixels = np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))
            photos[part].append((kind, pixels.transpose(2, 0, 1).reshape(-1)))
    names = sorted({kind for kind, _ in photos["train"]})
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for part, count in (("train", 5), ("test", 1)):
        order = draw.permutation(len(photos[part]))
        for number, chosen in enumerate(np.array_split(order, count), 1):
            batch = {
                "data": np.stack([photos[part][at][1] for at in chosen]),
                "labels": [names.index(photos[part][at][0]) for at in chosen],
            }
            (folder / (f"data_batch_{number}" if part == "train" else "test_batch")).write_bytes(
                pickle.dumps(batch)
            )
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
