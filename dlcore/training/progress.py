"""How far a training is, and the whole of its state as one snapshot.

Everything that decides the rest of the training is here or in what `take_snapshot` collects; a field left
out makes a resumed run differ, which the tests check field by field.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from dlcore.errors import UserError
from dlcore.text_safety import safe_text
from dlcore.training.checkpoints import Checkpoint, Snapshot, to_host
from dlcore.training.parted import parted_like
from dlcore.training.precision import fingerprint

if TYPE_CHECKING:
    from dlcore.training.trainer import Trainer


@dataclass
class Progress:
    """Where a training stands.

    Attributes:
        epoch: finished epochs.
        batch: batches consumed of the current epoch.
        step: optimizer steps made.
        seconds: time trained, over all resumes.
        best: metric, value and epoch of the best evaluation, or None.
        waited: evaluations since then.
        lr_scale: what the person multiplied the schedule by.
        paused: whether the loop waits.
        skipped: steps not made because of non-finite gradients.
        loss_sums: per loss curve, sum and count over the current epoch.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    best: dict[str, Any] | None = None
    waited: int = 0
    lr_scale: float = 1.0
    paused: bool = False
    skipped: int = 0
    loss_sums: dict[str, list[float]] = field(default_factory=dict)

    def judge(self, metric: str, value: float, mode: str, min_delta: float) -> bool:
        """Whether this evaluation is the best so far; a non-finite one never is."""
        better = math.isfinite(value)
        if better and self.best is not None:
            gain = self.best["value"] - value if mode == "min" else value - self.best["value"]
            better = gain > min_delta
        if better:
            self.best, self.waited = {"metric": metric, "value": value, "epoch": self.epoch}, 0
        else:
            self.waited += 1
        return better

    def add_losses(self, name: str, values: np.ndarray) -> None:
        """Add (steps,) losses to the epoch's mean, skipped steps left out.

        Added one after another, which `accumulate` does and `sum` does not: the result must not depend on
        the moments at which they were fetched.
        """
        sums = self.loss_sums.setdefault(name, [0.0, 0.0])
        finite = values[np.isfinite(values)]
        sums[0] = float(np.add.accumulate(np.concatenate(([sums[0]], finite)))[-1])
        sums[1] += len(finite)

    def take_epoch_losses(self) -> dict[str, float]:
        """Mean of every curve over the epoch, and start anew."""
        means = {name: total / count for name, (total, count) in self.loss_sums.items() if count}
        self.loss_sums = {}
        return means


def take_snapshot(trainer: Trainer, *, best: bool) -> Snapshot:
    """Copy the whole state into host memory; training may go on at once."""
    progress, ema = trainer.progress, trainer.ema
    progress.seconds = trainer.seconds
    weights = {"model": to_host(trainer.task.model.state_dict())}
    if ema is not None:
        weights["ema"] = to_host(ema.average)
    scaler, states = trainer.precision.scaler, trainer.rng_states()
    state = {
        "progress": asdict(progress),
        "optimizers": {name: to_host(o.state_dict()) for name, o in trainer.optimizers.items()},
        "schedule": trainer.schedule.state_dict(),
        "scaler": scaler.state_dict() if scaler is not None else {},
        "ema_updates": ema.updates if ema is not None else 0,
        "rng": states[0],
        "rng_of_others": states[1:],
        "pieces": trainer.stepper.pieces,
        "fingerprint": fingerprint(trainer.train.device),
    }
    facts = {
        "step": progress.step,
        "epoch": progress.epoch,
        "batch": progress.batch,
        "best": best,
        "monitor": progress.best,
    }
    return Snapshot(weights, state, facts)


def restore(trainer: Trainer, checkpoint: Checkpoint) -> dict[str, tuple[str, str]]:
    """Put a trainer where a checkpoint was taken.

    Hyperparameters of the optimizer come from the preset, so that a changed learning rate takes effect.

    Returns:
        What differs in the environment, name to (then, now); empty means that the rest of the training is
        bitwise what it would have been.

    Raises:
        UserError: the checkpoint belongs to another network or optimizer.
    """
    state = checkpoint.trainer()
    try:
        return _restore(trainer, checkpoint, state)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if isinstance(error, UserError):
            raise
        reason = safe_text(" ".join(f"{type(error).__name__}: {error}".split()), limit=300)
        raise UserError(
            f"Checkpoint {checkpoint.path.name} does not fit this run ({reason}); was the model or the "
            "optimizer changed since? Change it back, or start a new run with dltui run."
        ) from error


def _restore(trainer: Trainer, checkpoint: Checkpoint, state: dict[str, Any]) -> dict[str, tuple[str, str]]:
    trainer.progress = Progress(**{**state["progress"], "paused": False})
    trainer.stepper.skipped = trainer.progress.skipped
    load_weights(trainer.task.model, checkpoint.weights(averaged=False))
    if trainer.ema is not None and "ema.safetensors" in checkpoint.manifest["files"]:
        trainer.ema.load(checkpoint.weights(), state["ema_updates"])
    for name, optimizer in trainer.optimizers.items():
        _restore_optimizer(optimizer, state["optimizers"][name])
    trainer.schedule.load_state_dict(state["schedule"])
    if trainer.precision.scaler is not None and state["scaler"]:
        trainer.precision.scaler.load_state_dict(state["scaler"])
    trainer.stepper.pieces = state["pieces"]
    same_processes = trainer.set_rng_states([state["rng"], *state.get("rng_of_others", [])])
    then, now = state["fingerprint"], fingerprint(trainer.train.device)
    names = sorted(then.keys() | now.keys())
    differs = {n: (then.get(n, "-"), now.get(n, "-")) for n in names if then.get(n) != now.get(n)}
    return (
        differs
        if same_processes
        else differs | {"processes": (str(1 + len(state["rng_of_others"])), "others")}
    )


def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Whole weights into a network of which this process may hold a part."""
    own = model.state_dict()
    model.load_state_dict(
        {name: parted_like(tensor, own.get(name, tensor)) for name, tensor in weights.items()}
    )


def _restore_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    fresh = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    kept = {
        number: {
            name: parted_like(value, parameters[number]) if isinstance(value, Tensor) else value
            for name, value in each.items()
        }
        for number, each in state["state"].items()
    }
    # Where counters of steps are kept depends on these settings, too.
    groups = [{**group, **settings} for group, settings in zip(state["param_groups"], fresh, strict=True)]
    optimizer.load_state_dict({**state, "state": kept, "param_groups": groups})
    for group, settings in zip(optimizer.param_groups, fresh, strict=True):
        group.update(settings)


def rng_state() -> dict[str, Any]:
    """Every global random generator's."""
    kind, keys, position, has_gauss, cached = np.random.get_state()
    python = random.getstate()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": [
            str(kind),
            torch.from_numpy(np.asarray(keys, dtype=np.int64)),
            int(position),
            int(has_gauss),
            float(cached),
        ],
        "python": [python[0], list(python[1]), python[2]],
        "cuda": [s.cpu() for s in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else [],
    }
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Inverse of `rng_state`."""
    torch.set_rng_state(state["torch"])
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])
