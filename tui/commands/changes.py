"""What of a stopped run may change when it goes on: how long and how it trains, not what is trained."""

from __future__ import annotations

from collections.abc import Sequence

from dlcore.errors import UserError
from dlcore.preset import Preset
from dlcore.preset.overrides import Override, parse_override
from tui.watch import RunWatch

SECTIONS = ("training", "checkpoint", "inspection")
OPTIMIZER_KEYS = ("lr", "weight_decay")
# A checkpoint's place in the epoch counts batches of an order that these decide.
FIXED = (
    "training.seed",
    "training.batch_size",
    "training.effective_batch",
    "training.accumulate",
    "training.shuffle",
    "training.drop_last",
)
ALLOWED = "training.*, checkpoint.*, inspection.*, optimizer.lr and optimizer.weight_decay may change"


def require_changeable(sets: Sequence[str]) -> list[Override]:
    """The overrides, all of which a stopped run can take.

    Raises:
        UserError: one line each for those that it cannot.
    """
    overrides = [parse_override(text) for text in sets]
    problems = []
    for override in overrides:
        section, key = override.place[0], ".".join(map(str, override.place))
        allowed = section in SECTIONS or (section == "optimizer" and override.place[1] in OPTIMIZER_KEYS)
        if key in FIXED:
            problems.append(f"{override.label}: a run keeps its {key}; start a new one with dltui run")
        elif not allowed:
            problems.append(f"{override.label}: a run keeps what it trains; only {ALLOWED}")
    if problems:
        raise UserError(problems)
    return overrides


def require_more_to_do(watch: RunWatch, preset: Preset) -> None:
    """Refuses to go on with a finished run that would end at once.

    Args:
        preset: with the overrides in it.

    Raises:
        UserError: saying which key to raise.
    """
    state, training = watch.state, preset.training
    if watch.status != "finished":
        return
    name = watch.name
    if state.epoch >= training.epochs:
        more = f"dltui resume {name} --set training.epochs={max(2 * state.epoch, training.epochs + 1)}"
        raise UserError(f"{name} has finished its {state.epoch} epochs; to train on: {more}")
    if training.max_steps and state.step >= training.max_steps:
        more = f"dltui resume {name} --set training.max_steps={2 * state.step}"
        raise UserError(f"{name} has finished its {state.step} steps; to train on: {more}")
    since = state.epoch - state.best.epoch if state.best else 0
    if state.reason == "patience" and 0 < training.patience <= since:
        more = f"dltui resume {name} --set training.patience={2 * training.patience}"
        raise UserError(f"{name} ended because {since} epochs brought nothing better; to train on: {more}")
