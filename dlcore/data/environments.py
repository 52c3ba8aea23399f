"""Environments to act in: a sample is the start of an episode, what follows depends on who acts.

An episode's start is f(seed, epoch, index); those of the validation and test parts never change, so that
returns of different runs can be compared.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcore.data.seeding import derived_seed
from dlcore.data.spec import Data, DataContext, DatasetPart, DataSpec
from dlcore.episodes.rollouts import Environment
from dlcore.fields import Count
from dlcore.registry import DATA


@DATA.register(
    "gymnasium",
    group="environments",
    input="vector",
    target="reward",
    task="policy_gradient",
    shape=(4,),
    outputs=2,
)
def gymnasium_environment(
    context: DataContext,
    *,
    environment: str = "CartPole-v1",
    episodes: Count = 256,
    val_episodes: Count = 20,
    test_episodes: Count = 100,
) -> Data:
    """An environment of Gymnasium, such as CartPole: balance a pole on a cart that goes left or right.

    Args:
        environment: its name in Gymnasium; states must be numbers and actions numbered.
        episodes: episodes that make an epoch.
        val_episodes: episodes to watch the training by, always the same starts.
        test_episodes: episodes for the final figure, always the same starts.
    """
    made = Environment(environment)
    spec = DataSpec(
        input="vector",
        input_shape=(made.features,),
        target="reward",
        num_outputs=made.actions,
        preprocessing={"kind": "environment", "environment": environment, "features": made.features},
    )
    made.close()
    return Data(
        spec,
        DatasetPart(Starts(environment, episodes, (context.seed, "train"))),
        DatasetPart(Starts(environment, val_episodes, ("val",))),
        DatasetPart(Starts(environment, test_episodes, ("test",))),
    )


class Starts(Dataset[Any]):
    """First state of each episode, with the episode's seed for a target.

    Args:
        stream: names the seeds, together with epoch and index.
    """

    def __init__(self, environment: str, episodes: int, stream: tuple[int | str, ...]) -> None:
        self._name, self._episodes, self._stream = environment, episodes, stream
        self._environment: Environment | None = None

    def __len__(self) -> int:
        return self._episodes

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        if self._environment is None:
            self._environment = Environment(self._name)
        seed = derived_seed("episode", *self._stream, *key) % 2**31
        state = self._environment.reset(seed)
        return torch.from_numpy(state.copy()), torch.tensor(seed)
