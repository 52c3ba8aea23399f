"""A small but complete training: every random source, dropout and batch norm, milliseconds a step."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from dlcore.assembly import seed_everything
from dlcore.control import ControlReader, send
from dlcore.data.batches import Batches
from dlcore.data.spec import DatasetPart, DataSpec, Part, TensorPart
from dlcore.events import EventReader, EventWriter
from dlcore.preset import Checkpoint as CheckpointSection
from dlcore.preset import Inspection, Training
from dlcore.run_dir import RunDir
from dlcore.tasks.classification import Classification
from dlcore.training import optimizers
from dlcore.training.checkpoints import Checkpoint, CheckpointFolder, CheckpointWriter
from dlcore.training.ema import EMA
from dlcore.training.freezing import Freezing
from dlcore.training.looks import Looks
from dlcore.training.precision import Precision
from dlcore.training.recorder import Recorder
from dlcore.training.schedules import Constant, Schedule
from dlcore.training.signals import Flags
from dlcore.training.step import Stepper
from dlcore.training.task import Task
from dlcore.training.trainer import Trainer

_trainers: list[Trainer] = []

SPEC = DataSpec(input="vector", input_shape=(6,), target="class", num_outputs=3, class_names=("a", "b", "c"))


class Jitter:
    """Augmentation: noise of each sample's own."""

    def draw(self, count: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return {"noise": torch.randn(count, 6, generator=generator) * 0.1}

    def apply(self, inputs: torch.Tensor, params: dict[str, torch.Tensor]) -> torch.Tensor:
        return inputs + params["noise"]


def make_part(count: int = 40, seed: int = 0) -> TensorPart:
    """(count, 6) inputs whose largest of the first three entries is the class."""
    inputs = torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))
    return TensorPart(inputs, inputs[:, :3].argmax(1), augment=Jitter())


class Rows(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """A part in memory, read sample by sample."""

    def __init__(self, part: TensorPart) -> None:
        self._part = part

    def __len__(self) -> int:
        return len(self._part)

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        return self._part.inputs[key[1]], self._part.targets[key[1]]


def make_streamed(count: int = 40) -> DatasetPart:
    """The samples of `make_part`, read batch by batch."""
    return DatasetPart(Rows(make_part(count)), augment=Jitter())


def make_model() -> nn.Module:
    """Dropout draws from torch's generator, batch norm keeps state beside the weights."""
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))


class StopAfter(Flags):
    """Asks for the end after so many steps, as SIGTERM would."""

    def __init__(self, step: Callable[[], int], steps: int) -> None:
        self._step, self._steps = step, steps

    @property
    def raised(self) -> bool:  # type: ignore[override]
        return self._step() + 1 >= self._steps

    @property
    def received(self) -> signal.Signals | None:  # type: ignore[override]
        return signal.SIGTERM if self._step() >= self._steps else None


class Sends(Flags):
    """A viewer that appends commands to control.jsonl, each so that it is obeyed right after a given step."""

    def __init__(self, trainer: Trainer, plan: dict[int, str]) -> None:
        super().__init__()
        self._trainer, self._plan = trainer, plan
        self.ids: dict[str, str] = {}

    @property
    def raised(self) -> bool:  # type: ignore[override]
        text = self._plan.pop(self._trainer.progress.step + 1, "")
        if text:
            self.ids[text] = send(self._trainer.recorder.run.path, text)
        return bool(text)

    @raised.setter
    def raised(self, value: bool) -> None:
        pass


def make_trainer(
    runs: Path,
    *,
    name: str = "run",
    stop_after: int = 0,
    model: nn.Module | None = None,
    schedule: Schedule | None = None,
    train: Part | None = None,
    val: Part | None = None,
    workers: int = 0,
    optimizer: Callable[..., torch.optim.Optimizer] = optimizers.adamw,
    warn: Callable[[str], None] | None = None,
    sends: dict[int, str] | None = None,
    checkpoint: dict[str, Any] | None = None,
    inspect: Callable[[Trainer, str], str] = lambda trainer, why: "inspections/none.json",
    inspection: dict[str, Any] | None = None,
    remember: Callable[[Training], None] = lambda training: None,
    freezing: Freezing | None = None,
    make_task: Callable[[], Task] | None = None,
    stepping: Callable[..., Stepper] = Stepper,
    device: str = "cpu",
    **training: Any,
) -> Trainer:
    """A trainer over its run directory, which is opened again where it exists."""
    section = Training(**{"epochs": 3, "batch_size": 8, "record_seconds": 0.001, **training})
    run = RunDir.open(runs / name) if (runs / name).exists() else RunDir.create(runs, name, "small")
    seed_everything(section.seed)
    task = make_task() if make_task else Classification(model or make_model(), SPEC)
    task.model.to(device)
    recorder = Recorder(run, EventWriter(run.path / "events.jsonl"), seconds=section.record_seconds)
    train = train or make_part()
    kind = {"seed": section.seed, "device": device, "workers": workers}
    stepper = stepping(
        task,
        {phase.name: optimizer(phase.modules) for phase in task.phases},
        section,
        Precision(section.precision if section.precision != "auto" else "fp32", torch.device(device)),
        EMA(task.model, section.ema) if section.ema else None,
    )
    trainer = Trainer(
        stepper,
        Batches(train, section.batch_size, shuffle=True, train=True, **kind),
        Batches(val or make_part(24, seed=1), 24, shuffle=False, train=False, **kind),
        schedule or Constant(),
        training=section,
        checkpoint=CheckpointSection(**(checkpoint or {})),
        recorder=recorder,
        saver=CheckpointWriter(CheckpointFolder(run.path / "checkpoints"), warn=warn or _raise, retries=0),
        control=ControlReader(run.path / "control.jsonl", start_at_end=True),
        flags=Flags(),
        looks=Looks(inspect, Inspection(**(inspection or {"share": 0.0}))),
        remember=remember,
        freezing=freezing,
    )
    if sends:
        trainer.flags = Sends(trainer, dict(sends))
    _trainers.append(trainer)
    if stop_after:
        trainer.flags = StopAfter(lambda: trainer.progress.step, stop_after)
    return trainer


def close_all() -> None:
    """Let go of the files and loader processes of every trainer made since the last call."""
    while _trainers:
        trainer = _trainers.pop()
        trainer.saver.wait()
        trainer.train.close()
        trainer.val.close()
        trainer.recorder.close()


def final_state(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Everything that must come out bitwise equal."""
    state = {f"model.{k}": v.clone() for k, v in trainer.task.model.state_dict().items()}
    if trainer.ema is not None:
        state |= {f"ema.{k}": v.clone() for k, v in trainer.ema.average.items()}
    return state


def events(trainer: Trainer, kind: str) -> list[dict[str, Any]]:
    """The run's events of one kind."""
    return [e for e in EventReader(trainer.recorder.run.path / "events.jsonl").read() if e["event"] == kind]


def the_event(trainer: Trainer, kind: str) -> dict[str, Any]:
    """The run's only event of a kind."""
    (event,) = events(trainer, kind)
    return event


def newest(trainer: Trainer) -> Checkpoint:
    """The run's newest checkpoint, which must be whole."""
    checkpoint = CheckpointFolder(trainer.recorder.run.path / "checkpoints").newest(_raise)
    assert checkpoint is not None
    return checkpoint


def assert_same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    """Bitwise equality of two states."""
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


def assert_close(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    """Equality of two states but for rounding."""
    torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)


def _raise(message: str) -> None:
    raise AssertionError(message)
