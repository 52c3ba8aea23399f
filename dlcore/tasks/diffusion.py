"""Denoising diffusion: learn to tell the noise in an image, and images come out of pure noise step by step.

Forward, an image x₀ in -1..1 is mixed with noise ε: x_t = √ᾱ_t x₀ + √(1 - ᾱ_t) ε. The network sees x_t and t
and predicts ε. Backward, each step takes a little of the predicted noise away (Ho et al. 2020,
arXiv:2006.11239, equations 4, 7 and 14).
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.registry import TASKS
from dlcore.tasks.brightness import Brightness, fixed_noise, picture
from dlcore.tasks.fitting import require_arguments, require_shape
from dlcore.tasks.sums import Means
from dlcore.training.task import Metrics, Task

SHOWN = 5
"""Moments of the denoising kept of every sample."""


@TASKS.register("diffusion")
class Diffusion(Task):
    """A denoiser for every amount of noise, learnt by the squared error of the predicted noise.

    A model takes ``(noisy images, time steps)`` and answers with the noise. Validation mixes each image
    with noise that never changes, so that its figures can be compared.

    Args:
        steps: from image to pure noise, and so many passes of the network an image drawn.
        schedule: how fast the image fades: cosine (Nichol & Dhariwal 2021), or DDPM's linear.
    """

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        steps: Annotated[int, Field(ge=2, le=10_000)] = 200,
        schedule: Literal["cosine", "linear"] = "cosine",
    ) -> None:
        super().__init__(model, spec)
        require_arguments(model, "noisy images", "their steps", such_as="denoiser")
        self.schedule = NoiseSchedule(cosine_betas(steps) if schedule == "cosine" else linear_betas(steps))
        self.brightness = Brightness(spec)

    def loss(self, batch: Batch, phase: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error of the predicted noise, (), and that of every image."""
        clean = 2 * self.brightness.of(batch.inputs.float()) - 1
        count, steps = len(clean), self.schedule.steps
        if self.model.training:
            time = torch.randint(steps, (count,), device=clean.device)
            noise = torch.randn_like(clean)
        else:  # all amounts of noise, evenly; the same for the same place in the batch
            time = spread(count, steps).to(clean.device)
            noise = fixed_noise(*clean.shape, device=clean.device)
        predicted = self.model(self.schedule.noisy(clean, time, noise), time)
        require_shape(predicted, clean.shape, self.model, "the noise, in the shape of the images")
        predicted = predicted.float()
        errors = (predicted - noise).square().flatten(1).mean(1)  # (batch,)
        return errors.mean(), {"errors": errors}

    def exported(self, inputs: Tensor) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """The denoiser, called with noisy images and their steps, (batch,)."""
        time = spread(len(inputs), self.schedule.steps).to(inputs.device)
        clean = 2 * self.brightness.of(inputs.float()) - 1
        noise = fixed_noise(*clean.shape, device=clean.device)
        return self.model, (self.schedule.noisy(clean, time, noise), time)

    def exported_told(self) -> tuple[str, str]:
        """A noisy picture and its step in, the noise out."""
        shape = ", ".join(map(str, self.spec.input_shape))
        return (
            f"noisy pictures of shape (batch, {shape}), float32, brightness from -1 to 1; and their steps, (batch,), "
            f"int64, from 0 to {self.schedule.steps - 1}",
            "the noise in each picture, of the same shape",
        )

    def create(self, count: int, *, seed: int) -> Tensor:
        """Images out of noise, (count, channels, height, width) in 0..1."""
        device = next(self.model.parameters()).device
        (_, images), *_ = reversed(self.draw(count, device=device, seed=seed))
        return images

    def metrics(self) -> Metrics:
        """The loss: mean squared error of the noise; 1 is no better than a guess of 0."""
        return Means()

    @torch.no_grad()
    def samples(self, batch: Batch, outputs: dict[str, Tensor]) -> list[dict[str, Any]]:
        """Images drawn from noise, from the same noise each time, at several moments of the denoising."""
        moments = self.draw(len(batch.inputs), device=batch.inputs.device, shown=SHOWN)
        return [
            {"index": row, "pictures": [picture(name, images[row]) for name, images in moments]}
            for row in range(len(batch.inputs))
        ]

    @torch.no_grad()
    def draw(
        self, count: int, *, device: torch.device, shown: int = 1, seed: int = 0
    ) -> list[tuple[str, Tensor]]:
        """Images out of noise, by all steps of the schedule.

        Returns:
            ``shown`` moments, the finished images last: a name, and (count, channels, height, width) in 0..1.
        """
        generator = torch.Generator().manual_seed(seed)
        shape = (count, *self.spec.input_shape)
        image = torch.randn(shape, generator=generator).to(device)
        steps = self.schedule.steps
        keep = {round(number * steps / max(1, shown - 1)) for number in range(shown - 1)}
        moments = []
        for done in range(steps):
            if done in keep:
                moments.append((f"step {done}", ((image + 1) / 2).clamp(0, 1)))
            step = steps - 1 - done
            time = torch.full((count,), step, device=device)
            predicted = self.model(image, time).float()
            noise = torch.randn(shape, generator=generator).to(device)
            image = self.schedule.step_back(image, predicted, step, noise)
        return [*moments, (f"step {steps}", ((image + 1) / 2).clamp(0, 1))]


