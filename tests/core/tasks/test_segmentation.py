"""Segmentation: losses against formulas written out, metrics against scikit-learn, what is not judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score, jaccard_score
from torch import Tensor, nn

from dlcore.data.spec import NOT_JUDGED, Batch, DataSpec
from dlcore.errors import UserError
from dlcore.tasks.pictures import as_pixels, colour_of, painted
from dlcore.tasks.segmentation import Segmentation, dice_loss


class Fixed(nn.Module):
    """Answers what it was given."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.logits[: len(inputs)]


def spec(outputs: int, **facts: Any) -> DataSpec:
    classes = max(2, outputs)
    names = tuple(f"class {n}" for n in range(classes))
    return DataSpec("image", (1, 6, 5), "mask", outputs, class_names=names, **facts)


def case(outputs: int, seed: int = 0, unjudged: bool = False) -> tuple[Tensor, Batch]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, outputs, 6, 5, generator=generator)
    masks = torch.randint(0, max(2, outputs), (4, 6, 5), generator=generator)
    if unjudged:
        masks[:, 0] = NOT_JUDGED
    return logits, Batch(torch.randn(4, 1, 6, 5, generator=generator), masks, torch.arange(4))


def task(logits: Tensor, **options: Any) -> Segmentation:
    return Segmentation(Fixed(logits), spec(logits.shape[1]), **options)


@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_dice_is_twice_the_overlap_by_the_sizes(outputs: int) -> None:
    logits, batch = case(outputs)
    found = logits.sigmoid() if outputs == 1 else logits.softmax(1)
    each = []
    for sample in range(4):
        classes = []
        for plane in range(outputs):
            wanted = (batch.targets[sample] == (1 if outputs == 1 else plane)).float()
            if outputs == 1 or wanted.any():
                p = found[sample, plane]
                classes.append(1 - (2 * (p * wanted).sum() + 1) / (p.sum() + wanted.sum() + 1))
        each.append(sum(classes) / len(classes))
    loss, _ = task(logits, loss="dice").loss(batch, "main")
    torch.testing.assert_close(loss, torch.stack(each).mean())


def test_dice_is_nothing_for_a_perfect_mask_and_nearly_all_for_an_opposite_one() -> None:
    mask = torch.tensor([[[0, 1], [1, 1]]]).repeat_interleave(20, 1).repeat_interleave(20, 2)
    sure = (mask[:, None] * 2 - 1) * 50.0
    assert dice_loss(sure, mask, alone=True) < 1e-6
    assert dice_loss(-sure, mask, alone=True) > 0.99


@pytest.mark.parametrize(("outputs", "loss"), [(1, "ce"), (1, "bce"), (4, "ce"), (4, "bce")])
def test_cross_entropies(outputs: int, loss: str) -> None:
    logits, batch = case(outputs)
    if outputs == 1:
        expected = F.binary_cross_entropy_with_logits(logits[:, 0], batch.targets.float())
    elif loss == "ce":
        expected = F.cross_entropy(logits, batch.targets)
    else:
        one_hot = F.one_hot(batch.targets, outputs).permute(0, 3, 1, 2).float()
        expected = F.binary_cross_entropy_with_logits(logits, one_hot)
    torch.testing.assert_close(task(logits, loss=loss).loss(batch, "main")[0], expected)


@pytest.mark.parametrize("loss", ["ce", "bce"])
def test_both_are_the_sum(loss: str) -> None:
    logits, batch = case(3)
    parts = [task(logits, loss=part).loss(batch, "main")[0] for part in (loss, f"{loss}+dice")]
    alone = dice_loss(logits, batch.targets, alone=loss == "bce")
    torch.testing.assert_close(parts[1], parts[0] + alone)


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("loss", ["ce", "bce", "dice", "ce+dice", "bce+dice"])
def test_pixels_that_are_not_judged_change_nothing(outputs: int, loss: str) -> None:
    logits, batch = case(outputs, unjudged=True)
    other = logits.clone()
    other[:, :, 0] += 7
    first, second = task(logits, loss=loss), task(other, loss=loss)
    values = [each.loss(batch, "main")[0] for each in (first, second)]
    torch.testing.assert_close(values[0], values[1])
    values[0].backward()
    gradient = first.model.logits.grad
    assert not gradient[:, :, 0].any() and gradient[:, :, 1:].any() and gradient.isfinite().all()
    results = []
    for each, answers in ((first, logits), (second, other)):
        metrics = each.metrics()
        metrics.update(values[0], answers, batch)
        results.append(metrics.compute())
    assert results[0] == results[1]


