"""Policy gradients: whose chance rises, the advantages against their definition, and episodes that repeat exactly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.episodes.frames import MOST_FRAMES, POLE, TRACK, cart_pole, frames
from dlcore.episodes.rollouts import Environment, play
from dlcore.errors import UserError
from dlcore.registry import MODELS, TASKS
from dlcore.tasks.policy_gradient import Played, PolicyGradient, ProximalPolicy, generalised_advantages

BANDIT = "TwoArmedBandit-v0"
SLOPE = "Slope-v0"
both_tasks = pytest.mark.parametrize("name", ["policy_gradient", "ppo"])


class TwoArmedBandit(gymnasium.Env[Any, Any]):
    """One pull: the right arm pays 1, the left one nothing."""

    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.ones(1, np.float32), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.ones(1, np.float32), float(action), True, False, {}


class Slope(TwoArmedBandit):
    """Goes on for ever, a reward of 1 a step; only its time limit ends it."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.ones(1, np.float32), 1.0, False, False, {}


@pytest.fixture(autouse=True)
def _environments() -> Iterator[None]:
    gymnasium.register(BANDIT, entry_point=TwoArmedBandit)
    gymnasium.register(SLOPE, entry_point=Slope, max_episode_steps=3)
    yield
    del gymnasium.registry[BANDIT], gymnasium.registry[SLOPE]


def spec_of(environment: str) -> DataSpec:
    made = Environment(environment)
    facts = {"kind": "environment", "environment": environment, "features": made.features}
    return DataSpec("vector", (made.features,), "reward", made.actions, preprocessing=facts)


def make_task(name: str, environment: str, model: nn.Module | None = None, **options: Any) -> PolicyGradient:
    torch.manual_seed(0)
    spec = spec_of(environment)
    task = TASKS.build(name, model or MODELS.build("policy", spec, widths=(8,)), spec, **options)
    assert isinstance(task, PolicyGradient)
    return task


def make_batch(environment: str, count: int, first: int = 0) -> Batch:
    seeds = torch.arange(first, first + count)
    return Batch(torch.zeros(count, *spec_of(environment).input_shape), seeds, torch.arange(count))