class NoiseSchedule:
    """How an image fades into noise, and the way back.

    Args:
        betas: (steps,) share of variance that each step replaces by noise.

    Attributes:
        alphas_bar: (steps,) ᾱ_t = Π (1 - β_s), what is left of the image's variance.
    """

    def __init__(self, betas: Tensor) -> None:
        self.betas = betas.double()
        self.alphas_bar = torch.cumprod(1 - self.betas, dim=0)
        self.steps = len(betas)
        self._shares = torch.stack([self.alphas_bar, 1 - self.alphas_bar]).sqrt().float()  # (2, steps)

    def noisy(self, clean: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        """A draw from q(x_t | x_0): images (batch, channels, height, width) at the steps ``time``, (batch,)."""
        if self._shares.device != clean.device:
            self._shares = self._shares.to(clean.device)
        image_share, noise_share = self._shares[:, time].view(2, -1, 1, 1, 1)
        return image_share * clean + noise_share * noise

    def step_back(self, image: Tensor, predicted: Tensor, step: int, noise: Tensor) -> Tensor:
        """A draw from p(x_{t-1} | x_t): the posterior's mean given the image that the noise implies.

        That image is kept to -1..1, where images are; without it small errors grow from step to step.
        """
        beta, bar = float(self.betas[step]), float(self.alphas_bar[step])
        before = float(self.alphas_bar[step - 1]) if step else 1.0
        clean = ((image - math.sqrt(1 - bar) * predicted) / math.sqrt(bar)).clamp(-1, 1)
        mean = (
            math.sqrt(before) * beta / (1 - bar) * clean
            + math.sqrt(1 - beta) * (1 - before) / (1 - bar) * image
        )
        deviation = math.sqrt(beta * (1 - before) / (1 - bar))  # 0 at the last step
        return mean + deviation * noise


def spread(count: int, steps: int) -> Tensor:
    """Steps (count,) that lie evenly, whatever the count: all come once before any comes again."""
    stride = next(s for s in range(round(0.618 * steps), steps + 1) if math.gcd(s, steps) == 1)
    return torch.arange(count) * stride % steps


def linear_betas(steps: int) -> Tensor:
    """DDPM's: from 1e-4 to 0.02 over 1,000 steps, scaled so that fewer steps fade as far."""
    scale = 1000 / steps
    return torch.linspace(1e-4 * scale, 0.02 * scale, steps, dtype=torch.float64).clamp(max=0.999)


def cosine_betas(steps: int, offset: float = 0.008) -> Tensor:
    """ᾱ_t = f(t) / f(0) with f(t) = cos²((t / steps + s) / (1 + s) · π / 2), s the offset; β at most 0.999."""
    moment = torch.arange(steps + 1, dtype=torch.float64) / steps
    bars = torch.cos((moment + offset) / (1 + offset) * math.pi / 2).square()
    return (1 - bars[1:] / bars[:-1]).clamp(max=0.999)
