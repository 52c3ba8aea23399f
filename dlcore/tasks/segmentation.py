"""Segmentation: which class every pixel belongs to."""

from __future__ import annotations

import re
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.data.spec import NOT_JUDGED, Batch, DataSpec
from dlcore.registry import TASKS
from dlcore.tasks.fitting import require_shape
from dlcore.tasks.pictures import as_pixels, painted
from dlcore.tasks.segmentation_report import SegmentationReport
from dlcore.training.report import Report
from dlcore.training.task import Metrics, Task

Loss = Literal["ce", "bce", "dice", "ce+dice", "bce+dice"]

MOST_CLASSES = 4
"""Up to so many classes each have a curve of their own; more are listed with the test figures."""

EPSILON = 1.0
"""Pixels added above and below Dice's fraction: keeps its slope finite where a class covers next to nothing."""


@TASKS.register("segmentation", targets=("mask",))
class Segmentation(Task):
    """A class for every pixel, learnt with cross-entropy, Dice or both.

    Args:
        loss: ce is cross-entropy between the classes; bce asks yes or no for each class alone; dice is 1 less the
            overlap of what is wanted and what is found, which small classes count in as much as large ones.
        class_weights: ``balanced`` weighs each class in ce by the inverse of its share of the training pixels.
    """

    monitor = "val/iou"
    monitor_mode = "max"

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        loss: Loss = "ce+dice",
        class_weights: Literal["none", "balanced"] = "none",
    ) -> None:
        super().__init__(model, spec)
        self.parts = loss.split("+")
        self.weights: Tensor | None = None
        if class_weights == "balanced" and spec.class_counts:
            counts = torch.tensor(spec.class_counts, dtype=torch.float32).clamp(min=1)
            self.weights = counts.sum() / (len(counts) * counts)

    def loss(self, batch: Batch, phase: str) -> tuple[Tensor, Tensor]:
        """Sum of the chosen losses, (), and logits, (batch, num_outputs, height, width)."""
        logits = self.model(batch.inputs)
        wanted = (len(batch.targets), self.spec.num_outputs, *batch.targets.shape[1:])
        require_shape(
            logits, wanted, self.model, "a logit for each class, with the height and width of the mask"
        )
        if self.weights is not None and self.weights.device != logits.device:
            self.weights = self.weights.to(logits.device)
        losses = [self._part(part, logits, batch.targets) for part in self.parts]
        return torch.stack(losses).sum(), logits

    def _part(self, part: str, logits: Tensor, targets: Tensor) -> Tensor:
        alone = (
            logits.shape[1] == 1 or "bce" in self.parts
        )  # each class on its own: probabilities need not sum to 1
        if part == "dice":
            return dice_loss(logits.float(), targets, alone=alone)
        if alone:
            return self._each_class(logits, targets)
        return F.cross_entropy(logits, targets, weight=self.weights, ignore_index=NOT_JUDGED)

    def _each_class(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Binary cross-entropy of every class, mean over the judged pixels."""
        judged = targets != NOT_JUDGED
        weight = judged.to(logits.dtype)
        if self.weights is not None:
            weight = weight * self.weights[targets.clamp(min=0)].to(logits.dtype)
        each = F.binary_cross_entropy_with_logits(logits, planes(logits, targets), reduction="none")
        return (each * weight[:, None]).sum() / (judged.sum() * logits.shape[1]).clamp(min=1)

    def metrics(self) -> Metrics:
        """Loss, IoU, Dice and the share of right pixels."""
        return SegmentationMetrics(max(2, self.spec.num_outputs), self.spec.class_names)

    def answers(self, inputs: Tensor) -> list[dict[str, Any]]:
        """The share of each class, and the class of every pixel as a picture of class indices."""
        answers = []
        for mask in predicted(self.model(inputs)).cpu():
            counts = torch.bincount(mask.flatten(), minlength=len(self.names)).tolist()
            shares = {name: count / mask.numel() for name, count in zip(self.names, counts, strict=True)}
            found = ", ".join(f"{name} {share:.1%}" for name, share in shares.items() if share)
            answers.append({"prediction": found, "shares": shares, "picture": mask.tolist()})
        return answers

    def verdicts(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The share of wrong pixels."""
        found = predicted(outputs)
        right = [share_right(a, b) for a, b in zip(found, batch.targets, strict=True)]
        return {"error": 1 - torch.tensor(right)}

    def report(self) -> Report:
        """IoU and Dice of each class, the confusion matrix of pixels, the worst pictures."""
        return SegmentationReport(self.names)

    @property
    def names(self) -> list[str]:
        """Of the classes; numbers where the data gives no names."""
        return list(self.spec.class_names) or [str(code) for code in range(max(2, self.spec.num_outputs))]

    def samples(self, batch: Batch, outputs: Tensor) -> list[dict[str, Any]]:
        """Image, mask and prediction of every sample, classes as colours."""
        pixels, found = as_pixels(self.spec, batch.inputs), predicted(outputs)
        named = {
            "input": pixels,
            "mask": painted(pixels, batch.targets),
            "prediction": painted(pixels, found),
        }
        right = [share_right(a, b) for a, b in zip(found, batch.targets, strict=True)]
        return [
            {
                "index": int(index),
                "pictures": [
                    {"name": name, "pixels": pictures[at].tolist()} for name, pictures in named.items()
                ],
                "caption": f"{100 * right[at]:.1f} % of the pixels right",
            }
            for at, index in enumerate(batch.index)
        ]


def planes(logits: Tensor, targets: Tensor) -> Tensor:
    """Masks as one plane of 0 and 1 for each output, (batch, num_outputs, height, width)."""
    codes = targets.clamp(min=0)
    if logits.shape[1] == 1:
        return codes[:, None].to(logits.dtype)
    # `one_hot` would look at the numbers first.
    return torch.zeros_like(logits).scatter_(1, codes[:, None], 1.0)


def dice_loss(logits: Tensor, targets: Tensor, *, alone: bool) -> Tensor:
    """1 - 2·|A∩B| / (|A| + |B|), mean over the classes that a sample has and over samples (Milletari et al. 2016).

    Probabilities stand for the set found, so the overlap has a slope. Each sample is judged alone: the loss of a
    batch is the mean of its samples', however they are put together.

    Args:
        alone: a sigmoid for each class, not a softmax over them.
    """
    judged = (targets != NOT_JUDGED)[:, None].to(logits.dtype)
    wanted = planes(logits, targets) * judged
    found = (logits.sigmoid() if alone else logits.softmax(1)) * judged
    overlap, sizes = (wanted * found).sum((2, 3)), (wanted + found).sum((2, 3))  # (batch, num_outputs)
    dice = (2 * overlap + EPSILON) / (sizes + EPSILON)
    present = torch.ones_like(dice) if logits.shape[1] == 1 else (wanted.sum((2, 3)) > 0).to(dice.dtype)
    return 1 - ((dice * present).sum(1) / present.sum(1).clamp(min=1)).mean()


def predicted(logits: Tensor) -> Tensor:
    """The likeliest class of every pixel, int64 (batch, height, width)."""
    return (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(1)


def share_right(found: Tensor, mask: Tensor) -> float:
    """Of the judged pixels of one sample."""
    judged = mask != NOT_JUDGED
    return float(((found == mask) & judged).sum() / judged.sum().clamp(min=1))


class SegmentationMetrics(Metrics):
    """Everything follows from the confusion matrix of pixels, (classes, classes), rows true."""

    def __init__(self, num_classes: int, names: tuple[str, ...] = ()) -> None:
        self.num_classes, self.names = num_classes, names
        self._confusion: Tensor | None = None
        self._loss: Tensor | float = 0.0
        self._samples = 0

    def update(self, loss: Tensor, outputs: Tensor, batch: Batch) -> None:
        """Add a batch of logits, (batch, num_outputs, height, width)."""
        judged = batch.targets != NOT_JUDGED
        # Pixels that are not judged go into a bin of their own, which costs no wait for the device.
        cells = torch.where(
            judged, batch.targets * self.num_classes + predicted(outputs), self.num_classes**2
        )
        counts = torch.bincount(cells.flatten(), minlength=self.num_classes**2 + 1)[:-1]
        self._confusion = counts if self._confusion is None else self._confusion + counts
        self._loss = self._loss + loss.detach().double() * len(judged)
        self._samples += len(judged)

    def compute(self) -> dict[str, float]:
        """IoU and Dice as means over the classes that occur or are found, the background among them."""
        if self._confusion is None:
            return {}
        iou, dice, present, accuracy = self._figures()
        results = {
            "loss": float(self._loss) / self._samples,
            "iou": float(iou[present].mean()) if present.any() else 0.0,
            "dice": float(dice[present].mean()) if present.any() else 0.0,
            "accuracy": accuracy,
        }
        if len(self.names) == self.num_classes <= MOST_CLASSES:
            results |= {
                f"iou_{_slug(name)}": float(value) for name, value in zip(self.names, iou, strict=True)
            }
        return results

    def details(self) -> dict[str, Any]:
        """IoU and Dice of each class, and the confusion matrix as rows of counts."""
        if self._confusion is None:
            return {}
        iou, dice, _, _ = self._figures()
        confusion = self._confusion.view(self.num_classes, self.num_classes).tolist()
        return {"confusion": confusion, "class_iou": iou.tolist(), "class_dice": dice.tolist()}

    def _figures(self) -> tuple[Tensor, Tensor, Tensor, float]:
        """IoU and Dice of each class, which classes there are anything of, and the share of right pixels."""
        assert self._confusion is not None
        confusion = self._confusion.view(self.num_classes, self.num_classes).double().cpu()
        hits, both = confusion.diag(), confusion.sum(0) + confusion.sum(1)
        accuracy = float(hits.sum() / confusion.sum().clamp(min=1))
        return hits / (both - hits).clamp(min=1), 2 * hits / both.clamp(min=1), both > 0, accuracy


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "class"
