"""Image folders: layouts, unreadable files, memory or disk, the same pictures either way."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dlcore.data import image_folder as image_folder_module
from dlcore.data.batches import Batches
from dlcore.data.pictures import PictureSize, UnreadablePictureError, read_picture
from dlcore.data.preprocess import preprocess
from dlcore.data.spec import Data, DataContext, DatasetPart, DataSpec, Part, TensorPart
from dlcore.errors import UserError
from dlcore.registry import DATA

SMALL = PictureSize(3, 8, 8)


def save(path: Path, colour: tuple[int, int, int] = (200, 30, 30), size: tuple[int, int] = (12, 10)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def fill(folder: Path, classes: dict[str, int]) -> Path:
    """So many noisy pictures of each class."""
    rng = np.random.default_rng(0)
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (10, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02}.png")
    return folder


def build(path: Path, **options: Any) -> Data:
    data = DATA.build(
        "folder",
        DataContext(Path("nowhere"), report=lambda line: None),
        path=str(path),
        **{"image_size": 8, **options},
    )
    assert isinstance(data, Data)
    return data


def sizes(data: Data) -> list[int]:
    return [len(part) for part in (data.train, data.val, data.test) if part is not None]


def whole(part: Part) -> tuple[torch.Tensor, torch.Tensor]:
    (batch,) = Batches(part, len(part), seed=0, device="cpu", shuffle=False, train=False).epoch(0)
    return batch.inputs, batch.targets


def test_class_folders_are_split(tmp_path: Path) -> None:
    data = build(fill(tmp_path, {"cat": 20, "dog": 10, "eel": 10}), val=0.2, test=0.1)
    assert sizes(data) == [28, 8, 4]
    assert data.spec.class_names == ("cat", "dog", "eel") and data.spec.class_counts == (14, 7, 7)
    assert (data.spec.target, data.spec.num_outputs, data.spec.input_shape) == ("class", 3, (3, 8, 8))
    assert whole(data.val)[1].bincount().tolist() == [4, 2, 2]


def test_part_folders_are_the_parts(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("Valid", 3), ("test", 2)):
        fill(tmp_path / part, {"ants": count, "bees": count})
    data = build(tmp_path)
    assert sizes(data) == [12, 6, 4]
    assert (data.spec.target, data.spec.num_outputs) == ("binary", 1)


def test_a_missing_part_is_taken_from_training(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"ants": 10, "bees": 10})
    fill(tmp_path / "val", {"ants": 3, "bees": 3})
    assert sizes(build(tmp_path, test=0.2)) == [16, 6, 4]
    assert sizes(build(tmp_path, test=0)) == [20, 6]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert build(fill(tmp_path, {"bus": 8, "train": 8})).spec.class_names == ("bus", "train")


def test_pictures_in_deeper_folders_count_and_hidden_files_do_not(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 6, "b": 6, "b/more": 3})
    save(tmp_path / "a" / ".hidden.png")
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    data = build(tmp_path)
    assert sum(sizes(data)) == 15
    assert len(data.notes) == 1 and "notes.txt" in data.notes[0]


def test_a_class_that_training_lacks_is_left_out_with_a_note(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"ants": 10, "bees": 10})
    fill(tmp_path / "val", {"ants": 3, "bees": 3, "wasps": 3})
    data = build(tmp_path, test=0)
    assert sizes(data) == [20, 6]
    assert any("wasps" in note for note in data.notes)


def test_unreadable_pictures_are_left_out_and_named(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 6, "b": 6})
    (tmp_path / "a" / "text.png").write_text("not a picture")
    whole_file = (tmp_path / "a" / "00.png").read_bytes()
    (tmp_path / "b" / "torn.png").write_bytes(whole_file[: len(whole_file) // 2])
    data = build(tmp_path)
    (note,) = data.notes
    assert sum(sizes(data)) == 12
    assert note.startswith("left out 2 ") and "a/text.png (not a picture)" in note and "b/torn.png" in note


def test_a_class_without_readable_pictures_is_left_out(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 6, "c": 6})
    fill(tmp_path / "val", {"a": 2, "b": 2, "c": 2})
    (tmp_path / "train" / "b").mkdir()
    (tmp_path / "train" / "b" / "bad.png").write_bytes(b"bad")
    data = build(tmp_path, test=0)
    assert data.spec.class_names == ("a", "c") and sizes(data) == [12, 4]
    assert whole(data.val)[1].tolist() == [0, 0, 1, 1]


def test_only_unreadable_pictures_are_an_error_that_names_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bad.jpg").write_bytes(b"bad")
    with pytest.raises(UserError) as caught:
        build(tmp_path)
    assert "readable" in caught.value.lines[0] and "a/bad.jpg" in caught.value.lines[1]


@pytest.mark.parametrize(
    ("classes", "what"),
    [({}, "there are none"), ({"cat": 3}, "only 'cat'"), ({"cat": 1, "dog": 1}, "too few")],
)
def test_too_little_is_a_sentence(tmp_path: Path, classes: dict[str, int], what: str) -> None:
    with pytest.raises(UserError, match=what):
        build(fill(tmp_path, classes))


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        build(save(tmp_path / "a.png"))


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises so many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 99))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [9_440, 60_000])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, side: int) -> None:
    fill(tmp_path, {"a": 6, "b": 6})
    (tmp_path / "a" / "bomb.png").write_bytes(png_claiming(side, side))
    (note,) = build(tmp_path).notes
    assert "a/bomb.png" in note and "pixels" in note


@pytest.mark.parametrize("augment", ["none", "flip-crop", "resized-crop"])
def test_memory_and_disk_give_the_same_batches(tmp_path: Path, augment: str) -> None:
    fill(tmp_path, {"a": 9, "b": 9})
    memory, disk = (build(tmp_path, cache=cache, augment=augment) for cache in ("memory", "disk"))
    assert isinstance(memory.train, TensorPart) and isinstance(disk.train, DatasetPart)
    assert memory.spec == disk.spec
    for first, second in zip(
        Batches(memory.train, 4, seed=3, device="cpu", shuffle=True, train=True).epoch(1),
        Batches(disk.train, 4, seed=3, device="cpu", shuffle=True, train=True).epoch(1),
        strict=True,
    ):
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_workers_decode_the_same_pictures(tmp_path: Path) -> None:
    data = build(fill(tmp_path, {"a": 9, "b": 9}), cache="disk", augment="flip")
    batches = [
        Batches(data.train, 4, seed=3, device="cpu", shuffle=True, train=True, workers=workers)
        for workers in (0, 2)
    ]
    for first, second in zip(batches[0].epoch(1), batches[1].epoch(1), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    batches[1].close()


def test_what_does_not_fit_in_memory_is_read_from_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_folder_module, "free_memory", lambda: 4 * 18 * 192 - 1)
    fill(tmp_path, {"a": 9, "b": 9})
    data = build(tmp_path)
    assert isinstance(data.train, DatasetPart)
    assert "read from disk" in data.notes[-1]


def test_a_picture_that_breaks_during_training_is_a_sentence(tmp_path: Path) -> None:
    data = build(fill(tmp_path, {"a": 9, "b": 9}), cache="disk")
    for path in tmp_path.rglob("*.png"):
        path.write_bytes(b"broken")
    with pytest.raises(UserError, match=r"\.png cannot be read \(not a picture\)"):
        next(Batches(data.train, 4, seed=0, device="cpu", shuffle=True, train=True).epoch(0))


def test_statistics_come_from_the_training_part(tmp_path: Path) -> None:
    data = build(fill(tmp_path, {"a": 20, "b": 20}), channels="gray")
    assert isinstance(data.train, TensorPart) and data.spec.input_shape == (1, 8, 8)
    scaled = data.train.inputs.double() / 255
    assert data.spec.preprocessing["mean"] == pytest.approx([scaled.mean().item()])
    assert data.spec.preprocessing["std"] == pytest.approx([scaled.std(correction=0).item()])


def test_prediction_reads_a_picture_as_training_did(tmp_path: Path) -> None:
    data = build(fill(tmp_path, {"a": 9, "b": 9}))
    spec = DataSpec.from_dict(json.loads(json.dumps(data.spec.to_dict())))
    assert spec == data.spec
    again = [
        preprocess(spec.preprocessing, read_picture(path, PictureSize.of(spec.preprocessing))[None])[0]
        for path in sorted(tmp_path.rglob("*.png"))
    ]
    inputs = torch.cat([whole(part)[0] for part in (data.train, data.val, data.test) if part])
    assert all(any(torch.equal(one, other) for other in inputs) for one in again)


def test_a_picture_is_scaled_to_cover_and_cut_at_the_centre(tmp_path: Path) -> None:
    stripes = np.zeros((10, 30, 3), np.uint8)
    stripes[:, 10:20] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    assert int(read_picture(tmp_path / "stripes.png", SMALL)[:, :, 2:6].min()) > 200


def test_photos_are_turned_upright(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8))
    picture.paste((255, 255, 255), (0, 0, 8, 4))  # white above
    exif = Image.Exif()
    exif[0x0112] = 3  # taken upside down
    picture.save(tmp_path / "turned.png", exif=exif)
    turned = read_picture(tmp_path / "turned.png", SMALL)
    assert int(turned[:, :3].max()) < 60 and int(turned[:, 5:].min()) > 200


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 100, 100),
        ("1", 1, 255),
        ("I;16", 257 * 100, 100),
        ("RGBA", (0, 0, 0, 0), 255),
        ("LA", (0, 255), 0),
        ("P", 0, 0),
        ("CMYK", (0, 0, 0, 255), 0),
    ],
)
def test_pictures_of_every_mode_become_bytes(tmp_path: Path, mode: str, colour: Any, expected: int) -> None:
    path = tmp_path / ("picture.tif" if mode == "CMYK" else "picture.png")
    Image.new(mode, (9, 9), colour).save(path)
    for channels in (1, 3):
        picture = read_picture(path, PictureSize(channels, 8, 8))
        assert picture.dtype == torch.uint8 and tuple(picture.shape) == (channels, 8, 8)
        assert picture.float().mean().item() == pytest.approx(expected, abs=1)


def test_other_formats_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")
    with pytest.raises(UnreadablePictureError, match="not a picture"):
        read_picture(tmp_path / "page.png", SMALL)


def test_real_ants_and_bees(real_data: Path) -> None:
    data = build(real_data / "hymenoptera", image_size=32, augment="resized-crop")
    assert data.spec.class_names == ("ants", "bees") and data.notes == ()
    assert sizes(data) == [208, 153, 37]
