"""Every shipped preset: it loads, its header says what to run, its suggestions load, and it trains three steps."""

from __future__ import annotations

import pickle
import re
import struct
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from dlcore import assembly
from dlcore import preset as presets
from dlcore.chapters import TITLES
from dlcore.data.picking import pick
from dlcore.data.spec import DataSpec
from dlcore.errors import NotFoundError
from dlcore.registry import MODELS
from tests.core.preset_runs import train

PRESETS = presets.shipped()
PLAYED = "cartpole-policy"
"""It has to play to know its batch."""
BUNDLED = {
    *("breast_cancer", "circles", "diabetes", "digits", "iris", "moons", "scenes", "spirals", "wine"),
    *("gymnasium", "python_docs", "source_code"),
}
OWN = {"csv", "folder", "masks", "series", "text", "text_file"}
DOWNLOADED = {"cifar10", "cifar100", "fashion", "mnist"}
THREE_STEPS = ["training.max_steps=3", "training.device=cpu"]
SHORTER = {
    "cifar10-fast": ["training.batch_size=100", "model.widths=[8, 8, 8]"],
    "code-transformer": ["data.snippets=60"],
    "docs-gpt": ["task.new_tokens=5"],
    "shakespeare-gpt": ["task.new_tokens=5"],
    "shakespeare-gpt-gpu": [
        "task.new_tokens=5", "training.batch_size=2", "training.workers=0", "data.window=64", "model.layers=1"
    ],
}  # fmt: skip
each_preset = pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)


def test_presets_are_shipped() -> None:
    assert len(PRESETS) >= 15


def test_each_chapter_has_its_lessons_in_an_order() -> None:
    chapters: dict[int, list[int]] = {}
    for path in PRESETS:
        about = presets.load(path, builders=False).about
        chapters.setdefault(about.chapter, []).append(about.lesson)

    assert set(chapters) == set(TITLES)
    for chapter, lessons in chapters.items():
        assert sorted(lessons) == list(range(1, len(lessons) + 1)), f"chapter {chapter}"


@each_preset
def test_loads_with_every_option_checked(path: Path) -> None:
    preset = presets.load(path.stem, builders=True)

    assert preset.data.name in BUNDLED | DOWNLOADED | OWN


@each_preset
def test_says_what_it_is_and_how_to_run_it(path: Path) -> None:
    header = path.read_text().partition("\n[")[0]
    about = presets.load(path, builders=False).about

    assert all(line.startswith("#") for line in header.splitlines() if line)
    assert f"dltui run {path.stem}" in header
    assert re.search("two (idle )?cores", header), "time and result as they were seen"
    assert about.title
    assert about.summary.endswith((".", "..."))
    assert about.chapter >= 1
    assert about.teaches.strip()
    assert about.try_


@each_preset
def test_what_is_not_here_is_said_with_where_it_comes_from(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    preset = presets.load(path, builders=True)
    weights = preset.model.options.get("weights", "")

    if preset.data.name in OWN:
        with pytest.raises(NotFoundError) as error:
            assembly.build_data(preset, print)
        assert error.value.lines[1:] == (preset.about.needs,)
        assert "Needs --set data.path=" in preset.about.summary
    elif preset.data.name in DOWNLOADED:
        assert re.search(r"MB\) is downloaded once", path.read_text())
    if weights.endswith(".th"):
        assert weights in preset.about.needs
        assert "model.weights=..." in preset.about.summary
    assert bool(preset.about.needs) == (preset.data.name in OWN or weights.endswith(".th"))


@each_preset
def test_every_suggestion_loads_and_changes_something(path: Path) -> None:
    as_shipped = presets.load(path, builders=True)

    for suggestion in as_shipped.about.try_:
        assert suggestion.say.endswith((".", ")."))
        assert presets.load(path, suggestion.set, builders=True) != as_shipped, suggestion.set


@pytest.fixture
def data_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Puts a preset's data where it looks for them."""
    monkeypatch.setenv("DLTUI_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)  # where the presets of own files look for theirs
    return lambda path: STAND_INS.get(path.stem, lambda folder: None)(tmp_path)


@each_preset
def test_every_suggestion_takes_the_data_it_asks_for(path: Path, data_of: Callable[[Path], None]) -> None:
    data_of(path)
    shorter = SHORTER.get(path.stem, [])
    as_shipped = presets.load(path, shorter, builders=True)
    data = assembly.build_data(as_shipped, print)

    for suggestion in as_shipped.about.try_:
        changed = presets.load(path, [*shorter, *suggestion.set], builders=True)
        its_data = data if changed.data == as_shipped.data else assembly.build_data(changed, print)
        task = assembly.rebuild(changed, its_data.spec)
        loss, _ = task.loss(pick(its_data.train, [0, 1], "cpu"), task.phases[0].name)
        assert loss.isfinite(), suggestion.set


@each_preset
def test_trains_three_steps(path: Path, tmp_path: Path, data_of: Callable[[Path], None]) -> None:
    data_of(path)

    summary = train(path.stem, tmp_path / "runs", *THREE_STEPS, *SHORTER.get(path.stem, []))

    assert summary.status == "finished"
    assert summary.step == 3


# Stand-ins for data that is not bundled: the formats and names are real, the content is noise.

RNG = np.random.default_rng(0)


def codes(count: int, classes: int) -> NDArray[np.uint8]:
    return np.arange(count, dtype=np.uint8) % classes


def write_idx_set(folder: Path) -> None:
    folder.mkdir(parents=True)
    for part, count in (("train", 1000), ("t10k", 50)):
        for kind, values in (
            ("images-idx3", RNG.integers(0, 256, (count, 28, 28), np.uint8)),
            ("labels-idx1", codes(count, 10)),
        ):
            head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
            (folder / f"{part}-{kind}-ubyte").write_bytes(head + values.tobytes())


def write_digits_and_clothes(folder: Path) -> None:
    write_idx_set(folder / "MNIST" / "raw")
    write_idx_set(folder / "FashionMNIST" / "raw")


CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def write_cifar10(folder: Path) -> None:
    folder.mkdir()
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        batch = {
            "data": RNG.integers(0, 256, (100, 3 * 32 * 32), np.uint8),
            "labels": codes(100, 10).tolist(),
        }
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": CIFAR}))


def write_masks(folder: Path) -> None:
    """Small as they are, they let a step of U-Net take no time."""
    for name in ("image", "label"):
        (folder / name).mkdir(parents=True)
    for number in range(30):
        pixels = RNG.integers(0, 256, (32, 32), np.uint8)
        Image.fromarray(pixels).save(folder / "image" / f"{number}.png")
        Image.fromarray((pixels > 60).astype(np.uint8) * 255).save(folder / "label" / f"{number}.png")


def write_weights(path: Path) -> None:
    """A ResNet-20 for ten classes, in the file as its author wrote it."""
    torch.manual_seed(0)
    model = MODELS.build("resnet", DataSpec("image", (3, 32, 32), "class", 10))
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"state_dict": state, "best_prec1": 10.0}, path)


