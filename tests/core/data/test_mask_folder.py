"""Folders of images and masks: pairs by name, classes by value, and a sentence for what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from dlcore.data import mask_folder
from dlcore.data.batches import Batches
from dlcore.data.spec import NOT_JUDGED, Data, DataContext
from dlcore.errors import UserError
from dlcore.registry import DATA

RNG = np.random.default_rng(0)


def mask(values: list[int], size: tuple[int, int] = (12, 16)) -> NDArray[np.uint8]:
    """Columns of each value, one beside the other."""
    return np.resize(np.repeat(np.array(values, np.uint8), -(-size[1] // len(values)))[: size[1]], size)


def fill(root: Path, values: list[int], *, count: int = 10, images: str = "images", masks: str = "masks",
         ending: str = "") -> Path:  # fmt: skip
    """Pictures whose red says the mask's value."""
    for folder in (images, masks):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        values_here = mask(values)
        picture = np.stack([values_here, *RNG.integers(0, 256, (2, 12, 16), np.uint8)], axis=2)
        Image.fromarray(picture).save(root / images / f"{number}.png")
        Image.fromarray(values_here).save(root / masks / f"{number}{ending}.png")
    return root


def build(root: Path, **options: Any) -> Data:
    data = DATA.build("masks", DataContext(root), path=str(root), **options)
    assert isinstance(data, Data)
    return data


def lengths(data: Data) -> list[int]:
    return [len(part) for part in (data.train, data.val, data.test) if part is not None]


@pytest.mark.parametrize("images", ["images", "image", "imgs"])
@pytest.mark.parametrize(("masks", "ending"), [("masks", "_mask"), ("label", ""), ("Labels", "")])
def test_pairs_are_found_by_name(tmp_path: Path, images: str, masks: str, ending: str) -> None:
    data = build(fill(tmp_path, [0, 255], images=images, masks=masks, ending=ending), val=0.2, test=0.1)
    assert lengths(data) == [7, 2, 1]
    assert (data.spec.target, data.spec.num_outputs, data.spec.input_shape) == ("mask", 1, (3, 12, 16))
    assert data.spec.class_names == ("background", "object")


def test_part_folders_are_the_parts(tmp_path: Path) -> None:
    for part, count in (("train", 5), ("valid", 3), ("test", 2)):
        fill(tmp_path / part, [0, 1, 2], count=count)
    assert lengths(build(tmp_path)) == [5, 3, 2]


def test_a_value_is_a_class_and_a_pixel_keeps_its_own(tmp_path: Path) -> None:
    data = build(fill(tmp_path, [30, 0, 90]))
    assert data.spec.class_names == ("0", "30", "90")
    red = data.train.inputs[:, 0].long()
    assert torch.equal(torch.tensor([0, 30, 90])[data.train.targets], red)
    assert sum(data.spec.class_counts) == data.train.targets.numel()


def test_scaled_masks_keep_their_values_and_their_places(tmp_path: Path) -> None:
    data = build(fill(tmp_path, [0, 200]), image_size=6)
    assert data.spec.input_shape == (3, 6, 6)
    bright = data.train.inputs[:, 0] > 100
    assert (bright == (data.train.targets == 1)).float().mean() > 0.8


def test_above_a_threshold_is_the_object(tmp_path: Path) -> None:
    data = build(fill(tmp_path, [0, 3, 250, 255]), threshold=127)
    assert data.spec.num_outputs == 1
    assert torch.equal(data.train.targets == 1, data.train.inputs[:, 0] > 127)


def test_ignored_pixels_are_not_judged(tmp_path: Path) -> None:
    data = build(fill(tmp_path, [0, 1, 2, 255]), ignore=255)
    assert data.spec.num_outputs == 3
    assert torch.equal(data.train.targets == NOT_JUDGED, data.train.inputs[:, 0] == 255)
    assert sum(data.spec.class_counts) == int((data.train.targets != NOT_JUDGED).sum())


