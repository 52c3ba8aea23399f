"""What an evaluation says of a segmentation: each class, which is taken for which, and the worst pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dlcore.data.spec import NOT_JUDGED, Batch
from dlcore.training.report import Report, Section, Worst, matrix, table

WORST = 20


class SegmentationReport(Report):
    """Counts of pixels.

    Args:
        names: of the classes.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._confusion = torch.zeros(len(self.names), len(self.names), dtype=torch.int64)
        self._worst = Worst(WORST)

    def update(self, outputs: Tensor, batch: Batch) -> None:
        """Add a batch of logits, (batch, num_outputs, height, width)."""
        found = (outputs[:, 0] > 0).long() if outputs.shape[1] == 1 else outputs.argmax(1)
        count, judged = len(self.names), batch.targets != NOT_JUDGED
        cells = batch.targets[judged] * count + found[judged]
        self._confusion += torch.bincount(cells, minlength=count**2).view(count, count).cpu()
        right = ((found == batch.targets) & judged).flatten(1).sum(1) / judged.flatten(1).sum(1).clamp(min=1)
        self._worst.add(1 - right, batch.index, right)

    def sections(self) -> dict[str, Section]:
        """IoU and Dice of each class, the confusion matrix of pixels, the pictures with the most wrong pixels."""
        cells = self._confusion.double()
        hits, true, found = cells.diagonal(), cells.sum(1), cells.sum(0)
        rows: list[Sequence[Any]] = []
        for at, name in enumerate(self.names):
            either, both = float(true[at] + found[at] - hits[at]), float(true[at] + found[at])
            rows.append((
                name,
                float(hits[at]) / either if either else None,
                2 * float(hits[at]) / both if both else None,
                float(hits[at] / found[at]) if found[at] else None,
                float(hits[at] / true[at]) if true[at] else None,
                int(true[at]),
            ))  # fmt: skip
        worst = [(index, right) for index, right in self._worst.rows()]
        return {
            "classes": table("classes", ("class", "iou", "dice", "precision", "recall", "pixels"), rows),
            "confusion": matrix("confusion matrix of pixels", self.names, self._confusion.tolist()),
            "mistakes": table("worst pictures", ("sample", "pixels right"), worst, of_samples=True),
        }
