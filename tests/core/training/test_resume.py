"""A resumed run is bitwise the uninterrupted one; every field of the snapshot is needed for it."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dlcore.data.augment import AlternatingMove
from dlcore.data.spec import DatasetPart, DataSpec, TensorPart
from dlcore.registry import MODELS
from dlcore.tasks.classification import Classification
from dlcore.training import optimizers
from dlcore.training import progress as progress_module
from dlcore.training.checkpoints import CheckpointFolder
from dlcore.training.progress import restore
from dlcore.training.schedules import Linear, OneCycle, Plateau
from tests.core.training.small import final_state, make_part, make_trainer

STEPS = 15  # 3 epochs of 5 batches


def resumed(runs: Path, stop_after: int, **options: Any) -> dict[str, torch.Tensor]:
    """Stop after some steps, forget everything, go on from the disk."""
    first = make_trainer(runs, stop_after=stop_after, **options)
    assert first.fit().reason == "stopped"
    assert first.progress.step == stop_after
    first.train.close()
    random.seed(99), np.random.seed(99), torch.manual_seed(99)
    second = make_trainer(runs, **options)
    checkpoint = CheckpointFolder(runs / "run" / "checkpoints").newest()
    assert checkpoint is not None
    assert restore(second, checkpoint) == {}
    assert second.fit().reason == "epochs"
    second.train.close()
    return final_state(second) | {"best": torch.tensor(second.progress.best["value"])}


def uninterrupted(runs: Path, **options: Any) -> dict[str, torch.Tensor]:
    trainer = make_trainer(runs, name="whole", **options)
    assert trainer.fit().reason == "epochs"
    return final_state(trainer) | {"best": torch.tensor(trainer.progress.best["value"])}


def assert_same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    different = [name for name in left if not torch.equal(left[name], right[name])]
    assert different == []


@pytest.mark.parametrize("stop_after", range(1, STEPS))
def test_stopped_at_every_batch_boundary(tmp_path: Path, stop_after: int) -> None:
    options: dict[str, Any] = {"ema": 0.9}
    whole = uninterrupted(tmp_path, schedule=Plateau(patience=0, gamma=0.5), **options)
    again = resumed_with_fresh_schedule(tmp_path, stop_after, **options)
    assert_same(whole, again)


def resumed_with_fresh_schedule(runs: Path, stop_after: int, **options: Any) -> dict[str, torch.Tensor]:
    first = make_trainer(runs, stop_after=stop_after, schedule=Plateau(patience=0, gamma=0.5), **options)
    first.fit()
    second = make_trainer(runs, schedule=Plateau(patience=0, gamma=0.5), **options)
    restore(second, CheckpointFolder(runs / "run" / "checkpoints").newest())
    second.fit()
    return final_state(second) | {"best": torch.tensor(second.progress.best["value"])}


class Rows(torch.utils.data.Dataset):
    """The small part behind a DataLoader."""

    def __init__(self) -> None:
        self.part = make_part()

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        _, index = key
        return self.part.inputs[index], self.part.targets[index]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop_after", [3, 5, 8])
def test_behind_a_loader(tmp_path: Path, workers: int, stop_after: int) -> None:
    part = DatasetPart(Rows(), augment=make_part().augment)
    whole = uninterrupted(tmp_path, train=part)
    assert_same(whole, resumed(tmp_path, stop_after, train=part, workers=workers))


def test_with_accumulation_and_one_cycle(tmp_path: Path) -> None:
    options: dict[str, Any] = {"accumulate": 2, "schedule": OneCycle(), "clip_norm": 0.5, "epochs": 4}
    assert_same(uninterrupted(tmp_path, **options), resumed(tmp_path, 5, **options))


class Restless(nn.Module):
    """Draws from all three generators of the process."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits = self.net(inputs)
        if self.training:
            logits = logits * (1 + 0.1 * random.random() + 0.1 * float(np.random.rand()))
        return logits


DROPPED = {
    "progress.batch": lambda state: state["progress"].update(batch=0),
    "progress.epoch": lambda state: state["progress"].update(epoch=0),
    "progress.step": lambda state: state["progress"].update(step=0),
    "progress.best": lambda state: state["progress"].update(
        best={"metric": "val/accuracy", "value": 2.0, "epoch": 1}
    ),
    "progress.lr_scale": lambda state: state["progress"].update(lr_scale=1.0),
    "optimizers": lambda state: state["optimizers"]["main"]["state"].clear(),
    "schedule": lambda state: state["schedule"].update(current=1.0),
    "ema_updates": lambda state: state.update(ema_updates=0),
    "rng.torch": lambda state: state["rng"].update(torch=torch.Generator().manual_seed(5).get_state()),
    "rng.python": lambda state: state["rng"]["python"][1].__setitem__(-1, 7),
    "rng.numpy": lambda state: state["rng"]["numpy"].__setitem__(2, 7),
}