class Chances(nn.Module):
    """A policy without a baseline that looks at nothing: its weights are the logits."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(2))

    def forward(self, states: Tensor) -> Tensor:
        return self.logits.expand(len(states), 2)


@both_tasks
def test_the_arm_that_pays_becomes_likelier(name: str) -> None:
    model = Chances()
    task = make_task(name, BANDIT, model)
    task.loss(make_batch(BANDIT, 40), "main")[0].backward()
    assert model.logits.grad is not None
    assert model.logits.grad[1] < 0 < model.logits.grad[0], "down the gradient, the right arm goes up"


def test_the_gradient_is_reinforces() -> None:
    model = Chances()
    task = make_task("policy_gradient", BANDIT, model, entropy_weight=0.0)
    loss, facts = task.loss(make_batch(BANDIT, 40), "main")
    loss.backward()
    pulled, returns = facts["actions"][:, 0], facts["return"]
    assert torch.equal(returns, pulled.float()) and 0 < returns.mean() < 1
    advantages = (returns - returns.mean()) / returns.std(correction=0)
    scores = nn.functional.one_hot(pulled, 2) - 0.5  # ∇ log π of a softmax: one-hot less the chances
    torch.testing.assert_close(model.logits.grad, -(advantages[:, None] * scores).mean(0))


@both_tasks
def test_the_bandit_is_learnt(name: str) -> None:
    task = make_task(name, BANDIT)
    optimizer = torch.optim.Adam(task.model.parameters(), lr=0.05)
    for step in range(30):
        optimizer.zero_grad()
        task.loss(make_batch(BANDIT, 16, first=16 * step), "main")[0].backward()
        optimizer.step()
    with torch.no_grad():
        assert task.model(torch.ones(1, 1)).logits.softmax(1)[0, 1] > 0.9


# Advantages


def advantages_of(rewards: list[float], values: list[float], after: float, decay: float) -> Tensor:
    tensors = (torch.tensor([row]) for row in (rewards, values))
    lengths = torch.tensor([len(rewards)])
    return generalised_advantages(*tensors, torch.tensor([after]), lengths, 0.9, decay)[0]


def test_with_lambda_1_they_are_returns_less_values() -> None:
    rewards, values, after = [1.0, 2.0, 3.0], [0.5, 0.1, 0.7], 4.0
    returns = [1 + 0.9 * (2 + 0.9 * (3 + 0.9 * 4)), 2 + 0.9 * (3 + 0.9 * 4), 3 + 0.9 * 4]
    torch.testing.assert_close(
        advantages_of(rewards, values, after, 1.0), torch.tensor(returns) - torch.tensor(values)
    )


def test_with_lambda_0_they_are_one_step_ahead() -> None:
    rewards, values, after = [1.0, 2.0, 3.0], [0.5, 0.1, 0.7], 4.0
    expected = [1 + 0.9 * 0.1 - 0.5, 2 + 0.9 * 0.7 - 0.1, 3 + 0.9 * 4 - 0.7]
    torch.testing.assert_close(advantages_of(rewards, values, after, 0.0), torch.tensor(expected))


def test_episodes_of_unequal_length_do_not_touch() -> None:
    rewards, values = torch.tensor([[1.0, 2.0, 0.0], [1.0, 1.0, 1.0]]), torch.rand(2, 3)
    values[0, 2] = 0.0
    after, lengths = torch.tensor([5.0, 7.0]), torch.tensor([2, 3])
    together = generalised_advantages(rewards, values, after, lengths, 0.9, 0.95)
    alone = generalised_advantages(rewards[:1, :2], values[:1, :2], after[:1], lengths[:1], 0.9, 0.95)
    torch.testing.assert_close(together[0, :2], alone[0])
    assert together[0, 2] == 0


def test_a_time_limit_is_not_the_end() -> None:
    """Cut off after 3 steps, the return goes on with what the baseline expects; ended, it does not."""
    for environment, expected in (
        (SLOPE, [1 + 0.5 * (1 + 0.5 * (1 + 0.5 * 8)), 1 + 0.5 * 5, 5.0]),
        (BANDIT, [1.0]),
    ):
        task = make_task("policy_gradient", environment, Known(8.0), discount=0.5)
        task.model.eval()
        played = task._play(make_batch(environment, 1))
        torch.testing.assert_close(played.returns, torch.tensor(expected))


class Known(nn.Module):
    """Always right, and expects the same of every state."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        # The task counts values in units of 1 / (1 - discount), here 2.
        return torch.tensor([[0.0, 9.0]]).expand(len(states), 2), torch.full((len(states),), self.value / 2)


# PPO


def played_with(log_probs: Tensor, advantages: Tensor) -> Played:
    nothing = torch.zeros(0)
    return Played(nothing, nothing, log_probs, advantages, nothing, {})


@pytest.mark.parametrize(
    ("ratio", "advantage", "learns"),
    [(1.0, 1.0, True), (1.5, 1.0, False), (0.5, 1.0, True), (0.5, -1.0, False), (1.5, -1.0, True)],
)
def test_ppo_stops_where_the_policy_has_moved_far_enough(
    ratio: float, advantage: float, learns: bool
) -> None:
    task = make_task("ppo", BANDIT, clip=0.2)
    before = torch.tensor([0.5]).log()
    now = (before + float(np.log(ratio))).requires_grad_()
    task.policy_loss(now, played_with(before, torch.tensor([advantage]))).backward()
    assert (now.grad is not None and bool(now.grad != 0)) == learns


def test_ppo_plays_once_and_learns_several_times(monkeypatch: pytest.MonkeyPatch) -> None:
    task, plays = make_task("ppo", BANDIT, passes=3), []
    assert isinstance(task, ProximalPolicy)
    original = PolicyGradient._play
    monkeypatch.setattr(PolicyGradient, "_play", lambda self, batch: plays.append(1) or original(self, batch))
    (phase,) = task.phases
    assert phase.repeats == 3
    for epoch in (1, 2):
        for _ in range(phase.repeats):
            task.loss(make_batch(BANDIT, 4), "main")
        assert len(plays) == epoch


# Episodes


