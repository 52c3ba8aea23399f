"""Policy gradients: play, and make likelier what went better than expected.

REINFORCE (Williams 1992): ∇J = E[Σ ∇log π(action | state) · advantage], where the advantage is the return
from there on less what the baseline expected. PPO goes over the same episodes several times and stops
where the new policy has moved too far from the one that played them (Schulman et al. 2017,
arXiv:1707.06347).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.episodes.frames import frames
from dlcore.episodes.rollouts import Environment, Episodes, play
from dlcore.errors import UserError
from dlcore.fields import Count, NonNegative, Positive
from dlcore.registry import TASKS
from dlcore.tasks.sums import Means
from dlcore.training.task import Metrics, Phase, Task

Share = Annotated[float, Field(ge=0, le=1)]

REPLAYED = 3
"""Episodes of the samples that are shown frame by frame."""

AT_ONCE = 64
"""Episodes played side by side when new ones are asked for."""


class Played(NamedTuple):
    """Episodes to learn from, one row a step of any of them.

    Attributes:
        states: (steps, features).
        actions: (steps,).
        log_probs: (steps,) of the actions, by the policy that played.
        advantages: (steps,), mean 0 and deviation 1.
        returns: (steps,), what the baseline should have said.
        facts: of each episode, (episodes,): ``return`` and ``length``; and its ``actions``, (episodes, time).
    """

    states: Tensor
    actions: Tensor
    log_probs: Tensor
    advantages: Tensor
    returns: Tensor
    facts: dict[str, Tensor]


@TASKS.register("policy_gradient", targets=("reward",))
class PolicyGradient(Task):
    """REINFORCE with a baseline: a batch of episodes is played and learnt from once.

    A model answers a state with logits of the actions, or with ``(logits, value)``, where the value is
    learnt as the baseline. Without one, the mean return of the batch is. Validation and test play the
    likeliest action.

    Args:
        discount: what a reward a step later counts in comparison with one now.
        value_weight: weight of the baseline's squared error beside the policy's loss.
        entropy_weight: reward for keeping several actions likely, so that there is something to find out.
    """

    monitor = "val/return"
    monitor_mode = "max"
    decay = 1.0  # λ of the advantages: 1 believes the returns, less believes the baseline

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        discount: Share = 0.99,
        value_weight: NonNegative = 0.5,
        entropy_weight: NonNegative = 0.01,
    ) -> None:
        super().__init__(model, spec)
        if spec.preprocessing.get("kind") != "environment":
            raise UserError(
                "this task plays an environment, but the data has none; try data.name = gymnasium"
            )
        self.environment = str(spec.preprocessing["environment"])
        self.discount, self.value_weight, self.entropy_weight = discount, value_weight, entropy_weight
        # The baseline answers in units of 1 / (1 - discount), the return of a reward of 1 for ever: about 1.
        self.unit = 1 / (1 - discount) if discount < 1 else 1.0
        self._environments: list[Environment] = []

    def loss(self, batch: Batch, phase: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss over all steps of the episodes that start as the batch says, (), and how they went."""
        played = self._play(batch)
        logits, value = self._answer(played.states)
        log_probs = F.log_softmax(logits, dim=1)
        taken = log_probs.gather(1, played.actions[:, None]).squeeze(1)  # (steps,)
        loss = self.policy_loss(taken, played)
        entropy = -(log_probs.exp() * log_probs).sum(1).mean()
        loss = loss - self.entropy_weight * entropy
        if value is not None:
            loss = loss + self.value_weight * F.mse_loss(value, played.returns / self.unit)
        return loss, played.facts

    def policy_loss(self, log_probs: Tensor, played: Played) -> Tensor:
        """-E[log π · advantage], ().

        Args:
            log_probs: (steps,) of the actions taken, by the policy as it is.
        """
        return -(log_probs * played.advantages).mean()

    def metrics(self) -> Metrics:
        """Mean return and length of the episodes."""
        return EpisodeMeans()

    def answers(self, inputs: Tensor) -> list[dict[str, Any]]:
        """The action that it takes in each state, and the chance of each while it learns."""
        logits, _ = self._answer(inputs)
        return [
            {
                "prediction": str(max(range(len(row)), key=row.__getitem__)),
                "probability": max(row),
                "probabilities": {str(action): chance for action, chance in enumerate(row)},
            }
            for row in logits.softmax(1).tolist()
        ]

    def exported_told(self) -> tuple[str, str]:
        """A state in, how good each action looks out."""
        return (
            f"states of {self.environment}, of shape (batch, {', '.join(map(str, self.spec.input_shape))}), float32",
            "logits of the actions (batch, actions), of which it takes the highest; and the return it expects, if any",
        )

    def episodes(self, seeds: Sequence[int], *, framed: bool) -> list[dict[str, Any]]:
        """Episodes in which it takes the likeliest action."""
        device = next(self.model.parameters()).device
        played = []
        for low in range(0, len(seeds), AT_ONCE):
            chunk = torch.tensor(seeds[low : low + AT_ONCE])
            start = Batch(torch.zeros(len(chunk), *self.spec.input_shape, device=device), chunk, chunk)
            played += self.samples(start, self._play(start).facts, shown=len(chunk) if framed else 0)
        return [{key: row[key] for key in ("return", "length", "frames") if key in row} for row in played]

    def samples(
        self, batch: Batch, outputs: dict[str, Tensor], shown: int = REPLAYED
    ) -> list[dict[str, Any]]:
        """Return and length of each episode; the first ones also as text frames.

        Args:
            shown: how many have their frames.
        """
        rows = []
        for row, seed in enumerate(batch.targets.tolist()):
            length, total = int(outputs["length"][row]), float(outputs["return"][row])
            sample: dict[str, Any] = {
                "index": int(batch.index[row]), "caption": f"return {total:.4g} in {length} steps",
                "return": total, "length": length,
            }  # fmt: skip
            if row < shown:
                sample["frames"] = frames(self.environment, seed, outputs["actions"][row, :length].tolist())
            rows.append(sample)
        return rows

    @torch.no_grad()
    def _play(self, batch: Batch) -> Played:
        seeds = batch.targets.tolist()
        while len(self._environments) < len(seeds):
            self._environments.append(Environment(self.environment))
        device, greedy = batch.inputs.device, not self.model.training

        def choose(states: Any, chances: Any) -> Any:
            logits, _ = self._answer(torch.from_numpy(states).to(device))
            if greedy:
                return logits.argmax(1).cpu().numpy()
            bounds = logits.softmax(1).double().cumsum(1)  # (n, actions); the chance falls below one of them
            wanted = torch.from_numpy(chances).to(device)[:, None] * bounds[:, -1:]
            return (bounds <= wanted).sum(1).clamp(max=logits.shape[1] - 1).cpu().numpy()

        return self._judged(play(self._environments, seeds, choose), device)

    def _judged(self, episodes: Episodes, device: torch.device) -> Played:
        """Steps of all episodes in a row, with advantages and returns."""
        states, last = (torch.from_numpy(array).to(device) for array in (episodes.states, episodes.last))
        lengths = torch.from_numpy(episodes.lengths)
        played = torch.arange(states.shape[1]) < lengths[:, None]  # (episodes, time)
        logits, value = self._answer(states[played])
        values = torch.zeros(played.shape)
        after = torch.zeros(len(last))
        if value is not None:
            values[played] = value.float().cpu() * self.unit
            # A time limit is not the end of the world: what would have followed counts as the baseline sees it.
            _, value_after = self._answer(last)
            assert value_after is not None
            after = torch.where(
                torch.from_numpy(episodes.ended), after, value_after.float().cpu() * self.unit
            )
        rewards = torch.from_numpy(episodes.rewards)
        advantages = generalised_advantages(rewards, values, after, lengths, self.discount, self.decay)
        returns = (advantages + values)[played]
        usable = advantages[played]
        usable = (usable - usable.mean()) / (usable.std(correction=0) + 1e-8)
        actions = torch.from_numpy(episodes.actions)
        taken = actions[played].to(device)
        log_probs = F.log_softmax(logits, dim=1).gather(1, taken[:, None]).squeeze(1)
        facts = {"return": rewards.sum(1), "length": lengths.float(), "actions": actions}
        return Played(states[played], taken, log_probs, usable.to(device), returns.to(device), facts)

    def _answer(self, states: Tensor) -> tuple[Tensor, Tensor | None]:
        output = self.model(states)
        if isinstance(output, Tensor):
            return output.float(), None
        logits, value = output
        return logits.float(), value.float()


