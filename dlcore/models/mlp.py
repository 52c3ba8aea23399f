"""The multilayer perceptron: linear layers with an activation between them.

Two linear layers in a row are one linear layer; the activation between them is what lets the network
bend its boundaries.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.fields import Fraction, Widths
from dlcore.models.blocks import Activation, Init, dense_block, flat_features, initialise
from dlcore.registry import MODELS


@MODELS.register(
    "mlp", group="basics", inputs=("vector", "image", "sequence"), targets=("class", "binary", "number")
)
class MLP(nn.Module):
    """A multilayer perceptron: fully connected layers of any depth and width, for flattened inputs.

    Args:
        widths: units of each hidden layer, first to last; empty leaves a linear model.
        activation: what bends the output of each hidden layer; relu trains well, sigmoid fades with depth.
        dropout: share of hidden units silenced at random while training, against overfitting.
        batch_norm: normalise each hidden unit over the batch before its activation.
        init: how hidden weights are drawn: PyTorch's default, he (for relu and its kin), xavier (for tanh).
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        widths: Widths = (256, 256),
        activation: Activation = "relu",
        dropout: Fraction = 0.0,
        batch_norm: bool = False,
        init: Init = "default",
    ) -> None:
        super().__init__()
        sizes = [flat_features(spec), *widths]
        self.blocks = nn.Sequential(
            *(
                dense_block(before, after, activate=activation, dropout=dropout, batch_norm=batch_norm)
                for before, after in pairwise(sizes)
            )
        )
        # The head keeps PyTorch's smaller weights: first guesses near uniform, a first loss near ln(classes).
        initialise(self.blocks, init)
        self.head = nn.Linear(sizes[-1], spec.num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, *input_shape) -> (batch, num_outputs)."""
        hidden = self.blocks(inputs.flatten(1))  # (batch, widths[-1])
        return self.head(hidden)
