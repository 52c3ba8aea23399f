"""Generative adversarial training: two phases a step, each with its own optimizer."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.errors import UserError
from dlcore.fields import Fraction
from dlcore.registry import TASKS
from dlcore.tasks.brightness import Brightness, fixed_noise, picture
from dlcore.training.task import Metrics, Phase, Task

FEATURES = 256
"""Pixels that the Fréchet distance looks at, at most: a larger image is averaged down to fewer."""


@TASKS.register("gan")
class Adversarial(Task):
    """Two networks against each other, by the non-saturating loss.

    The discriminator lowers softplus(-real) + softplus(fake), the generator softplus(-fake): minus the
    logarithm of its chance to pass, whose gradient stays large while it is still bad at it.

    No loss says how good the images are, since each is measured against a moving opponent. The best weights
    are therefore chosen by ``frechet``: the Fréchet distance between mean and covariance of the pixels of
    held-back images and of as many generated ones. It is 0 when both agree, sees missing kinds of images
    and wrong brightness, and is a stand-in: it does not see whether an image is sharp or makes sense. Look
    at the samples, which are drawn from the same noise each time.

    Args:
        smoothing: real images are called real by 1 less this much, against a discriminator too sure of itself.
    """

    monitor = "val/frechet"
    monitor_mode = "min"

    def __init__(self, model: nn.Module, spec: DataSpec, *, smoothing: Fraction = 0.0) -> None:
        super().__init__(model, spec)
        missing = [name for name in ("generator", "discriminator", "latent") if not hasattr(model, name)]
        if missing:
            raise UserError(
                f"task 'gan' needs a model with .generator, .discriminator and .latent; missing: {missing[0]}"
            )
        self.generator: nn.Module = model.get_submodule("generator")
        self.discriminator: nn.Module = model.get_submodule("discriminator")
        self.latent: int = model.latent  # type: ignore[assignment]
        self.smoothing = smoothing
        self.brightness = Brightness(spec)
        self.phases = (
            Phase("discriminator", (self.discriminator,)),
            Phase("generator", (self.generator,)),
        )

    def loss(self, batch: Batch, phase: str) -> tuple[Tensor, dict[str, Tensor]]:
        """The phase's mean loss, (); in evaluation the discriminator's, with both and the images."""
        if not self.model.training:
            return self._evaluation(batch)
        noise = torch.randn(len(batch.inputs), self.latent, device=batch.inputs.device)
        if phase == "discriminator":
            self.discriminator.requires_grad_(True)
            with torch.no_grad():
                generated = self.generator(noise)
            real, fake = self._judge(batch.inputs), self._judge(generated)
            return self._discriminator_loss(real, fake).mean(), {}
        # The gradient passes through the discriminator; that of its weights would be thrown away.
        self.discriminator.requires_grad_(False)
        return F.softplus(-self._judge(self.generator(noise))).mean(), {}

    def _evaluation(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        self.discriminator.requires_grad_(True)
        generated = self.generator(fixed_noise(len(batch.inputs), self.latent, device=batch.inputs.device))
        real, fake = self._judge(batch.inputs), self._judge(generated)
        losses = self._discriminator_loss(real, fake)
        return losses.mean(), {
            "loss_discriminator": losses,
            "loss_generator": F.softplus(-fake),
            "real": self.brightness.of(batch.inputs),
            "generated": self.brightness.of(generated),
        }

    def _judge(self, images: Tensor) -> Tensor:
        return self.discriminator(images).squeeze(1).float()  # (batch,)

    def _discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """softplus(-x) is the cross-entropy of calling x real, softplus(x) that of calling it fake."""
        called_real = (1 - self.smoothing) * F.softplus(-real) + self.smoothing * F.softplus(real)
        return called_real + F.softplus(fake)

    def metrics(self) -> Metrics:
        """Both losses and the Fréchet distance."""
        return AdversarialMetrics()

    def exported(self, inputs: Tensor) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """The generator, which is called with noise, (batch, latent)."""
        return self.generator, (fixed_noise(len(inputs), self.latent, device=inputs.device),)

    def exported_told(self) -> tuple[str, str]:
        """Noise in, pictures out."""
        return (
            f"noise of shape (batch, {self.latent}), float32, standard normal: any draws another picture",
            "pictures as the network sees them: undo the preprocessing to look at them",
        )

    def create(self, count: int, *, seed: int) -> Tensor:
        """Images of new noise, (count, channels, height, width) in 0..1."""
        noise = torch.randn(count, self.latent, generator=torch.Generator().manual_seed(seed))
        device = next(self.generator.parameters()).device
        return self.brightness.of(self.generator(noise.to(device)).float())

    def samples(self, batch: Batch, outputs: dict[str, Tensor]) -> list[dict[str, Any]]:
        """Generated images, from the same noise each time."""
        return [
            {"index": index, "pictures": [picture("generated", image)]}
            for index, image in enumerate(outputs["generated"])
        ]


class AdversarialMetrics(Metrics):
    """Sums of both losses, and of the pixels' means and products.

    A training batch gives nothing: each phase has its own curve already.
    """

    def __init__(self) -> None:
        self._count = 0
        self._losses: dict[str, Tensor] = {}
        self._moments: dict[str, tuple[Tensor, Tensor]] = {}

    def update(self, loss: Tensor, outputs: dict[str, Tensor], batch: Batch) -> None:
        """Add a batch of an evaluation."""
        if not outputs:
            return
        self._count += len(batch.targets)
        for name in ("loss_discriminator", "loss_generator"):
            total = outputs[name].detach().double().sum()
            self._losses[name] = self._losses[name] + total if name in self._losses else total
        for name in ("real", "generated"):
            pixels = few_pixels(outputs[name].detach()).double()
            moments = (pixels.sum(0), pixels.T @ pixels)
            before = self._moments.get(name)
            self._moments[name] = (before[0] + moments[0], before[1] + moments[1]) if before else moments

    def compute(self) -> dict[str, float]:
        """Both losses and ``frechet``."""
        if not self._count:
            return {}
        results = {name: float(total) / self._count for name, total in self._losses.items()}
        statistics = []
        for name in ("real", "generated"):
            total, products = (moment.cpu() / self._count for moment in self._moments[name])
            statistics.append((total, products - torch.outer(total, total)))
        return results | {"frechet": frechet_distance(*statistics[0], *statistics[1])}


def few_pixels(images: Tensor) -> Tensor:
    """(batch, channels, height, width) -> (batch, at most `FEATURES`), averaged over squares of pixels."""
    _, channels, height, width = images.shape
    side = 1
    while channels * (height // side) * (width // side) > FEATURES and side < min(height, width):
        side += 1
    return F.avg_pool2d(images, side).flatten(1)


def frechet_distance(mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor) -> float:
    """Squared Fréchet distance between two normal distributions (Dowson & Landau 1982).

    |m₁ - m₂|² + trace(C₁ + C₂ - 2 (C₁ C₂)^½); the last trace is the sum of the roots of the eigenvalues of
    C₁^½ C₂ C₁^½, which is symmetric.
    """
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    both = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt().sum()
    apart = (mean - other_mean).square().sum()
    return float(apart + covariance.trace() + other_covariance.trace() - 2 * both)
