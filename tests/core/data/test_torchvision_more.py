"""torchvision's other sets: small made ones in the real formats are read; what is missing is one sentence."""

from __future__ import annotations

import bz2
import csv
import importlib
import json
import struct
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dlcore.data.download import NotDownloaded, no_downloads
from dlcore.data.spec import NOT_JUDGED, Data, DataContext
from dlcore.data.torchvision_catalogue import SOURCES, SetName
from dlcore.errors import UserError
from dlcore.registry import DATA
from dlcore.torchvision_compat import import_torchvision

RNG = np.random.default_rng(0)


def noise(*shape: int) -> NDArray[np.uint8]:
    return RNG.integers(0, 256, shape, np.uint8)


def photo(path: Path, side: int = 20) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(side, side + 4, 3)).save(path)


def write_svhn(root: Path) -> None:
    from scipy.io import savemat

    for part, count in (("train", 60), ("test", 20)):
        labels = np.arange(count) % 10 + 1  # a zero is written as ten
        savemat(root / f"{part}_32x32.mat", {"X": noise(32, 32, 3, count), "y": labels[:, None]})


def idx(values: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def write_kmnist(root: Path) -> None:
    folder = root / "KMNIST" / "raw"
    folder.mkdir(parents=True)
    for part, count in (("train", 60), ("t10k", 20)):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(noise(count, 28, 28)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx((np.arange(count) % 10).astype(np.uint8)))


def write_emnist_letters(root: Path) -> None:
    folder = root / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    pixels = np.zeros((104, 28, 28), np.uint8)
    pixels[:, 3, :] = 255  # a column, lying on its side
    for part in ("train", "test"):
        (folder / f"emnist-letters-{part}-images-idx3-ubyte").write_bytes(idx(pixels))
        codes = (np.arange(104) % 26 + 1).astype(np.uint8)
        (folder / f"emnist-letters-{part}-labels-idx1-ubyte").write_bytes(idx(codes))


def write_usps(root: Path) -> None:
    for name, count in (("usps.bz2", 60), ("usps.t.bz2", 20)):
        pixels = RNG.uniform(-1, 1, (count, 256))
        rows = [" ".join(f"{i}:{value:.3f}" for i, value in enumerate(row, start=1)) for row in pixels]
        lines = [f"{number % 10 + 1} {row}" for number, row in enumerate(rows)]
        (root / name).write_bytes(bz2.compress("\n".join(lines).encode()))


def write_gtsrb(root: Path) -> None:
    for code in range(3):
        for number in range(12):
            photo(root / "gtsrb" / "GTSRB" / "Training" / f"{code:05d}" / f"{number}.ppm")
    rows = []
    for number in range(6):
        photo(root / "gtsrb" / "GTSRB" / "Final_Test" / "Images" / f"{number:05d}.ppm")
        rows.append({"Filename": f"{number:05d}.ppm", "ClassId": number % 3})
    with (root / "gtsrb" / "GT-final_test.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["Filename", "ClassId"], delimiter=";")
        writer.writeheader()
        writer.writerows(rows)


def write_eurosat(root: Path) -> None:
    for name in ("Forest", "River", "Sea"):
        for number in range(15):
            photo(root / "eurosat" / "2750" / name / f"{number}.jpg")


def write_dtd(root: Path) -> None:
    for part in ("train", "val", "test"):
        names = [f"{kind}/{kind}_{part}{number}.jpg" for kind in ("banded", "dotted") for number in range(8)]
        for name in names:
            photo(root / "dtd" / "dtd" / "images" / name)
        labels = root / "dtd" / "dtd" / "labels"
        labels.mkdir(exist_ok=True)
        (labels / f"{part}1.txt").write_text("\n".join(names) + "\n")


def write_flowers(root: Path) -> None:
    from scipy.io import savemat

    for number in range(1, 31):
        photo(root / "flowers-102" / "jpg" / f"image_{number:05d}.jpg")
    savemat(root / "flowers-102" / "imagelabels.mat", {"labels": np.arange(30)[None] % 3 + 1})
    ids = {
        "trnid": np.arange(1, 16)[None],
        "valid": np.arange(16, 25)[None],
        "tstid": np.arange(25, 31)[None],
    }
    savemat(root / "flowers-102" / "setid.mat", ids)


def write_food(root: Path) -> None:
    meta = root / "food-101" / "meta"
    meta.mkdir(parents=True)
    for part, count in (("train", 10), ("test", 4)):
        listed = {kind: [f"{kind}/{part}{number}" for number in range(count)] for kind in ("pizza", "sushi")}
        (meta / f"{part}.json").write_text(json.dumps(listed))
        for name in (name for names in listed.values() for name in names):
            photo(root / "food-101" / "images" / f"{name}.jpg")


def write_stl10(root: Path) -> None:
    folder = root / "stl10_binary"
    folder.mkdir()
    for part, count in (("train", 60), ("test", 20)):
        (folder / f"{part}_X.bin").write_bytes(noise(count, 3, 96, 96).tobytes())
        (folder / f"{part}_y.bin").write_bytes((np.arange(count) % 10 + 1).astype(np.uint8).tobytes())
    (folder / "unlabeled_X.bin").touch()
    (folder / "class_names.txt").write_text("\n".join(f"kind{n}" for n in range(10)))


def write_fer(root: Path) -> None:
    (root / "fer2013").mkdir()
    with (root / "fer2013" / "fer2013.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"])
        for usage, count in (("Training", 70), ("PublicTest", 7), ("PrivateTest", 7)):
            writer.writerows([n % 7, " ".join(map(str, noise(48 * 48))), usage] for n in range(count))


def write_semeion(root: Path) -> None:
    rows = [[*RNG.integers(0, 2, 256), *np.eye(10, dtype=int)[n % 10]] for n in range(60)]
    (root / "semeion.data").write_text("\n".join(" ".join(map(str, row)) for row in rows))


def write_pets(root: Path) -> None:
    folder = root / "oxford-iiit-pet"
    (folder / "annotations" / "trimaps").mkdir(parents=True)
    for part, count in (("trainval", 16), ("test", 4)):
        lines = []
        for number in range(count):
            breed = ("Abyssinian", "beagle")[number % 2]
            name = f"{breed}_{part}{number}"
            photo(folder / "images" / f"{name}.jpg")
            trimap = np.resize(np.repeat(np.array([1, 3, 2], np.uint8), 8), (20, 24))
            Image.fromarray(trimap).save(folder / "annotations" / "trimaps" / f"{name}.png")
            lines.append(f"{name} {number % 2 + 1} {number % 2 + 1} 1")
        (folder / "annotations" / f"{part}.txt").write_text("\n".join(lines))


MADE: dict[str, tuple[Callable[[Path], None], tuple[int, int, int], tuple[int, ...], int]] = {
    "svhn": (write_svhn, (3, 32, 32), (54, 6, 20), 10),
    "kmnist": (write_kmnist, (1, 28, 28), (54, 6, 20), 10),
    "emnist-letters": (write_emnist_letters, (1, 28, 28), (94, 10, 104), 26),
    "usps": (write_usps, (1, 16, 16), (54, 6, 20), 10),
    "gtsrb": (write_gtsrb, (3, 32, 32), (32, 4, 6), 3),
    "eurosat": (write_eurosat, (3, 64, 64), (32, 4, 9), 3),
    "dtd": (write_dtd, (3, 128, 128), (16, 16, 16), 1),
    "flowers102": (write_flowers, (3, 128, 128), (15, 9, 6), 3),
    "food101": (write_food, (3, 128, 128), (18, 2, 8), 1),
    "stl10": (write_stl10, (3, 96, 96), (54, 6, 20), 10),
    "fer2013": (write_fer, (1, 48, 48), (63, 7, 14), 7),
    "semeion": (write_semeion, (1, 16, 16), (42, 6, 12), 10),
    "pets": (write_pets, (3, 128, 128), (14, 2, 4), 1),
}
"""For each: what writes it, and the shape, part lengths and outputs that are expected."""


@pytest.fixture
def any_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made files do not have the real ones' checksums."""
    import_torchvision()
    for module in ("svhn", "flowers102", "stl10", "fer2013", "semeion"):
        found = importlib.import_module(f"torchvision.datasets.{module}")
        monkeypatch.setattr(found, "check_integrity", lambda path, md5=None: Path(path).exists())


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def build(folder: Path, dataset: str, **options: Any) -> Data:
    data = DATA.build("torchvision", DataContext(folder, report=lambda _: None), dataset=dataset, **options)
    assert isinstance(data, Data)
    return data


@pytest.mark.usefixtures("any_checksum", "offline")
@pytest.mark.parametrize("name", MADE)
def test_a_made_one_is_read(name: str, tmp_path: Path) -> None:
    write, shape, lengths, outputs = MADE[name]
    write(tmp_path)
    data = build(tmp_path, name)
    assert data.spec.input_shape == shape
    assert data.test is not None
    assert (len(data.train), len(data.val), len(data.test)) == lengths
    assert data.spec.num_outputs == outputs
    assert sum(data.spec.class_counts) == lengths[0]
    assert set(data.train.targets.unique().tolist()) <= set(range(len(data.spec.class_names)))
    assert not data.notes


def test_every_name_is_in_the_table_and_every_builder_is_torchvisions() -> None:
    assert set(get_args(SetName)) == set(SOURCES)
    datasets = import_torchvision().datasets
    for source in SOURCES.values():
        assert hasattr(datasets, source.builder)


def test_letters_stand_upright_and_a_class_without_any_is_left_out(tmp_path: Path) -> None:
    write_emnist_letters(tmp_path)
    data = build(tmp_path, "emnist-letters")
    assert bool((data.train.inputs[:, 0, :, 3] == 255).all())
    assert data.spec.class_names[:2] == ("a", "b")


@pytest.mark.usefixtures("any_checksum")
def test_classes_limit_and_size(tmp_path: Path) -> None:
    write_svhn(tmp_path)
    data = build(tmp_path, "svhn", classes=["3", "7"], image_size=8)
    assert (data.spec.target, data.spec.class_names, data.spec.input_shape) == (
        "binary",
        ("3", "7"),
        (3, 8, 8),
    )
    assert len(build(tmp_path, "svhn", limit=11).train) == 11


def test_a_broken_picture_is_left_out_with_a_note(tmp_path: Path) -> None:
    write_eurosat(tmp_path)
    (tmp_path / "eurosat" / "2750" / "Sea" / "3.jpg").write_bytes(b"no picture")
    data = build(tmp_path, "eurosat")
    assert any("left out 1 " in note for note in data.notes)


def test_more_than_fits_in_memory_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_eurosat(tmp_path)
    monkeypatch.setattr("dlcore.data.torchvision_more.free_memory", lambda: 1000)
    with pytest.raises(UserError, match=r"set data\.image_size lower, or data\.limit"):
        build(tmp_path, "eurosat")


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", [name for name in SOURCES if name != "pcam"])
def test_offline_is_one_sentence_that_names_the_files_and_where_to_put_them(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as error:
        build(tmp_path, name)
    (line,) = error.value.lines
    assert SOURCES[name].files in line
    assert str(tmp_path / SOURCES[name].folder) in line
    assert "\n" not in line and len(line) < 700


@pytest.mark.parametrize("name", ["svhn", "flowers102", "kmnist"])
def test_looking_downloads_nothing(name: str, tmp_path: Path) -> None:
    with no_downloads(), pytest.raises(NotDownloaded, match=name):
        build(tmp_path, name)


def test_pets_have_masks(tmp_path: Path) -> None:
    write_pets(tmp_path)
    data = DATA.build("pet_masks", DataContext(tmp_path), image_size=24)
    assert (data.spec.target, data.spec.class_names) == ("mask", ("pet", "background"))
    assert (len(data.train), len(data.val), len(data.test)) == (14, 2, 4)
    assert set(data.train.targets.unique().tolist()) == {0, 1, NOT_JUDGED}
    assert bool((data.train.targets[:, :, 0] == 0).all())


@pytest.mark.usefixtures("offline")
def test_pets_that_are_not_here_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"put images\.tar\.gz and annotations\.tar\.gz into") as error:
        DATA.build("pet_masks", DataContext(tmp_path, report=lambda _: None))
    assert len(error.value.lines) == 1