def test_palettes_and_colours_are_classes(tmp_path: Path) -> None:
    fill(tmp_path, [0, 1, 2])
    for path in (tmp_path / "masks").iterdir():
        picture = Image.open(path).convert("P")
        picture.putpalette([0, 0, 0, 0, 250, 0, 0, 0, 250])
        (picture.convert("RGB") if path.stem < "5" else picture).save(path)
    with pytest.raises(UserError, match=r"data\.classes names 3 classes, but the masks hold 5"):
        build(tmp_path, classes=["a", "b", "c"])  # half palette numbers, half colours
    for path in (tmp_path / "masks").iterdir():
        Image.open(path).convert("RGB").save(path)
    data = build(tmp_path, classes=["ground", "sky", "grass"])
    assert data.spec.class_names == ("ground", "sky", "grass")
    codes = torch.tensor([0, 2, 1])  # green is a larger number of 24 bits than blue
    assert torch.equal(data.train.targets, codes[data.train.inputs[:, 0].long()])


def test_memory_and_disk_give_the_same_batches(tmp_path: Path) -> None:
    fill(tmp_path, [0, 1, 2])
    batches = []
    for cache in ("memory", "disk"):
        data = build(tmp_path, cache=cache, augment="turn")
        (batch,) = Batches(data.train, 16, seed=1, device="cpu", shuffle=True, train=True).epoch(1)
        batches.append(batch)
    for first, second in zip(*batches, strict=True):
        assert torch.equal(first, second)


def test_what_does_not_fit_in_memory_is_read_from_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mask_folder, "free_memory", lambda: 100)
    data = build(fill(tmp_path, [0, 1]))
    assert any("read from disk" in note for note in data.notes)
    assert lengths(data) == [6, 2, 2]


def test_pictures_without_masks_and_broken_ones_are_left_out_and_named(tmp_path: Path) -> None:
    fill(tmp_path, [0, 1], count=12)
    (tmp_path / "masks" / "3.png").unlink()
    (tmp_path / "masks" / "5.png").write_bytes(b"no picture")
    data = build(tmp_path)
    assert sum(lengths(data)) == 10
    assert any("3.png" in note for note in data.notes) and any(
        "5.png (not a picture)" in note for note in data.notes
    )


def other_size(root: Path) -> None:
    Image.fromarray(mask([0, 1], (5, 5))).save(root / "masks" / "2.png")


def other_sizes(root: Path) -> None:
    for folder in ("images", "masks"):
        Image.fromarray(mask([0, 1], (5, 5))).save(root / folder / "2.png")


def many_values(root: Path) -> None:
    for number in range(3):
        noise = RNG.integers(0, 256, (12, 16, 3), np.uint8)
        Image.fromarray(noise).save(root / "masks" / f"{number}.png")


def one_value(root: Path) -> None:
    for path in (root / "masks").iterdir():
        Image.fromarray(mask([7])).save(path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (other_size, r"2\.png has 5×5 pixels, its picture 2\.png has 12×16"),
        (other_sizes, r"different sizes \(5×5, 12×16\): set data\.image_size"),
        (many_values, "different values, too many for classes"),
        (one_value, "have the same value"),
        (lambda root: (root / "masks").rename(root / "answers"), "one of their masks called masks"),
        (
            lambda root: [p.rename(p.with_stem(f"x{p.stem}")) for p in (root / "masks").iterdir()],
            "no picture in",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(tmp_path: Path, spoil: Any, said: str) -> None:
    spoil(fill(tmp_path, [0, 1]))
    with pytest.raises(UserError, match=said) as error:
        build(tmp_path)
    assert len(error.value.lines) == 1


def test_real_membranes(real_data: Path) -> None:
    data = build(real_data / "membrane", channels="gray")
    assert data.spec.input_shape == (1, 256, 256)
    assert data.spec.num_outputs == 1
    share = data.spec.class_counts[0] / sum(data.spec.class_counts)
    assert 0.1 < share < 0.4  # dark membranes
