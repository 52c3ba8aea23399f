"""The variational autoencoder: a code with a spread, so that any code near those seen draws an image too.

Where an autoencoder's code is a point, here it is a normal distribution. Noise that enters through
code = mean + deviation · noise leaves a path for the gradient (the reparameterisation of Kingma & Welling
2013, arXiv:1312.6114).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.fields import Count
from dlcore.models.blocks import Activation, dense_block, flat_features, named
from dlcore.registry import MODELS


class VAEOutput(NamedTuple):
    """What the ELBO is made of.

    Attributes:
        logits: (batch, channels, height, width); their sigmoid is each pixel's brightness.
        mean: (batch, latent), of the code's distribution.
        log_variance: (batch, latent), of the same.
    """

    logits: Tensor
    mean: Tensor
    log_variance: Tensor


@MODELS.register("vae", group="generative", inputs=("image",), task="vae")
class VAE(nn.Module):
    """A variational autoencoder: images as normal distributions over a short code, drawn from samples of it.

    Args:
        hidden: units of the encoder's and of the decoder's hidden layer.
        latent: numbers in the code.
        activation: what bends the output of the hidden layers.
    """

    def __init__(
        self, spec: DataSpec, *, hidden: Count = 256, latent: Count = 16, activation: Activation = "relu"
    ) -> None:
        super().__init__()
        self.latent = latent
        pixels = flat_features(spec)
        self.encoder = named(
            flatten=nn.Flatten(), hidden=dense_block(pixels, hidden, activate=activation, dropout=0.0)
        )
        self.mean = nn.Linear(hidden, latent)
        self.log_variance = nn.Linear(hidden, latent)  # a logarithm: any number is a valid one
        self.decoder = named(
            hidden=dense_block(latent, hidden, activate=activation, dropout=0.0),
            output=nn.Linear(hidden, pixels),
            image=nn.Unflatten(1, spec.input_shape),
        )

    def forward(self, inputs: Tensor, noise: Tensor | None = None) -> VAEOutput:
        """Encode, draw a code, decode.

        Args:
            inputs: (batch, channels, height, width).
            noise: (batch, latent) of standard normal numbers; None draws them in training and takes the
                mean of each distribution otherwise.
        """
        features = self.encoder(inputs)  # (batch, hidden)
        mean, log_variance = self.mean(features), self.log_variance(features)
        if noise is None:
            noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        code = mean + (log_variance / 2).exp() * noise
        return VAEOutput(self.decoder(code), mean, log_variance)
