"""The variational autoencoder's learning problem: the evidence lower bound (ELBO).

log p(image) ≥ E[log p(image | code)] - KL(q(code | image) ‖ N(0, 1)). Its negative is the loss: what the
drawing gets wrong, and how far the code's distribution is from the one that new codes will be drawn from.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.errors import UserError
from dlcore.fields import NonNegative
from dlcore.registry import TASKS
from dlcore.tasks.brightness import Brightness, fixed_noise, picture
from dlcore.tasks.fitting import require_shape
from dlcore.tasks.sums import Means
from dlcore.training.task import Metrics, Task


@TASKS.register("vae")
class VariationalAutoencoding(Task):
    """Images and the codes behind them, learnt by the ELBO; all figures are nats an image.

    A model answers ``(logits, mean, log_variance)`` and takes the noise for its code as second argument.
    Validation draws its codes from noise that never changes, so that its figures can be compared.

    Args:
        beta: weight of the KL part; 1 is the ELBO, more asks for tidier codes (Higgins et al. 2017), 0 for none.
    """

    def __init__(self, model: nn.Module, spec: DataSpec, *, beta: NonNegative = 1.0) -> None:
        super().__init__(model, spec)
        self.beta = beta
        self.brightness = Brightness(spec)

    def loss(self, batch: Batch, phase: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean negative ELBO, (), and its parts of every image with the brightness that was drawn."""
        output = self._model_output(batch.inputs)
        if not isinstance(output, tuple) or len(output) != 3:
            raise UserError(
                f"the task needs a network that answers (logits, mean, log_variance), which "
                f"{type(self.model).__name__} does not; 'vae' does"
            )
        logits, mean, log_variance = output
        require_shape(logits, batch.inputs.shape, self.model, "a logit for each pixel")
        logits = logits.float()
        goal = self.brightness.of(batch.inputs.float())
        # A pixel's brightness as the chance of its being lit: Bernoulli likelihood, which suits grey pictures.
        per_pixel = F.binary_cross_entropy_with_logits(logits, goal, reduction="none")
        reconstruction = per_pixel.flatten(1).sum(1)  # (batch,)
        kl = gaussian_kl(mean.float(), log_variance.float())  # (batch,)
        loss = (reconstruction + self.beta * kl).mean()
        return loss, {"reconstruction": reconstruction, "kl": kl, "drawn": logits.sigmoid()}

    def _model_output(self, inputs: Tensor) -> Any:
        if self.model.training:
            return self.model(inputs)
        latent = getattr(self.model, "latent", None)
        if latent is None:
            return self.model(inputs)
        return self.model(inputs, fixed_noise(len(inputs), latent, device=inputs.device))

    def metrics(self) -> Metrics:
        """The loss and its two parts, ``reconstruction`` and ``kl``."""
        return ElboParts()

    def exported_told(self) -> tuple[str, str]:
        """The picture again, and its code."""
        return (
            "",
            "logits of each pixel's brightness (sigmoid makes 0 to 1); mean and log variance of the code",
        )

    def create(self, count: int, *, seed: int) -> Tensor:
        """Images of codes that never belonged to one, (count, channels, height, width) in 0..1.

        Raises:
            UserError: the model has no decoder to draw with.
        """
        latent, decoder = getattr(self.model, "latent", None), getattr(self.model, "decoder", None)
        if latent is None or decoder is None:
            raise UserError(f"{type(self.model).__name__} has no latent and decoder to draw with")
        noise = torch.randn(count, latent, generator=torch.Generator().manual_seed(seed))
        drawn: Tensor = decoder(noise.to(next(self.model.parameters()).device))
        return drawn.float().sigmoid()

    @torch.no_grad()
    def samples(self, batch: Batch, outputs: dict[str, Tensor]) -> list[dict[str, Any]]:
        """Each image, its reconstruction, and an image of a code that never belonged to one."""
        shown = {"input": self.brightness.of(batch.inputs), "drawn again": outputs["drawn"]}
        latent, decoder = getattr(self.model, "latent", None), getattr(self.model, "decoder", None)
        if latent is not None and decoder is not None:
            noise = fixed_noise(len(batch.inputs), latent, device=batch.inputs.device)
            shown["from noise"] = decoder(noise).float().sigmoid()
        return [
            {"index": int(index), "pictures": [picture(name, images[row]) for name, images in shown.items()]}
            for row, index in enumerate(batch.index)
        ]


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) ‖ N(0, 1)) in nats, summed over the code: (batch, latent) twice -> (batch,).

    ½ Σ (mean² + variance - 1 - log variance) (Kingma & Welling 2013, appendix B).
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


class ElboParts(Means):
    """Loss, reconstruction and KL, in nats an image."""

    def figures(self, outputs: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Both parts of every image."""
        return {"reconstruction": outputs["reconstruction"].detach(), "kl": outputs["kl"].detach()}