@TASKS.register("ppo", targets=("reward",))
class ProximalPolicy(PolicyGradient):
    """PPO: a batch of episodes is played and learnt from several times, with the policy kept near the one that played.

    Args:
        discount: what a reward a step later counts in comparison with one now.
        decay: λ of the advantages (Schulman et al. 2015): 1 believes the returns, 0 the baseline.
        clip: how far the chance of an action may move, as a ratio, before it stops to pay.
        passes: optimizer steps over each batch of episodes.
        value_weight: weight of the baseline's squared error beside the policy's loss.
        entropy_weight: reward for keeping several actions likely, so that there is something to find out.
    """

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        discount: Share = 0.99,
        decay: Share = 0.95,
        clip: Positive = 0.2,
        passes: Count = 6,
        value_weight: NonNegative = 0.5,
        entropy_weight: NonNegative = 0.01,
    ) -> None:
        super().__init__(
            model, spec, discount=discount, value_weight=value_weight, entropy_weight=entropy_weight
        )
        self.decay, self.clip, self.passes = decay, clip, passes
        self.phases = (Phase("main", (model,), repeats=passes),)
        self._kept: dict[tuple[int, ...], tuple[Played, int]] = {}  # episodes, and passes still to make

    def policy_loss(self, log_probs: Tensor, played: Played) -> Tensor:
        """-E[min(ratio · advantage, clipped ratio · advantage)], ()."""
        ratio = (log_probs - played.log_probs).exp()
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
        return -torch.minimum(ratio * played.advantages, clipped * played.advantages).mean()

    def _play(self, batch: Batch) -> Played:
        """Play in the first pass over a batch, remember for the others."""
        if not self.model.training:
            return super()._play(batch)
        key = tuple(batch.targets.tolist())
        played, left = self._kept.pop(key, (None, self.passes))
        if played is None:
            played = super()._play(batch)
        if left > 1:
            self._kept[key] = (played, left - 1)
        return played


