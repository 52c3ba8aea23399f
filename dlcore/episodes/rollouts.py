"""Episodes of an environment: many played side by side, each from a seed of its own.

An episode depends on its seed and on the answers to its states only, whatever it is played beside. Gymnasium
is imported when an environment is made, not before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcore.errors import UserError
from dlcore.text_safety import safe_text

Floats = NDArray[np.float32]
Choose = Callable[[Floats, NDArray[np.float64]], NDArray[np.int64]]


@dataclass(frozen=True)
class Episodes:
    """What happened, filled up with zeros behind each episode's end.

    Attributes:
        states: (episodes, time, features) before each action.
        actions: (episodes, time).
        rewards: (episodes, time) of each action.
        lengths: (episodes,) steps of each.
        last: (episodes, features), where each came to.
        ended: (episodes,) whether the environment ended it, rather than its time limit.
    """

    states: Floats
    actions: NDArray[np.int64]
    rewards: Floats
    lengths: NDArray[np.int64]
    last: Floats
    ended: NDArray[np.bool_]


class Environment:
    """A Gymnasium environment with number features for states and numbered actions.

    Raises:
        UserError: Gymnasium or what the environment needs is missing, there is none of that name, or its
            states or actions are of another kind.
    """

    def __init__(self, name: str, *, render: bool = False) -> None:
        try:
            import gymnasium
        except ImportError as error:
            raise UserError("environments need Gymnasium: pip install gymnasium") from error
        try:
            # Its checker of an author's mistakes costs half of a step of CartPole.
            kind: dict[str, Any] = {"render_mode": "ansi"} if render else {}
            self._env: Any = gymnasium.make(name, disable_env_checker=True, **kind)
        except (gymnasium.error.Error, ImportError, ValueError, TypeError) as error:
            reason = safe_text(" ".join(str(error).split()), limit=200)
            raise UserError(f"environment '{safe_text(name, limit=80)}' cannot be made: {reason}") from error
        self.name = name
        actions, states = self._env.action_space, self._env.observation_space
        if not isinstance(actions, gymnasium.spaces.Discrete):
            raise UserError(
                f"environment '{name}' has {type(actions).__name__} actions; only numbered ones work"
            )
        self.actions, self._first_action = int(actions.n), int(actions.start)
        self._discrete = isinstance(states, gymnasium.spaces.Discrete)
        if isinstance(states, gymnasium.spaces.Discrete):
            self.features, self._offset = int(states.n), int(states.start)
        elif isinstance(states, gymnasium.spaces.Box):
            self.features, self._offset = math.prod(states.shape), 0
        else:
            raise UserError(f"environment '{name}' has {type(states).__name__} states; only numbers work")

    @property
    def texts(self) -> bool:
        """Whether it can draw itself as text."""
        return "ansi" in (self._env.metadata.get("render_modes") or ())

    def reset(self, seed: int) -> Floats:
        """Start an episode; its first state, (features,)."""
        state, _ = self._env.reset(seed=seed)
        return self._as_features(state)

    def step(self, action: int) -> tuple[Floats, float, bool, bool]:
        """Act: state, reward, whether the episode ended, whether the time limit cut it off."""
        state, reward, ended, cut, _ = self._env.step(action + self._first_action)
        return self._as_features(state), float(reward), bool(ended), bool(cut)

    def render(self) -> str:
        """The present state as the environment draws it."""
        return str(self._env.render())

    def close(self) -> None:
        """Let go of it."""
        self._env.close()

    def _as_features(self, state: Any) -> Floats:
        if not self._discrete:
            return np.asarray(state, np.float32).reshape(-1)
        one_hot = np.zeros(self.features, np.float32)
        one_hot[int(state) - self._offset] = 1.0
        return one_hot


def play(environments: Sequence[Environment], seeds: Sequence[int], choose: Choose) -> Episodes:
    """One episode of each environment, to its end.

    Args:
        environments: as many as seeds, or more.
        seeds: of each episode: fixes its start, what the environment draws, and the chances.
        choose: answers states (n, features) of the episodes under way, and a chance in 0..1 for each, (n,),
            with actions (n,).
    """
    count = len(seeds)
    now = [environment.reset(seed) for environment, seed in zip(environments, seeds, strict=False)]
    chances = [np.random.default_rng((seed, 1)) for seed in seeds]
    steps: list[list[tuple[Floats, int, float]]] = [[] for _ in seeds]
    ended = np.zeros(count, np.bool_)
    under_way = list(range(count))
    while under_way:
        states = np.stack([now[row] for row in under_way])
        actions = choose(states, np.array([chances[row].random() for row in under_way]))
        going_on = []
        for row, action in zip(under_way, actions.tolist(), strict=True):
            state, reward, over, cut = environments[row].step(action)
            steps[row].append((now[row], action, reward))
            now[row] = state
            ended[row] = over
            if not (over or cut):
                going_on.append(row)
        under_way = going_on
    return _filled_up(steps, np.stack(now), ended)


def _filled_up(
    steps: Sequence[Sequence[tuple[Floats, int, float]]], last: Floats, ended: NDArray[np.bool_]
) -> Episodes:
    lengths = np.array([len(episode) for episode in steps], np.int64)
    shape = (len(steps), int(lengths.max()))
    states = np.zeros((*shape, last.shape[1]), np.float32)
    actions, rewards = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
    for row, episode in enumerate(steps):
        states[row, : len(episode)] = [state for state, _, _ in episode]
        actions[row, : len(episode)] = [action for _, action, _ in episode]
        rewards[row, : len(episode)] = [reward for _, _, reward in episode]
    return Episodes(states, actions, rewards, lengths, last, ended)
