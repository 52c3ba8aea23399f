"""Answers over several views of a picture are the mean of the answers to each, outside the training only."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.errors import UserError
from dlcore.tasks.classification import Classification
from dlcore.training.around import core_of

SPEC = DataSpec("image", (3, 6, 8), "class", 4, class_names=("a", "b", "c", "d"))


def task(views: str) -> Classification:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 4 * 6, 4))
    return Classification(network, SPEC, test_time=views)  # type: ignore[arg-type]


def batch() -> Batch:
    images = torch.randn(7, 3, 6, 8, generator=torch.Generator().manual_seed(1))
    return Batch(images, torch.arange(7) % 4, torch.arange(7))


def expected(views: str) -> torch.Tensor:
    """Pixel by pixel: row r of a picture shifted down is row r - 1 of the picture, |r - 1| at the border."""
    network, images = task(views).model, batch().inputs
    rows, columns = torch.arange(6), torch.arange(8)

    def shifted(by: int) -> torch.Tensor:
        down, right = ((5 - (5 - (rows + by).abs()).abs()), (7 - (7 - (columns + by).abs()).abs()))
        return images[:, :, down][..., right]

    weighted = [(0.5, images)] if views == "flip-shift" else [(1.0, images)]
    if views == "flip-shift":
        weighted += [(0.25, shifted(-1)), (0.25, shifted(1))]
    return sum(weight * (network(each) + network(each.flip(-1))) / 2 for weight, each in weighted)  # type: ignore[return-value]


@pytest.mark.parametrize("views", ["flip", "flip-shift"])
def test_the_mean_over_the_views(views: str) -> None:
    asked = task(views)
    asked.model.eval()
    loss, logits = asked.loss(batch(), "main")
    torch.testing.assert_close(logits, expected(views))
    torch.testing.assert_close(loss, F.cross_entropy(expected(views), batch().targets))


@pytest.mark.parametrize("views", ["flip", "flip-shift"])
def test_the_training_looks_once(views: str) -> None:
    asked = task(views)
    asked.model.train()
    assert torch.equal(asked.loss(batch(), "main")[1], asked.model(batch().inputs))


def test_what_is_answered_and_taken_away_is_what_was_measured() -> None:
    asked = task("flip-shift")
    asked.model.eval()
    network, inputs = asked.exported(batch().inputs)
    torch.testing.assert_close(network(*inputs), expected("flip-shift"))
    assert (
        core_of(network).state_dict().keys() == asked.model.state_dict().keys()
    )  # what a file of weights names
    (first, *_) = asked.answers(batch().inputs)
    assert first["probability"] == pytest.approx(expected("flip-shift")[0].softmax(0).max().item(), rel=1e-5)


def test_views_are_of_pictures() -> None:
    vectors = DataSpec("vector", (4,), "class", 3)
    with pytest.raises(UserError, match="is for images, but the data has 'vector'"):
        Classification(nn.Linear(4, 3), vectors, test_time="flip")