def test_an_episode_does_not_depend_on_what_it_is_played_beside() -> None:
    def lean(states: Any, chances: Any) -> Any:
        return ((states[:, 2] + 0.1 * (chances - 0.5)) > 0).astype(np.int64)

    environments = [Environment("CartPole-v1") for _ in range(3)]
    together, alone = play(environments, [7, 8, 9], lean), play(environments, [8], lean)
    length = int(alone.lengths[0])
    assert together.lengths[1] == length
    assert np.array_equal(together.states[1, :length], alone.states[0])
    assert np.array_equal(together.actions[1, :length], alone.actions[0])
    assert not together.states[1, length:].any()


def test_evaluation_plays_the_likeliest_actions_and_draws_nothing() -> None:
    task = make_task("policy_gradient", "CartPole-v1")
    task.model.eval()
    before = torch.get_rng_state()
    results = []
    for _ in range(2):
        metrics = task.metrics()
        loss, outputs = task.loss(make_batch("CartPole-v1", 4), "main")
        metrics.update(loss, outputs, make_batch("CartPole-v1", 4))
        results.append(metrics.compute())
    assert results[0] == results[1]
    assert set(results[0]) == {"return", "length"}, "the loss says nothing about how good a policy is"
    assert results[0]["return"] == results[0]["length"]
    assert torch.equal(before, torch.get_rng_state())


def test_samples_are_episodes_that_can_be_stepped_through() -> None:
    task = make_task("policy_gradient", "CartPole-v1")
    task.model.eval()
    with torch.no_grad():
        _, outputs = task.loss(make_batch("CartPole-v1", 5), "main")
    rows = task.samples(make_batch("CartPole-v1", 5), outputs)
    length = int(outputs["length"][0])
    assert rows[0]["caption"] == f"return {length} in {length} steps"
    assert rows[0]["frames"][0].startswith(f"step 0 of {length}\n")
    assert rows[0]["frames"][-1].startswith(f"step {length} of {length}\n")
    assert 2 <= len(rows[0]["frames"]) <= MOST_FRAMES
    assert "frames" not in rows[-1], "a few are enough to look at"


def test_frames_end_where_the_episode_ended() -> None:
    environment, actions = Environment("CartPole-v1"), [1] * 9
    state = environment.reset(3)
    for action in actions:
        state, *_ = environment.step(action)
    assert frames("CartPole-v1", 3, actions)[-1].endswith(cart_pole(float(state[0]), float(state[2])))


def test_long_episodes_are_thinned_out() -> None:
    drawn = frames("MountainCar-v0", 3, [0] * 200)
    assert len(drawn) <= MOST_FRAMES
    assert drawn[-1].startswith("step 200 of 200")


@pytest.mark.parametrize(("angle", "top"), [(0.0, "|"), (0.2, "/"), (-0.2, "\\")])
def test_the_pole_leans_where_it_falls(angle: float, top: str) -> None:
    rows = cart_pole(0.0, angle).split("\n")
    assert len(rows) == POLE + 3
    columns = [row.index(top) for row in rows[:POLE]]
    middle = TRACK // 2
    assert columns[-1] in (middle - 1, middle, middle + 1)
    assert np.sign(columns[0] - middle) == np.sign(angle)


def test_an_environment_that_draws_itself_is_shown_as_it_draws() -> None:
    first = frames("FrozenLake-v1", 0, [2, 2])[0]
    assert "SFFF" in first and "\x1b" not in first


def test_numbered_states_are_one_hot() -> None:
    environment = Environment("FrozenLake-v1")
    state = environment.reset(0)
    assert environment.features == 16 and environment.actions == 4
    assert state.sum() == 1 and state[0] == 1


# What cannot be


@pytest.mark.parametrize(
    ("name", "what"),
    [("CartPool-v1", "cannot be made"), ("Pendulum-v1", "Box actions"), ("Blackjack-v1", "Tuple states")],
)
def test_what_cannot_be_played_is_a_sentence(name: str, what: str) -> None:
    with pytest.raises(UserError, match=what):
        Environment(name)


@both_tasks
def test_data_without_an_environment_is_a_sentence(name: str) -> None:
    spec = DataSpec("vector", (4,), "reward", 2)
    with pytest.raises(UserError, match="data has none"):
        TASKS.build(name, MODELS.build("policy", spec), spec)
