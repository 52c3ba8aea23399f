"""Some classes of a data set, and some of its samples."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dlcore.data.spec import DataContext
from dlcore.errors import UserError
from dlcore.registry import DATA


def digits(**options: object) -> object:
    return DATA.build("digits", DataContext(Path("nowhere")), **options)


def test_codes_count_from_0_and_names_keep_the_sets_order() -> None:
    whole, some = digits(), digits(classes=["7", "3", "9"])
    assert some.spec.class_names == ("3", "7", "9")
    assert sorted(some.train.targets.unique().tolist()) == [0, 1, 2]
    sevens = {image.numpy().tobytes() for image in some.train.inputs[some.train.targets == 1]}
    parts = (whole.train, whole.val, whole.test)
    known = {i.numpy().tobytes() for part in parts for i in part.inputs[part.targets == 7]}
    assert sevens <= known


def test_two_classes_are_a_yes_no_question() -> None:
    assert (digits(classes=["0", "1"]).spec.target, digits(classes=["0", "1"]).spec.num_outputs) == (
        "binary",
        1,
    )


def test_a_limit_cuts_the_training_part_only_and_keeps_the_classes_balanced() -> None:
    whole, some = digits(), digits(limit=50)
    assert (len(some.train), len(some.val), len(some.test)) == (50, len(whole.val), len(whole.test))
    assert torch.bincount(some.train.targets).tolist() == [5] * 10


@pytest.mark.parametrize(("classes", "what"), [(["3"], "at least 2 classes"), (["3", "11"], "'11'")])
def test_wrong_ones_are_a_sentence(classes: list[str], what: str) -> None:
    with pytest.raises(UserError, match=what):
        digits(classes=classes)