def generalised_advantages(
    rewards: Tensor, values: Tensor, after: Tensor, lengths: Tensor, discount: float, decay: float
) -> Tensor:
    """How much better each action was than expected: A_t = δ_t + γ λ A_{t+1}, δ_t = r_t + γ V_{t+1} - V_t.

    With λ = 1 this is the discounted return less the value.

    Args:
        rewards, values: (episodes, time), 0 behind an episode's end.
        after: (episodes,) value of where each came to; 0 where the environment ended it.
        lengths: (episodes,).

    Returns:
        (episodes, time), 0 behind an episode's end.
    """
    advantages = torch.zeros_like(rewards)
    running, ahead = torch.zeros_like(after), torch.zeros_like(after)
    for step in reversed(range(rewards.shape[1])):
        ahead = torch.where(lengths == step + 1, after, ahead)
        running = rewards[:, step] + discount * ahead - values[:, step] + discount * decay * running
        running = torch.where(step < lengths, running, torch.zeros(()))
        advantages[:, step] = running
        ahead = values[:, step]
    return advantages


class EpisodeMeans(Means):
    """``return`` and ``length``; the loss of a policy says nothing about how good it is."""

    def figures(self, outputs: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Return and length of every episode, (batch,) each."""
        return {"return": outputs["return"], "length": outputs["length"]}

    def compute(self) -> dict[str, float]:
        """Means by name, without the loss."""
        return {name: value for name, value in super().compute().items() if name != "loss"}
