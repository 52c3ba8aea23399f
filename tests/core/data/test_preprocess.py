"""The same preprocessing serves training and prediction, from plain data."""

from __future__ import annotations

import json

import pytest
import torch

from dlcore.data.preprocess import normalise_images, normaliser, preprocess, standardise
from dlcore.errors import UserError

TABLE = {
    "kind": "table",
    "columns": [
        {"name": "age", "type": "number", "median": 30.0, "mean": 40.0, "std": 10.0, "indicator": True},
        {"name": "sex", "type": "category", "values": ["female", "male"]},
        {"name": "fare", "type": "number", "median": 7.0, "mean": 0.0, "std": 2.0, "indicator": False},
    ],
    "missing": ["", "na"],
    "decimal": ".",
    "target": "survived",
}


def test_vectors_are_standardised() -> None:
    train = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    kind = json.loads(json.dumps(standardise(train)))
    assert preprocess(kind, [[2, 6], [3, 5]]).tolist() == [[0, 1], [1, 0]]


def test_pictures_are_normalised_by_channel() -> None:
    train = torch.randint(0, 256, (7, 3, 5, 5), dtype=torch.uint8)
    kind = json.loads(json.dumps(normalise_images(train)))
    scaled = train.double() / 255
    expected = (scaled - scaled.mean((0, 2, 3), keepdim=True)) / scaled.std(
        (0, 2, 3), keepdim=True, correction=0
    )
    torch.testing.assert_close(preprocess(kind, train), expected.float(), atol=1e-5, rtol=1e-5)


def test_a_blank_channel_is_not_divided_by_zero() -> None:
    kind = normalise_images(torch.zeros(2, 1, 3, 3, dtype=torch.uint8))
    assert bool((preprocess(kind, torch.ones(1, 1, 3, 3)) == 1 / 255).all())


def test_the_raw_tensor_stays_as_it_is() -> None:
    raw = torch.ones(2, 2)
    normaliser({"kind": "standardise", "mean": [3.0, 3.0], "std": [2.0, 2.0]})(raw)
    assert bool((raw == 1).all())


def test_constants_follow_the_input_to_its_device() -> None:
    prepare = normaliser({"kind": "standardise", "mean": [3.0], "std": [2.0]})
    assert prepare(torch.ones(2, 1, device="meta")).device.type == "meta"
    assert prepare(torch.ones(2, 1)).tolist() == [[-1.0], [-1.0]]


def test_rows_of_a_table_become_features() -> None:
    rows = [{"age": "50", "sex": "male", "fare": 4}, {"age": None, "sex": "other", "fare": " NA "}]
    assert preprocess(TABLE, rows).tolist() == [[1, 0, 0, 1, 2], [-1, 1, 0, 0, 3.5]]


def test_a_missing_column_and_a_wrong_cell_are_sentences() -> None:
    with pytest.raises(UserError, match=r"column 'fare' is missing; needed are age, sex, fare"):
        preprocess(TABLE, [{"age": "1", "sex": "male"}])
    with pytest.raises(UserError, match=r"column 'age' should hold numbers, got 'old'"):
        preprocess(TABLE, [{"age": "old", "sex": "male", "fare": "1"}])


def test_no_rows_are_no_features() -> None:
    assert preprocess(TABLE, []).shape == (0, 5)


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="standardise, image, table"):
        preprocess({"kind": "audio"}, [])


def test_imagenets_statistics_are_taken_when_asked_for() -> None:
    images = torch.randint(0, 256, (5, 3, 4, 4), dtype=torch.uint8)
    facts = normalise_images(images, statistics="imagenet")
    assert (facts["mean"], facts["std"]) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert len(normalise_images(images[:, :1], statistics="imagenet")["mean"]) == 1
    middle = torch.full((1, 3, 4, 4), 255 * 0.485)
    assert abs(float(normaliser(facts)(middle)[0, 0, 0, 0])) < 1e-4