def test_balanced_classes_weigh_rare_ones_more() -> None:
    logits, batch = case(3)
    weighed = Segmentation(
        Fixed(logits), spec(3, class_counts=(80, 15, 5)), loss="ce", class_weights="balanced"
    )
    weights = 100 / (3 * torch.tensor([80.0, 15.0, 5.0]))
    expected = F.cross_entropy(logits, batch.targets, weight=weights)
    torch.testing.assert_close(weighed.loss(batch, "main")[0], expected)


@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_figures_are_those_of_scikit_learn_over_batches_of_unequal_size(outputs: int) -> None:
    metrics = task(torch.zeros(1, outputs, 6, 5)).metrics()
    truth, answers = [], []
    for seed, size in ((0, 4), (1, 1), (2, 3)):
        logits, batch = case(outputs, seed)
        part = Batch(*(tensor[:size] for tensor in batch))
        metrics.update(torch.tensor(1.0), logits[:size], part)
        truth.append(part.targets.flatten())
        found = (logits[:size, 0] > 0) if outputs == 1 else logits[:size].argmax(1)
        answers.append(found.long().flatten())
    y, p = np.concatenate(truth), np.concatenate(answers)
    results, details = metrics.compute(), metrics.details()
    assert results["iou"] == pytest.approx(jaccard_score(y, p, average="macro"))
    assert results["dice"] == pytest.approx(f1_score(y, p, average="macro"))
    assert results["accuracy"] == pytest.approx((y == p).mean())
    assert details["class_iou"] == pytest.approx(list(jaccard_score(y, p, average=None)))
    assert details["class_dice"] == pytest.approx(list(f1_score(y, p, average=None)))
    assert ("iou_class-1" in results) == (outputs <= 4)


def test_no_class_left_out_of_a_mean_because_it_is_never_right() -> None:
    logits = torch.full((1, 3, 2, 2), -9.0)
    logits[:, 0] = 9
    batch = Batch(torch.zeros(1, 1, 2, 2), torch.tensor([[[0, 0], [1, 1]]]), torch.arange(1))
    metrics = task(logits).metrics()
    metrics.update(torch.tensor(0.0), logits, batch)
    assert metrics.compute()["iou"] == pytest.approx((2 / 4 + 0 / 2) / 2), (
        "class 2 is nowhere, class 1 is missed"
    )


def test_a_model_of_another_size_is_told_so() -> None:
    logits, batch = case(2)
    with pytest.raises(UserError, match="height and width of the mask"):
        task(logits[:, :, :3]).loss(batch, "main")


def test_samples_are_the_image_the_mask_and_the_prediction() -> None:
    logits, batch = case(3, unjudged=True)
    first = task(logits).samples(batch, logits)[0]
    assert [picture["name"] for picture in first["pictures"]] == ["input", "mask", "prediction"]
    right = (logits[0].argmax(0) == batch.targets[0])[1:].float().mean()
    assert first["caption"] == f"{100 * right:.1f} % of the pixels right"


def test_pictures_are_what_was_normalised() -> None:
    images = torch.randint(0, 256, (2, 3, 8, 8))
    facts = {"kind": "image", "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.1]}
    mean, std = (torch.tensor(facts[key]).view(3, 1, 1) for key in ("mean", "std"))
    described = DataSpec("image", (3, 8, 8), "class", 2, preprocessing=facts)
    assert torch.equal(as_pixels(described, (images / 255 - mean) / std).long(), images)


def test_large_pictures_are_shown_small_and_keep_their_shape() -> None:
    described = DataSpec("image", (1, 512, 128), "mask", 1)
    pixels = as_pixels(described, torch.rand(1, 1, 512, 128))
    assert pixels.shape == (1, 1, 64, 16)
    assert painted(pixels, torch.ones(1, 512, 128, dtype=torch.long)).shape == (1, 3, 64, 16)


def test_classes_have_colours_of_their_own() -> None:
    assert len({colour_of(code) for code in range(40)}) == 40
