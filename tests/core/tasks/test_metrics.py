"""Our figures against scikit-learn's, on random data in batches of unequal size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn import metrics as reference
from torch import nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.tasks.classification import Classification
from dlcore.tasks.regression import Regression
from dlcore.training.task import Task


def spec(target: str, outputs: int, **more: object) -> DataSpec:
    return DataSpec(input="vector", input_shape=(outputs,), target=target, num_outputs=outputs, **more)  # type: ignore[arg-type]


def evaluated(task: Task, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    """The task's figures of outputs that reach it in batches of 7, the last one smaller."""
    metrics = task.metrics()
    index = torch.arange(len(targets))
    task.model.eval()
    for part in index.split(7):
        batch = Batch(outputs[part], targets[part], part)
        loss, seen = task.loss(batch, "main")
        metrics.update(loss, seen, batch)
    return metrics.compute()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("classes", [3, 10])
def test_classification(seed: int, classes: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(101, classes, generator=generator)
    targets = torch.randint(
        0, classes - (seed == 4), (101,), generator=generator
    )  # once, a class that never occurs
    ours = evaluated(Classification(nn.Identity(), spec("class", classes), top_k=2), logits, targets)
    predicted = logits.argmax(1)
    kind = {"average": "macro", "zero_division": 0.0}
    expected = {
        "loss": float(F.cross_entropy(logits, targets)),
        "accuracy": reference.accuracy_score(targets, predicted),
        "precision": reference.precision_score(targets, predicted, **kind),
        "recall": reference.recall_score(targets, predicted, **kind),
        "f1": reference.f1_score(targets, predicted, **kind),
        "top2": reference.top_k_accuracy_score(targets, logits, k=2, labels=range(classes)),
    }
    assert ours == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_yes_or_no(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits, targets = (
        torch.randn(50, 1, generator=generator),
        torch.randint(0, 2, (50,), generator=generator),
    )
    task = Classification(nn.Identity(), spec("binary", 1))
    ours = evaluated(task, logits, targets)
    predicted = (logits[:, 0] > 0).long()
    assert ours["accuracy"] == pytest.approx(reference.accuracy_score(targets, predicted))
    assert ours["f1"] == pytest.approx(reference.f1_score(targets, predicted, average="macro"))
    assert ours["loss"] == pytest.approx(reference.log_loss(targets, logits[:, 0].sigmoid()), rel=1e-5)


@pytest.mark.parametrize("outputs", [1, 3])
def test_regression(outputs: int) -> None:
    generator = torch.Generator().manual_seed(0)
    predictions = torch.randn(101, outputs, generator=generator) * 3 + 1000
    targets = predictions + torch.randn(101, outputs, generator=generator)
    task = Regression(nn.Identity(), spec("number", outputs))
    ours = evaluated(task, predictions, targets)
    expected = {
        "loss": float(F.mse_loss(predictions, targets)),
        "mae": reference.mean_absolute_error(targets, predictions),
        "rmse": float(np.sqrt(reference.mean_squared_error(targets, predictions))),
        "r2": reference.r2_score(targets, predictions),
    }
    assert ours == pytest.approx(expected, rel=1e-4)


def test_regression_learns_standardised_and_answers_in_units() -> None:
    task = Regression(nn.Identity(), spec("number", 1, target_offset=(100.0,), target_scale=(10.0,)))
    batch = Batch(torch.zeros(2, 1), torch.tensor([[100.0], [120.0]]), torch.arange(2))
    loss, predictions = task.loss(batch, "main")
    assert loss.item() == pytest.approx(2.0)  # 0 and 2 deviations off
    assert predictions.tolist() == [[100.0], [100.0]]


def test_balanced_weights_are_inverse_shares() -> None:
    task = Classification(nn.Identity(), spec("class", 2, class_counts=(30, 10)), class_weights="balanced")
    logits, targets = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
    loss, _ = task.loss(Batch(logits, targets, torch.arange(2)), "main")
    expected = F.cross_entropy(logits, targets, weight=torch.tensor([40 / 60, 40 / 20]))
    assert loss.item() == pytest.approx(expected.item())


def test_smoothing_changes_training_only() -> None:
    task = Classification(nn.Identity(), spec("class", 3), label_smoothing=0.2)
    batch = Batch(torch.randn(4, 3), torch.tensor([0, 1, 2, 0]), torch.arange(4))
    task.model.train()
    trained = task.loss(batch, "main")[0]
    task.model.eval()
    assert task.loss(batch, "main")[0].item() == pytest.approx(F.cross_entropy(*batch[:2]).item())
    assert trained.item() == pytest.approx(F.cross_entropy(*batch[:2], label_smoothing=0.2).item())
