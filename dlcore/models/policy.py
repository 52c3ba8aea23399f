"""A policy network: how good each action looks in a state, and how good the state itself.

Two networks that share nothing: the first decides, the second only tells the learner what to expect.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.fields import Widths
from dlcore.models.blocks import Activation, dense_block, flat_features, named
from dlcore.registry import MODELS


class PolicyOutput(NamedTuple):
    """Answers to a batch of states.

    Attributes:
        logits: (batch, actions); softmax gives the chances of acting so.
        value: (batch,), the return expected from here on.
    """

    logits: Tensor
    value: Tensor


@MODELS.register("policy", group="reinforcement", inputs=("vector",), targets=("reward",))
class Policy(nn.Module):
    """A policy for numbered actions, and beside it an estimate of the return: actor and critic.

    Args:
        widths: units of each hidden layer, in both networks.
        activation: what bends the output of each hidden layer.
    """

    def __init__(self, spec: DataSpec, *, widths: Widths = (64, 64), activation: Activation = "tanh") -> None:
        super().__init__()
        self.actor = network([flat_features(spec), *widths], spec.num_outputs, activation)
        self.critic = network([flat_features(spec), *widths], 1, activation)

    def forward(self, states: Tensor) -> PolicyOutput:
        """(batch, features) -> logits (batch, actions) and value (batch,)."""
        return PolicyOutput(self.actor(states), self.critic(states).squeeze(1))


def network(sizes: list[int], outputs: int, activate: Activation) -> nn.Sequential:
    """Fully connected layers with an activation each, and a linear one on top."""
    hidden = nn.Sequential(
        *(dense_block(before, after, activate=activate, dropout=0.0) for before, after in pairwise(sizes))
    )
    return named(hidden=hidden, output=nn.Linear(sizes[-1], outputs))
