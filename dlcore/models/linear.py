"""The two simplest networks: one linear layer, and one single neuron.

Both answer w·x + b and nothing else. What that number means is up to the loss: as logits under
cross-entropy the layer is logistic regression, under mean squared error it is linear regression.
"""

from __future__ import annotations

from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.models.blocks import flat_features
from dlcore.registry import MODELS


@MODELS.register(
    "linear", group="basics", inputs=("vector", "image", "sequence"), targets=("class", "binary", "number")
)
class Linear(nn.Module):
    """One linear layer: logistic regression for classes, linear regression for numbers.

    Without a hidden layer every boundary between classes is a straight line (a plane, a hyperplane),
    which makes it the baseline that a deeper network has to beat.
    """

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.linear = nn.Linear(flat_features(spec), spec.num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, *input_shape) -> (batch, num_outputs)."""
        return self.linear(inputs.flatten(1))


@MODELS.register(
    "perceptron", group="basics", inputs=("vector", "image", "sequence"), targets=("binary", "number")
)
class Perceptron(nn.Module):
    """A single neuron: a weighted sum of the inputs plus a bias, for yes-or-no questions or one number.

    Rosenblatt (1958) passed the sum through a step; here it stays a logit, since a step has no slope to
    learn from. The answer is yes where the sum is above 0.
    """

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        if spec.num_outputs != 1:
            asked, one = ("numbers", "one number") if spec.target == "number" else ("classes", "two classes")
            raise UserError(
                f"a perceptron has one output, but the data asks for {spec.num_outputs} {asked}: "
                f'use model "linear", which has one neuron for each, or data with {one}'
            )
        self.neuron = nn.Linear(flat_features(spec), 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, *input_shape) -> (batch, 1)."""
        return self.neuron(inputs.flatten(1))
