"""Autoencoding: give back what went in, through a bottleneck."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.fields import NonNegative
from dlcore.registry import TASKS
from dlcore.tasks.brightness import Brightness, picture
from dlcore.tasks.fitting import require_shape
from dlcore.tasks.sums import Means
from dlcore.training.report import Report, Section, Worst, table
from dlcore.training.task import Metrics, Task


@TASKS.register("autoencoding")
class Autoencoding(Task):
    """Images drawn again from a short code, judged by the squared error of every pixel.

    Args:
        noise: standard deviation of noise added to the inputs while training; the answer has to be clean
            (a denoising autoencoder).
    """

    def __init__(self, model: nn.Module, spec: DataSpec, *, noise: NonNegative = 0.0) -> None:
        super().__init__(model, spec)
        self.noise = noise
        self.brightness = Brightness(spec)

    def loss(self, batch: Batch, phase: str) -> tuple[Tensor, Tensor]:
        """Mean squared error, (), and the reconstructions, both in the units of normalised inputs."""
        inputs = batch.inputs
        if self.noise and self.model.training:
            inputs = inputs + self.noise * inputs.new_empty(inputs.shape).normal_()
        reconstruction = self.model(inputs)
        require_shape(reconstruction, inputs.shape, self.model, "images like its inputs")
        return F.mse_loss(reconstruction.float(), batch.inputs.float()), reconstruction

    def metrics(self) -> Metrics:
        """Loss, and the mean error of a pixel's brightness, which lies between 0 and 1."""
        return ReconstructionErrors(self.brightness)

    def answers(self, inputs: Tensor) -> list[dict[str, Any]]:
        """How far each image is from its reconstruction (what was never seen is drawn badly), and that picture."""
        drawn = self.brightness.of(self.model(inputs).float())
        errors = (drawn - self.brightness.of(inputs.float())).abs().flatten(1).mean(1).tolist()
        pictures = (drawn.cpu() * 255).round().byte().tolist()
        return [
            {"prediction": error, "picture": pixels} for error, pixels in zip(errors, pictures, strict=True)
        ]

    def exported_told(self) -> tuple[str, str]:
        """The same picture."""
        return "", "the picture drawn again, as preprocessed as the input"

    def verdicts(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """How badly it is drawn again."""
        drawn, given = self.brightness.of(outputs), self.brightness.of(batch.inputs.float())
        return {"error": (drawn - given).abs().flatten(1).mean(1)}

    def report(self) -> Report:
        """The images that are drawn worst."""
        return WorstDrawn(self.brightness)

    def samples(self, batch: Batch, outputs: Tensor) -> list[dict[str, Any]]:
        """Each image beside its reconstruction."""
        given, drawn = self.brightness.of(batch.inputs), self.brightness.of(outputs)
        return [
            {"index": int(index), "pictures": [picture("input", before), picture("drawn again", after)]}
            for index, before, after in zip(batch.index, given, drawn, strict=True)
        ]


class WorstDrawn(Report):
    """The images that are furthest from their reconstruction."""

    def __init__(self, brightness: Brightness) -> None:
        self._brightness, self._worst = brightness, Worst(20)

    def update(self, outputs: Tensor, batch: Batch) -> None:
        """Add a batch of reconstructions."""
        errors = (self._brightness.of(outputs) - self._brightness.of(batch.inputs.float())).abs().flatten(1)
        self._worst.add(errors.mean(1), batch.index, errors.mean(1))

    def sections(self) -> dict[str, Section]:
        """The list of them."""
        columns = ("sample", "pixel error")
        return {"mistakes": table("drawn worst", columns, self._worst.rows(), of_samples=True)}


class ReconstructionErrors(Means):
    """The loss and ``pixel_error``, the mean absolute error of the brightness."""

    def __init__(self, brightness: Brightness) -> None:
        super().__init__()
        self._brightness = brightness

    def figures(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The pixel error of every image, (batch,)."""
        errors = self._brightness.of(outputs) - self._brightness.of(batch.inputs.float())
        return {"pixel_error": errors.abs().flatten(1).mean(1)}
