"""What a task's report says, against figures worked out another way."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support

from dlcore.data.spec import NOT_JUDGED, Batch
from dlcore.tasks.classification_report import ClassificationReport
from dlcore.tasks.language_report import LanguageReport
from dlcore.tasks.regression_report import RegressionReport
from dlcore.tasks.segmentation_report import SegmentationReport
from dlcore.training.report import Worst
from dlcore.vocabulary import fit

NAMES = ("cat", "dog", "eel")


def batch(targets: torch.Tensor, start: int = 0) -> Batch:
    return Batch(torch.zeros(len(targets), 1), targets, torch.arange(start, start + len(targets)))


def logits_of(probabilities: list[list[float]]) -> torch.Tensor:
    return torch.tensor(probabilities).log()


class TestClassification:
    def test_each_class_is_as_scikit_learn_counts_it(self) -> None:
        generator = torch.Generator().manual_seed(0)
        logits, targets = (
            torch.randn(80, 3, generator=generator),
            torch.randint(3, (80,), generator=generator),
        )
        report = ClassificationReport(NAMES)
        for low in (0, 30):  # batches of unequal size
            high = 30 if low == 0 else 80
            report.update(logits[low:high], batch(targets[low:high], low))
        wanted = precision_recall_fscore_support(targets.numpy(), logits.argmax(1).numpy())
        rows = report.sections()["classes"]["rows"]
        assert [row[0] for row in rows] == list(NAMES)
        for column, figures in enumerate(wanted, start=1):
            assert [row[column] for row in rows] == pytest.approx(figures.tolist())

    def test_the_calibration_error_is_the_gap_between_sure_and_right(self) -> None:
        report = ClassificationReport(("no", "yes", "maybe"))
        sure = [[0.8, 0.1, 0.1]] * 4  # 80 % sure, right half the time
        report.update(logits_of(sure), batch(torch.tensor([0, 0, 1, 2])))
        assert report.figures()["ece"] == pytest.approx(0.3)
        ((_, samples, confidence, right),) = report.sections()["calibration"]["rows"]
        assert (samples, right) == (4, 0.5)
        assert confidence == pytest.approx(0.8)

    def test_brier_score_is_the_squared_error_of_the_probabilities(self) -> None:
        report = ClassificationReport(("no", "yes"))
        report.update(torch.zeros(2, 1), batch(torch.tensor([0, 1])))
        assert report.figures()["brier"] == pytest.approx(0.5)

    def test_mistakes_come_surest_first_and_hits_never(self) -> None:
        report = ClassificationReport(NAMES)
        answers = logits_of([[0.6, 0.3, 0.1], [0.9, 0.05, 0.05], [0.1, 0.1, 0.8]])
        report.update(answers, batch(torch.tensor([1, 2, 2]), start=10))
        rows = report.sections()["mistakes"]["rows"]
        assert [row[:3] for row in rows] == [[11, "eel", "cat"], [10, "dog", "cat"]]

    def test_a_class_that_never_occurs_has_no_recall(self) -> None:
        report = ClassificationReport(NAMES)
        report.update(logits_of([[0.8, 0.1, 0.1]]), batch(torch.tensor([0])))
        assert report.sections()["classes"]["rows"][1] == ["dog", None, None, None, 0]


def test_residuals_of_a_biased_prediction() -> None:
    targets = torch.arange(40.0)[:, None]
    report = RegressionReport(("price",))
    report.update(targets + 2, batch(targets))
    sections = report.sections()
    ((name, bias, mae, rmse, _, half, most),) = sections["errors"]["rows"]
    assert name == "price"
    assert (bias, mae, rmse, half, most) == pytest.approx((2, 2, 2, 2, 2))
    assert sum(sections["residuals"]["values"]) == 40
    assert len(sections["against"]["x"]) == 40


def test_what_is_not_finite_is_left_out_and_counted() -> None:
    targets = torch.arange(6.0)[:, None]
    predictions = targets + 1
    predictions[2], predictions[4] = torch.nan, torch.inf
    report = RegressionReport(("price",))
    report.update(predictions, batch(targets))
    sections = report.sections()
    assert sections["errors"]["rows"][0][1] == pytest.approx(1)
    assert "2 samples without a finite number" in sections["errors"]["note"]
    assert {row[0] for row in sections["mistakes"]["rows"]} == {0, 1, 3, 5}
    nothing = RegressionReport(("price",))
    nothing.update(predictions * torch.nan, batch(targets))
    assert nothing.sections() == {}


def test_the_largest_error_is_found_in_whatever_output_it_is() -> None:
    targets = torch.zeros(5, 2)
    predictions = torch.tensor([[0.1, 100], [0.1, -100], [3.0, 100], [0.1, 100], [0.1, 100.0]])
    report = RegressionReport(("small", "large"))
    report.update(predictions, batch(targets))
    assert report.sections()["mistakes"]["rows"][0][:2] == [2, "small"]


def test_pixels_that_are_not_judged_count_nowhere() -> None:
    masks = torch.tensor([[[0, 1], [NOT_JUDGED, 1]]])
    logits = torch.zeros(1, 2, 2, 2)
    logits[:, 1, :, 1] = 5.0  # right column is class 1
    logits[:, 0, 0, 0] = 5.0
    report = SegmentationReport(("ground", "thing"))
    report.update(logits, batch(masks))
    assert report.sections()["confusion"]["cells"] == [[1, 0], [0, 2]]
    assert [row[1] for row in report.sections()["classes"]["rows"]] == [1.0, 1.0]


def test_language_loss_is_told_by_position_and_token() -> None:
    tokenizer = fit("characters", ["abc"], padded=False, size=10)
    size = len(tokenizer.vocabulary)
    targets = torch.tensor([tokenizer.encode("abca")])
    logits = torch.zeros(1, 4, size)
    logits[0, 3, targets[0, 3]] = 100.0  # the last is known for sure
    report = LanguageReport(tokenizer, by_position=True)
    report.add(logits, targets, torch.ones_like(targets, dtype=torch.bool))
    sections = report.sections()
    positions = {row[0]: row[3] for row in sections["positions"]["rows"]}
    assert positions["1"] == pytest.approx(size)
    assert positions["3 to 4"] == pytest.approx(size**0.5)
    assert sum(row[3] for row in sections["tokens"]["rows"]) == pytest.approx(1.0)


def test_the_worst_are_kept_over_batches_of_any_size() -> None:
    scores = torch.randperm(50, generator=torch.Generator().manual_seed(1)).double()
    worst = Worst(4)
    for index, piece in zip(torch.arange(50).split(7), scores.split(7), strict=True):
        worst.add(piece, index)
    assert [at for (at,) in worst.rows()] == scores.argsort(descending=True)[:4].tolist()