def stopped_and_resumed(runs: Path, spoil: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    def make(name: str, stop_after: int = 0) -> Any:
        torch.manual_seed(3)
        trainer = make_trainer(
            runs, name=name, stop_after=stop_after, model=Restless(), ema=0.9, epochs=4,
            schedule=Plateau(patience=0, gamma=0.5, min_delta=0.9),
        )  # fmt: skip
        trainer.progress.lr_scale = 0.7
        return trainer

    first = make("run", stop_after=13)
    first.fit()
    second = make("run")
    second.progress.lr_scale = 1.0
    checkpoint = CheckpointFolder(runs / "run" / "checkpoints").newest()
    state = checkpoint.trainer()
    spoil(state)
    monkeypatch.setattr(progress_module.Checkpoint, "trainer", lambda self: state)
    restore(second, checkpoint)
    second.fit()
    whole = make("whole")
    whole.fit()
    same = final_state(second) | {"best": torch.tensor(second.progress.best["value"])}
    same["step"] = torch.tensor(second.progress.step)
    expected = final_state(whole) | {"best": torch.tensor(whole.progress.best["value"])}
    expected["step"] = torch.tensor(whole.progress.step)
    return {name: value for name, value in same.items() if not torch.equal(value, expected[name])}


def test_nothing_dropped_is_bitwise_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stopped_and_resumed(tmp_path, lambda state: None, monkeypatch) == {}


@pytest.mark.parametrize("field", DROPPED)
def test_every_field_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    assert stopped_and_resumed(tmp_path, DROPPED[field], monkeypatch) != {}


def test_raised_epochs_take_effect(tmp_path: Path) -> None:
    make_trainer(tmp_path, epochs=2).fit()
    longer = make_trainer(tmp_path, epochs=4)
    restore(longer, CheckpointFolder(tmp_path / "run" / "checkpoints").newest())
    assert longer.fit().reason == "epochs"
    assert longer.progress.epoch == 4
    assert_same(
        final_state(longer), {k: v for k, v in uninterrupted(tmp_path, epochs=4).items() if k != "best"}
    )


def test_raised_patience_takes_effect(tmp_path: Path) -> None:
    impatient = make_trainer(tmp_path, epochs=50, patience=2, min_delta=0.9)
    assert impatient.fit().reason == "patience"
    patient = make_trainer(tmp_path, epochs=50, patience=5, min_delta=0.9)
    restore(patient, CheckpointFolder(tmp_path / "run" / "checkpoints").newest())
    assert patient.fit().reason == "patience"
    assert patient.progress.epoch == impatient.progress.epoch + 3


def test_a_worse_epoch_after_resume_keeps_the_best(tmp_path: Path) -> None:
    first = make_trainer(tmp_path, epochs=1)
    first.fit()
    folder = CheckpointFolder(tmp_path / "run" / "checkpoints")
    second = make_trainer(tmp_path, epochs=3)
    restore(second, folder.newest())
    second.progress.best = {"metric": "val/accuracy", "value": 1.0, "epoch": 1}
    second.fit()
    assert folder.best().manifest["epoch"] == 1


def test_another_environment_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_trainer(tmp_path, epochs=1).fit()
    second = make_trainer(tmp_path, epochs=2)
    monkeypatch.setattr(progress_module, "fingerprint", lambda device: {"torch": "0.1"})
    differs = restore(second, CheckpointFolder(tmp_path / "run" / "checkpoints").newest())
    assert differs["torch"] == (torch.__version__, "0.1")


IMAGE = DataSpec("image", (1, 8, 8), "class", 3, class_names=("a", "b", "c"))


def pictures(count: int, seed: int) -> TensorPart:
    images = torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    return TensorPart(images, images[:, 0, 0, :3].argmax(1), augment=AlternatingMove(1, edge="mirror"))


def fast_recipe(*, fresh: bool) -> dict[str, Any]:
    def make_task() -> Classification:
        model = MODELS.build("whitened", IMAGE, widths=(8, 8))
        if fresh:
            model.initialise_from(pictures(40, 0).inputs)
        return Classification(model, IMAGE, label_smoothing=0.2, test_time="flip-shift")

    return {
        "make_task": make_task,
        "optimizer": partial(optimizers.muon, iterations=3, fixed_norm=True, rest="sgd", sgd_head_lr=0.2),
        "schedule": Linear(),
        "train": pictures(40, 0),
        "val": pictures(24, 1),
    }


@pytest.mark.parametrize("stop_after", [2, 5, 8])
def test_whitening_alternating_flips_muon_and_views_go_on_bitwise(tmp_path: Path, stop_after: int) -> None:
    """The whitening comes from the checkpoint: the network that goes on has not seen the pictures."""
    whole = uninterrupted(tmp_path, **fast_recipe(fresh=True))
    first = make_trainer(tmp_path, stop_after=stop_after, **fast_recipe(fresh=True))
    first.fit()
    second = make_trainer(tmp_path, **fast_recipe(fresh=False))
    restore(second, CheckpointFolder(tmp_path / "run" / "checkpoints").newest())
    second.fit()
    assert_same(whole, final_state(second) | {"best": torch.tensor(second.progress.best["value"])})
