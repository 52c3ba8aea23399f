"""Every registered data set that needs no files keeps what its spec promises."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch

from dlcore.data.batches import Batches
from dlcore.data.preprocess import normaliser
from dlcore.data.spec import Data, DataContext, DataSpec, Part, TensorPart
from dlcore.errors import UserError
from dlcore.registry import DATA
from dlcore.vocabulary import from_plain

NAMES = [entry.name for entry in DATA.entries() if entry.group in ("bundled", "toy")]
MEASURED = [name for name in NAMES if DATA.entry(name).tags["input"] != "tokens"]
JUDGED = [name for name in NAMES if DATA.entry(name).tags["target"] != "tokens"]


@cache
def load(name: str, seed: int = 0) -> Data:
    data = DATA.build(name, DataContext(Path("nowhere"), seed=seed))
    assert isinstance(data, Data)
    return data


def whole(part: Part) -> tuple[torch.Tensor, torch.Tensor]:
    batches = Batches(part, len(part), seed=0, device="cpu", shuffle=False, train=False)
    (batch,) = batches.epoch(0)
    return batch.inputs, batch.targets


def parts(data: Data) -> list[Part]:
    return [part for part in (data.train, data.val, data.test) if part is not None]


def test_the_sets_are_found() -> None:
    assert {"digits", "iris", "wine", "breast_cancer", "diabetes", "moons", "circles", "spirals"} <= set(
        NAMES
    )
    assert {"mnist", "fashion", "cifar10", "cifar100", "csv", "folder"} <= set(DATA.names())
    assert {"text", "text_file", "python_docs", "source_code"} <= set(DATA.names())


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_as_the_spec_says(name: str) -> None:
    data = load(name)
    for part in parts(data):
        inputs, _ = whole(part)
        assert tuple(inputs.shape[1:]) == data.spec.input_shape
        assert inputs.dtype == getattr(torch, data.spec.input_dtype)
        assert bool(torch.isfinite(inputs).all())


@pytest.mark.parametrize("name", NAMES)
def test_targets_are_as_the_spec_says(name: str) -> None:
    data = load(name)
    spec = data.spec
    for part in parts(data):
        _, targets = whole(part)
        if spec.target == "number":
            assert targets.dtype == torch.float32 and tuple(targets.shape[1:]) == (spec.num_outputs,)
            continue
        if spec.target == "tokens":
            assert targets.dtype == torch.int64 and targets.shape == (len(part), *spec.input_shape)
            assert 0 <= int(targets.min()) <= int(targets.max()) < spec.num_outputs == len(spec.vocabulary)
            continue
        classes = len(spec.class_names)
        assert spec.num_outputs == (1 if spec.target == "binary" else classes)
        assert (classes == 2) == (spec.target == "binary")
        size = spec.input_shape[1:] if spec.target == "mask" else ()
        assert targets.dtype == torch.int64 and targets.shape == (len(part), *size)
        assert targets.unique().tolist() == list(range(classes))


@pytest.mark.parametrize("name", JUDGED)
def test_facts_about_targets_are_those_of_the_training_part(name: str) -> None:
    data = load(name)
    _, targets = whole(data.train)
    if data.spec.target == "number":
        torch.testing.assert_close(torch.tensor(data.spec.target_offset), targets.mean(0))
        torch.testing.assert_close(torch.tensor(data.spec.target_scale), targets.std(0, correction=0))
        assert len(data.spec.target_names) == data.spec.num_outputs
    else:
        assert data.spec.class_counts == tuple(torch.bincount(targets.flatten()).tolist())


@pytest.mark.parametrize("name", MEASURED)
def test_the_training_part_alone_is_centred(name: str) -> None:
    data = load(name)
    inputs, _ = whole(data.train)
    axes = [0, 2, 3] if data.spec.input == "image" else [0]
    torch.testing.assert_close(inputs.mean(axes), torch.zeros(inputs.shape[1]), atol=1e-4, rtol=0)
    torch.testing.assert_close(inputs.std(axes, correction=0), torch.ones(inputs.shape[1]), atol=1e-3, rtol=0)
    held_back, _ = whole(data.val)
    assert float(held_back.mean(axes).abs().max()) > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_the_split(name: str) -> None:
    first, other = load(name), load(name, seed=1)
    again = DATA.build(name, DataContext(Path("nowhere"), seed=0))
    assert torch.equal(whole(first.val)[0], whole(again.val)[0])
    assert not torch.equal(whole(first.val)[0], whole(other.val)[0])


@pytest.mark.parametrize("name", NAMES)
def test_the_spec_survives_json(name: str) -> None:
    spec = load(name).spec
    assert DataSpec.from_dict(json.loads(json.dumps(spec.to_dict(), allow_nan=False))) == spec


@pytest.mark.parametrize("name", MEASURED)
def test_preprocessing_is_the_one_that_the_batches_went_through(name: str) -> None:
    data = load(name)
    if isinstance(data.train, TensorPart) and data.train.prepare:
        expected = normaliser(data.spec.preprocessing)(data.train.inputs)
        assert torch.equal(whole(data.train)[0], expected)
    else:
        assert data.spec.preprocessing["kind"] == "standardise"
        assert len(data.spec.preprocessing["mean"]) == len(data.spec.feature_names)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(MEASURED)))
def test_the_tokenizer_that_made_the_ids_is_kept(name: str) -> None:
    spec = load(name).spec
    tokenizer = from_plain(json.loads(json.dumps(spec.preprocessing["tokenizer"])))
    assert tokenizer.vocabulary == spec.vocabulary
    assert tokenizer.pad_id == spec.pad_id
    assert spec.preprocessing["length"] == spec.input_shape[0]


@pytest.mark.parametrize("name", DATA.names())
def test_every_option_is_explained(name: str) -> None:
    entry = DATA.entry(name)
    assert entry.summary
    assert [field.name for field in entry.fields if not field.help] == []
    assert {"input", "target"} <= set(entry.tags)


def test_digits_are_normalised_by_their_own_scale() -> None:
    train = load("digits").train
    assert isinstance(train, TensorPart) and train.inputs.dtype == torch.uint8
    assert int(train.inputs.max()) == 16
    assert load("digits").spec.preprocessing["scale"] == 16


def test_two_species_are_a_yes_no_question() -> None:
    data = DATA.build("iris", DataContext(Path("nowhere")), classes=["versicolor", "setosa"])
    assert (data.spec.target, data.spec.num_outputs) == ("binary", 1)
    assert data.spec.class_names == ("setosa", "versicolor")
    assert sum(map(len, parts(data))) == 100


@pytest.mark.parametrize(
    ("classes", "what"), [(["setosa"], "at least 2"), (["setos", "virginica"], "'setosa'")]
)
def test_wrong_species_are_a_sentence(classes: list[str], what: str) -> None:
    with pytest.raises(UserError, match=what):
        DATA.build("iris", DataContext(Path("nowhere")), classes=classes)


def test_two_spiral_arms_are_a_yes_no_question() -> None:
    data = DATA.build("spirals", DataContext(Path("nowhere")), arms=2)
    assert data.spec.target == "binary" and data.spec.class_names == ("arm 1", "arm 2")


def test_no_noise_puts_circles_on_their_radius() -> None:
    data = DATA.build("circles", DataContext(Path("nowhere")), noise=0, factor=0.25, samples=100)
    scale = torch.tensor(data.spec.preprocessing["std"])
    points = whole(data.train)[0] * scale + torch.tensor(data.spec.preprocessing["mean"])
    radius = torch.where(whole(data.train)[1] == 1, 0.25, 1.0)
    torch.testing.assert_close(points.norm(dim=1).float(), radius, atol=1e-5, rtol=0)


def test_toy_points_do_not_depend_on_the_seed_that_splits_them() -> None:
    ranges = []
    for seed in (0, 1):
        data = load("moons", seed)
        mean, std = (torch.tensor(data.spec.preprocessing[key]) for key in ("mean", "std"))
        points = torch.cat([whole(part)[0] * std + mean for part in parts(data)])
        ranges.append(points.sort(0).values)
    torch.testing.assert_close(ranges[0], ranges[1], atol=1e-5, rtol=0)
