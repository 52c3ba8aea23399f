"""What an evaluation says of a classifier: each class, what is taken for what, how far to trust its confidence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dlcore.data.spec import Batch
from dlcore.tasks.probabilities import class_probabilities, predicted_classes
from dlcore.training.report import Report, Section, Worst, matrix, table

BINS = 15
"""Of confidence; the usual number since Guo et al. 2017."""

MISTAKES = 20
PAIRS = 20


class ClassificationReport(Report):
    """Sums of counts: nothing grows with the data but a handful of mistakes.

    Args:
        names: of the classes, in the order of their indices.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        count = len(self.names)
        self._confusion = torch.zeros(count, count, dtype=torch.int64)
        self._bins = torch.zeros(3, BINS, dtype=torch.float64)  # samples, sum of confidence, hits
        self._brier = 0.0
        self._mistakes = Worst(MISTAKES)

    def update(self, outputs: Tensor, batch: Batch) -> None:
        """Add a batch of logits, (batch, classes) or (batch, 1)."""
        probabilities, targets = class_probabilities(outputs).cpu(), batch.targets.cpu()
        predicted = predicted_classes(outputs).cpu()
        confidence = probabilities.gather(1, predicted[:, None])[:, 0]
        count = len(self.names)
        cells = torch.bincount(targets * count + predicted, minlength=count**2)
        self._confusion += cells.view(count, count)
        hits = predicted == targets
        place = (confidence.double() * BINS).ceil().long().sub(1).clamp(0, BINS - 1)
        rows = torch.stack([torch.ones_like(confidence), confidence, hits.float()]).double()
        self._bins.index_add_(1, place, rows)
        wanted = torch.nn.functional.one_hot(targets, count)
        self._brier += float((probabilities - wanted).square().sum())
        wrong = torch.where(hits, -torch.inf, confidence)
        self._mistakes.add(wrong, batch.index, targets, predicted, confidence)

    def figures(self) -> dict[str, float]:
        """Expected calibration error and Brier score.

        ECE is the mean gap between confidence and accuracy, over bins weighted by their samples (Guo et al. 2017);
        Brier is the mean squared error of the probabilities, summed over the classes (Brier 1950).
        """
        samples, confidence, hits = self._bins
        total = float(samples.sum())
        if not total:
            return {}
        return {"ece": float((confidence - hits).abs().sum()) / total, "brier": self._brier / total}

    def sections(self) -> dict[str, Section]:
        """Classes, the confusion matrix, its largest pairs, calibration and the worst mistakes."""
        mistakes = [
            (index, self.names[target], self.names[predicted], confidence)
            for index, target, predicted, confidence in self._mistakes.rows()
        ]
        return {
            "classes": class_table(self.names, self._confusion),
            "confusion": matrix("confusion matrix", self.names, self._confusion.tolist()),
            "confused": self._confused(),
            "calibration": self._calibration(),
            "mistakes": table(
                "worst mistakes",
                ("sample", "true", "predicted", "confidence"),
                mistakes,
                note="wrong and most sure of it first",
                of_samples=True,
            ),
        }

    def _confused(self) -> Section:
        wrong = self._confusion.clone().fill_diagonal_(0)
        top = wrong.flatten().topk(min(PAIRS, wrong.numel()))
        pairs = [
            (self.names[at // len(self.names)], self.names[at % len(self.names)], times)
            for at, times in zip(top.indices.tolist(), top.values.tolist(), strict=True)
            if times
        ]
        return table("most often confused", ("true", "taken for", "times"), pairs)

    def _calibration(self) -> Section:
        samples, confidence, hits = self._bins
        rows = [
            (
                f"{at / BINS:.0%} to {(at + 1) / BINS:.0%}",
                int(samples[at]),
                float(confidence[at] / samples[at]),
                float(hits[at] / samples[at]),
            )
            for at in range(BINS)
            if samples[at]
        ]
        note = "a model that can be trusted is right as often as it is sure"
        return table("calibration", ("confidence", "samples", "sure", "right"), rows, note=note)


def class_table(names: Sequence[str], confusion: Tensor) -> Section:
    """Precision, recall and F1 of each class, from counts (classes, classes), rows true.

    A figure without a case to judge by, such as the recall of a class that does not occur, is None.
    """
    cells = confusion.double()
    hits, true, predicted = cells.diagonal(), cells.sum(1), cells.sum(0)
    rows = []
    for at, name in enumerate(names):
        share = float(hits[at])
        rows.append(
            (
                name,
                share / float(predicted[at]) if predicted[at] else None,
                share / float(true[at]) if true[at] else None,
                2 * share / float(true[at] + predicted[at]) if true[at] + predicted[at] else None,
                int(true[at]),
            )
        )
    return table("classes", ("class", "precision", "recall", "f1", "samples"), rows)