def write_titanic(path: Path) -> None:
    lines = ["survived,sex,age,fare,class,who,adult_male,embark_town,alive"]
    for n in range(200):
        sex, age = ("male", "female")[n % 2], n % 70 if n % 5 else ""
        lines.append(f"{n % 2},{sex},{age},{n * 1.5},First,man,True,Cork,no")
    path.write_text("\n".join(lines))


def write_passengers(path: Path) -> None:
    months = [f"{1949 + n // 12}-{n % 12 + 1:02},{100 + n + 20 * (n % 12)}" for n in range(144)]
    path.write_text("\n".join(["Month,Passengers", *months]))


def write_pictures(folder: Path) -> None:
    for part, count in (("train", 80), ("val", 10)):
        for name in ("ants", "bees"):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = RNG.integers(0, 256, (20, 24, 3), np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{number}.png")


def write_texts(path: Path) -> None:
    header = "name,language" if path.stem == "names" else "text,label"
    lines = [f"word{n} and word{n % 7} {'so' * (n % 5)},{('this', 'that')[n % 2]}" for n in range(200)]
    path.write_text("\n".join([header, *lines]))


def write_story(path: Path) -> None:
    path.write_text("".join(f"Scene {n}. Enter a fox, and speaks.\n" for n in range(100)))


STAND_INS: dict[str, Callable[[Path], object]] = {
    "mnist-mlp": lambda folder: write_idx_set(folder / "MNIST" / "raw"),
    "mnist-cnn": lambda folder: write_idx_set(folder / "MNIST" / "raw"),
    "mnist-fast": lambda folder: write_idx_set(folder / "MNIST" / "raw"),
    "mnist-dcgan": write_digits_and_clothes,
    "mnist-diffusion": write_digits_and_clothes,
    "fashion-cnn": lambda folder: write_idx_set(folder / "FashionMNIST" / "raw"),
    "fashion-vae": lambda folder: write_idx_set(folder / "FashionMNIST" / "raw"),
    "cifar10-resnet": lambda folder: write_cifar10(folder / "cifar-10-batches-py"),
    "cifar10-fast": lambda folder: write_cifar10(folder / "cifar-10-batches-py"),
    "passengers-lstm": lambda folder: write_passengers(folder / "airline-passengers.csv"),
    "titanic-mlp": lambda folder: write_titanic(folder / "titanic.csv"),
    "names-gru": lambda folder: write_texts(folder / "names.csv"),
    "sentiment-lstm": lambda folder: write_texts(folder / "rt_polarity.csv"),
    "sentiment-transformer": lambda folder: write_texts(folder / "rt_polarity.csv"),
    "shakespeare-gpt": lambda folder: write_story(folder / "tinyshakespeare.txt"),
    "shakespeare-gpt-gpu": lambda folder: write_story(folder / "tinyshakespeare.txt"),
    "ants-bees-cnn": lambda folder: write_pictures(folder / "hymenoptera_data"),
    "ants-bees-transfer": lambda folder: (
        write_pictures(folder / "hymenoptera_data"),
        write_weights(folder / "resnet20-12fca82f.th"),
    ),
    "cifar10-transfer": lambda folder: (
        write_cifar10(folder / "cifar-10-batches-py"),
        write_weights(folder / "resnet20-12fca82f.th"),
    ),
    "digits-0-4": lambda folder: write_idx_set(folder / "MNIST" / "raw"),
    "digits-transfer": lambda folder: (
        write_idx_set(folder / "MNIST" / "raw"),
        train("digits-0-4", folder / "runs", *THREE_STEPS),
    ),
    "fashion-vit": lambda folder: write_idx_set(folder / "FashionMNIST" / "raw"),
    "membrane-unet": lambda folder: write_masks(folder / "membrane"),
}


def with_batches(few: Collection[str]) -> list[Any]:
    """Parameters of a test: names of all presets that know their batch, all but a few of them slow."""
    names = [path.stem for path in PRESETS if path.stem != PLAYED]
    return [pytest.param(name, marks=() if name in few else pytest.mark.slow) for name in names]


def with_stand_in(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up data where a preset looks for its own, and a working folder beside it."""
    monkeypatch.setenv("DLTUI_DATA", str(folder))
    monkeypatch.chdir(folder)
    STAND_INS.get(name, lambda folder: None)(folder)
