"""A run for use: its trained network, task and preprocessing, rebuilt from the run directory alone.

The data need not be there: shapes, class names and preprocessing come from run.json, weights from a checkpoint
(safetensors, checked against its manifest), the user's own code from the copy in the run. Nothing in a run is
trusted: what is damaged or made to harm is answered with one sentence.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from dlcore import assembly, kept_code
from dlcore.data.spec import Data, DataSpec
from dlcore.errors import UserError
from dlcore.preset import Preset, loads
from dlcore.preset.text import read_text
from dlcore.run_dir import RunDir
from dlcore.text_safety import safe_text
from dlcore.training.checkpoints import Checkpoint, CheckpointFolder
from dlcore.training.precision import Precision, choose_device, choose_precision
from dlcore.training.task import Task

_SPEC = TypeAdapter(DataSpec)

MOST_NUMBERS = 2**36
"""Of a sample times its answers; a run that claims more was made to exhaust the memory."""


@dataclass(frozen=True)
class Trained:
    """What a run has learnt, ready to be asked; the network is in evaluation mode.

    Attributes:
        spec: the data's shape and meaning, with the preprocessing.
        checkpoint: where the weights are from.
        notes: sentences for the user, such as that a file has changed since.
    """

    run: RunDir
    about: dict[str, Any]
    preset: Preset
    spec: DataSpec
    task: Task
    checkpoint: Checkpoint
    device: torch.device
    precision: Precision
    notes: tuple[str, ...]

    @property
    def step(self) -> int:
        """Of the checkpoint."""
        return int(self.checkpoint.manifest.get("step", 0))

    @property
    def epoch(self) -> int:
        """Of the checkpoint: epochs finished."""
        return int(self.checkpoint.manifest.get("epoch", 0))

    @property
    def parameters(self) -> int:
        """Numbers in the network that were learnt or frozen."""
        return sum(parameter.numel() for parameter in self.task.model.parameters())

    def data(self, report: Callable[[str], None] = lambda _: None) -> Data:
        """The data of the training, with the same split.

        Raises:
            UserError: it is not to be had any more, or is not what was trained on.
        """
        with self._at_home():
            data = assembly.build_data(self.preset, report)
        told = {"input_shape", "target", "num_outputs", "class_names", "vocabulary"}
        now, then = data.spec.to_dict(), self.spec.to_dict()
        differs = sorted(name for name in told if now[name] != then[name])
        if differs:
            raise UserError(
                f"data '{self.preset.data.name}' is not what run {self.run.name} was trained on: "
                f"its {' and '.join(differs).replace('_', ' ')} {'differs' if len(differs) == 1 else 'differ'} now"
            )
        return data

    @contextmanager
    def _at_home(self) -> Iterator[None]:
        """Relative paths in the preset, and the user's own code, mean what they meant in the training."""
        home = self.about.get("cwd")
        there = isinstance(home, str) and Path(home).is_dir()
        with contextlib.chdir(str(home) if there else "."), kept_code.using(self.run):
            yield


def load(run: RunDir, which: str = "best", *, device: str = "auto") -> Trained:
    """Rebuild what a run has learnt.

    Args:
        which: ``best``, ``last``, or the step of a checkpoint.
        device: as in a preset's training section.

    Raises:
        UserError: the run has no such checkpoint, or something in it is damaged.
    """
    run = RunDir(run.path.absolute())
    about = _about(run)
    spec = _spec(run, about)
    checkpoint, notes = choose_checkpoint(run, which)
    base = about.get("base")
    label = safe_text(f"{run.name}/{run.preset_path.name}")
    chosen, _ = choose_device(device)
    with kept_code.using(run):
        preset = loads(
            read_text(run.preset_path, label),
            label,
            builders=True,
            base=Path(base) if isinstance(base, str) else None,
        )
        task = assembly.rebuild(preset, spec)
        notes += kept_code.changes(run)
    put_weights(task, checkpoint.weights(), checkpoint)
    task.model.to(chosen).eval()
    precision, _ = choose_precision(preset.training.precision, chosen)
    return Trained(
        run, about, preset, spec, task, checkpoint, chosen, Precision(precision, chosen), tuple(notes)
    )


def choose_checkpoint(run: RunDir, which: str) -> tuple[Checkpoint, list[str]]:
    """The checkpoint that is meant, and what the user should know about the choice.

    Raises:
        UserError: there is none, or it is damaged.
    """
    folder = CheckpointFolder(run.checkpoints_path)
    notes: list[str] = []
    found = folder.all()
    if not found:
        raise UserError(f"run {run.name} has no checkpoint yet: nothing is trained")
    if which == "last":
        checkpoint = folder.newest(notes.append)
    elif which == "best":
        checkpoint = folder.best()
        if checkpoint is None:
            checkpoint = folder.newest(notes.append)
            notes.append("there is no whole checkpoint marked best, so the last one is used")
    else:
        checkpoint = _of_step(found, which)
        damage = checkpoint.damage()
        if damage:
            raise UserError(f"checkpoint {checkpoint.path.name} is damaged: {damage}")
    if checkpoint is None:
        raise UserError(f"run {run.name} has no checkpoint that is whole: {notes[0]}")
    return checkpoint, notes


def _of_step(found: list[Checkpoint], which: str) -> Checkpoint:
    steps = sorted({int(c.manifest["step"]) for c in found if type(c.manifest.get("step")) is int})
    for checkpoint in reversed(found):
        if which.isdecimal() and checkpoint.manifest.get("step") == int(which):
            return checkpoint
    raise UserError(
        f"there is no checkpoint '{safe_text(which, limit=40)}': say best, last or a step "
        f"({', '.join(map(str, steps))})"
    )


def put_weights(task: Task, weights: dict[str, Tensor], source: Checkpoint) -> None:
    """Fill the network with a checkpoint's tensors, every one of them.

    Raises:
        UserError: names or shapes are not the network's.
    """
    own = task.model.state_dict()
    missing, extra = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    shapes = [name for name in own.keys() & weights.keys() if own[name].shape != weights[name].shape]
    if missing or extra or shapes:
        name, what = next(
            (names[0], said)
            for names, said in (
                (missing, "is not in it"),
                (extra, "has no place in the model"),
                (sorted(shapes), "has another shape"),
            )
            if names
        )
        raise UserError(
            f"checkpoint {source.path.name} does not fit the model of its preset: {safe_text(name)} {what}"
        )
    task.model.load_state_dict(weights)


def _about(run: RunDir) -> dict[str, Any]:
    try:
        # A pipe in its place would be waited for.
        about = json.loads(run.run_json_path.read_bytes()) if run.run_json_path.is_file() else None
    except OSError as error:
        raise UserError(f"run.json of {run.name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError):
        about = None
    if not isinstance(about, dict):
        raise UserError(f"run.json of {run.name} is missing or damaged: it is no JSON object")
    return about


def _spec(run: RunDir, about: dict[str, Any]) -> DataSpec:
    if "spec" not in about:
        raise UserError(f"run {run.name} has not begun to train: its data is not described yet")
    try:
        spec = _SPEC.validate_python(about["spec"])
    except (ValidationError, RecursionError) as error:
        raise UserError(f"run.json of {run.name} is damaged: it describes no data") from error
    sizes = (*spec.input_shape, spec.num_outputs + 1)
    if min(sizes) < 1 or math.prod(sizes) > MOST_NUMBERS:  # before a network of that size is made
        raise UserError(f"run.json of {run.name} is damaged: no data has samples of shape {sizes[:-1]}")
    return spec
