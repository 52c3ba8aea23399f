"""Classification: which of several classes, or yes or no."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.errors import UserError
from dlcore.fields import Count, Fraction
from dlcore.registry import TASKS
from dlcore.tasks.classification_report import ClassificationReport
from dlcore.tasks.fitting import require_shape
from dlcore.tasks.probabilities import class_probabilities, predicted_classes
from dlcore.tasks.views import OverViews, Views, over_views
from dlcore.training.report import Report
from dlcore.training.task import Metrics, Task

MEANING = {False: "a logit for each class", True: "one logit a sample, yes against no"}


@TASKS.register("classification", targets=("class", "binary"))
class Classification(Task):
    """One label a sample, learnt with cross-entropy on logits.

    Args:
        label_smoothing: share of the target spread over all classes (Szegedy et al. 2016).
        class_weights: ``balanced`` weighs each class by the inverse of its share in the training part.
        top_k: also count a prediction as right when the label is among the k likeliest; 1: leave it out.
        test_time: outside the training ask about several views of a picture and take the mean; flip: mirrored, two
            passes; flip-shift: also shifted by a pixel, six passes.
    """

    monitor = "val/accuracy"
    monitor_mode = "max"

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        label_smoothing: Fraction = 0.0,
        class_weights: Literal["none", "balanced"] = "none",
        top_k: Count = 1,
        test_time: Views = "none",
    ) -> None:
        super().__init__(model, spec)
        if test_time != "none" and spec.input != "image":
            raise UserError(f"task.test_time = '{test_time}' is for images, but the data has '{spec.input}'")
        self.test_time = test_time
        self.label_smoothing, self.top_k = label_smoothing, top_k
        self.binary = spec.target == "binary"
        self.weights: Tensor | None = None
        if class_weights == "balanced" and spec.class_counts:
            counts = torch.tensor(spec.class_counts, dtype=torch.float32).clamp(min=1)
            self.weights = counts.sum() / (len(counts) * counts)

    def loss(self, batch: Batch, phase: str) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy, (), and logits, (batch, classes) or (batch, 1) for yes or no."""
        logits = self.logits(batch.inputs)
        require_shape(logits, (len(batch.targets), self.spec.num_outputs), self.model, MEANING[self.binary])
        if self.weights is not None and self.weights.device != logits.device:
            self.weights = self.weights.to(logits.device)
        if self.binary:
            return self._binary_loss(logits, batch.targets), logits
        smoothing = self.label_smoothing if self.model.training else 0.0
        loss = F.cross_entropy(logits, batch.targets, weight=self.weights, label_smoothing=smoothing)
        return loss, logits

    def logits(self, inputs: Tensor) -> Tensor:
        """The network's answers, (batch, classes) or (batch, 1); outside the training the mean over all views."""
        if self.test_time == "none" or self.model.training:
            logits: Tensor = self.model(inputs)
            return logits
        return over_views(self.model, inputs, self.test_time)

    def exported(self, inputs: Tensor) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """The network; with the views that it was measured with, where there are several."""
        if self.test_time == "none":
            return super().exported(inputs)
        return OverViews(self.model, self.test_time), (inputs,)

    def _binary_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        goal = targets.to(logits.dtype)
        weight = None if self.weights is None else self.weights[targets]
        if self.label_smoothing and self.model.training:
            goal = goal * (1 - self.label_smoothing) + self.label_smoothing / 2
        return F.binary_cross_entropy_with_logits(logits.squeeze(1), goal, weight=weight)

    def metrics(self) -> Metrics:
        """Loss, accuracy, precision, recall, F1 and the confusion matrix."""
        return ClassificationMetrics(max(2, self.spec.num_outputs), self.top_k)

    def answers(self, inputs: Tensor) -> list[dict[str, Any]]:
        """The likeliest class and the probability of each."""
        names, logits = self.names, self.logits(inputs).float()
        rows = zip(predicted_classes(logits).tolist(), class_probabilities(logits).tolist(), strict=True)
        return [
            {
                "prediction": names[likeliest],
                "probability": row[likeliest],
                "probabilities": dict(zip(names, row, strict=True)),
            }
            for likeliest, row in rows
        ]

    def verdicts(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Which class, and how sure."""
        predicted = predicted_classes(outputs)
        confidence = class_probabilities(outputs).gather(1, predicted[:, None])[:, 0]
        return {"target": batch.targets, "prediction": predicted, "confidence": confidence}

    def report(self) -> Report:
        """Each class, the confusion matrix, calibration and the worst mistakes."""
        return ClassificationReport(self.names)

    @property
    def names(self) -> list[str]:
        """Of the classes; numbers where the data gives no names."""
        count = max(2, self.spec.num_outputs)
        return [str(name) for name in self.spec.class_names] or [str(code) for code in range(count)]

    def samples(self, batch: Batch, outputs: Tensor) -> list[dict[str, Any]]:
        """Label, prediction and probabilities of every sample."""
        probabilities = class_probabilities(outputs).tolist()
        return [
            {
                "index": int(index),
                "target": int(target),
                "prediction": max(range(len(p)), key=p.__getitem__),
                "probabilities": p,
            }
            for index, target, p in zip(batch.index, batch.targets, probabilities, strict=True)
        ]


class ClassificationMetrics(Metrics):
    """Everything follows from the confusion matrix, (classes, classes), rows true and columns predicted."""

    def __init__(self, num_classes: int, top_k: int) -> None:
        self.num_classes, self.top_k = num_classes, top_k
        self._confusion: Tensor | None = None
        self._loss: Tensor | float = 0.0
        self._top: Tensor | float = 0.0

    def update(self, loss: Tensor, outputs: Tensor, batch: Batch) -> None:
        """Add a batch of logits, (batch, classes) or (batch, 1)."""
        predicted = predicted_classes(outputs)
        cells = torch.bincount(batch.targets * self.num_classes + predicted, minlength=self.num_classes**2)
        self._confusion = cells if self._confusion is None else self._confusion + cells
        self._loss = self._loss + loss.detach().double() * len(predicted)
        if 1 < self.top_k < self.num_classes:
            likeliest = outputs.topk(self.top_k, dim=1).indices
            self._top = self._top + (likeliest == batch.targets[:, None]).any(1).sum()

    def compute(self) -> dict[str, float]:
        """Macro averages over the classes that occur or are predicted, as scikit-learn takes them."""
        if self._confusion is None:
            return {}
        # NumPy from here on: a tenth of torch's cost for so few numbers, and an epoch waits for it.
        cells = self._confusion.view(self.num_classes, self.num_classes)
        confusion = cells.double().cpu().numpy()
        total, hits = confusion.sum(), confusion.diagonal()
        true, predicted = confusion.sum(1), confusion.sum(0)
        either = true + predicted
        ratios = np.stack([hits, hits, 2 * hits]) / np.stack([predicted, true, either]).clip(min=1)
        precision, recall, f1 = ratios[:, either > 0].mean(1).tolist()
        results = {
            "loss": float(self._loss) / float(total),
            "accuracy": float(hits.sum() / total),
            "precision": precision,
            "recall": recall,
            "f1": f1,
        }
        if 1 < self.top_k < self.num_classes:
            results[f"top{self.top_k}"] = float(self._top) / float(total)
        return results

    def details(self) -> dict[str, Any]:
        """The confusion matrix as rows of counts."""
        if self._confusion is None:
            return {}
        return {"confusion": self._confusion.view(self.num_classes, self.num_classes).tolist()}
