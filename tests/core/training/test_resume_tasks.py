"""A resumed run is bitwise the uninterrupted one where more than one network and its weights change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from dlcore.data.spec import DataContext, DataSpec, TensorPart
from dlcore.registry import DATA, MODELS, TASKS
from dlcore.training.task import Task
from tests.core.training.small import assert_same
from tests.core.training.test_resume import resumed, uninterrupted

IMAGES = DataSpec("image", (1, 8, 8), "none", 0)


def build(model: str, task: str, spec: DataSpec, **options: Any) -> Task:
    built = TASKS.build(task, MODELS.build(model, spec), spec, **options)
    assert isinstance(built, Task)
    return built


def images(count: int, seed: int) -> TensorPart:
    brightness = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    return TensorPart(brightness, torch.zeros(count, dtype=torch.int64))


@pytest.mark.parametrize("stop_after", [4, 5, 7])
@pytest.mark.parametrize(
    ("model", "task"),
    [
        ("gan", "gan"),
        ("dcgan", "gan"),
        ("vae", "vae"),
        ("denoiser", "diffusion"),
        ("autoencoder", "autoencoding"),
    ],
)
def test_models_that_draw(tmp_path: Path, model: str, task: str, stop_after: int) -> None:
    """The GAN has two phases with an optimizer each, and each step draws noise for both."""
    options: dict[str, Any] = {
        "make_task": lambda: build(model, task, IMAGES),
        "train": images(40, seed=0),
        "val": images(24, seed=1),
        "ema": 0.9,
    }
    assert_same(uninterrupted(tmp_path, **options), resumed(tmp_path, stop_after, **options))


@pytest.mark.parametrize("stop_after", [2, 3, 4])
@pytest.mark.parametrize("task", ["policy_gradient", "ppo"])
def test_policies(tmp_path: Path, task: str, stop_after: int) -> None:
    """What an environment does next depends on the episode's seed and the policy, not on what was played before."""
    context = DataContext(tmp_path)
    data = DATA.build("gymnasium", context, episodes=9, val_episodes=2, test_episodes=1)
    options: dict[str, Any] = {
        "make_task": lambda: build("policy", task, data.spec),
        "train": data.train,
        "val": data.val,
        "batch_size": 3,
        "epochs": 2,
    }
    assert_same(uninterrupted(tmp_path, **options), resumed(tmp_path, stop_after, **options))
