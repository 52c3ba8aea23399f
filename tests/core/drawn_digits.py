"""How sure a classifier of digits is about what a trained model draws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dlcore import preset as presets
from dlcore.data.spec import DataSpec
from dlcore.registry import MODELS, TASKS
from dlcore.training.checkpoints import CheckpointFolder


def loaded(run: Path) -> tuple[presets.Preset, DataSpec, nn.Module]:
    """A finished run's network with its best weights, in evaluation mode."""
    preset = presets.load(run / "preset.toml", builders=True)
    spec = DataSpec.from_dict(json.loads((run / "run.json").read_text())["spec"])
    model = MODELS.build(preset.model.name, spec, **preset.model.options)
    best = CheckpointFolder(run / "checkpoints").best()
    assert best is not None
    model.load_state_dict(best.weights())
    return preset, spec, model.eval()


def normalisation(spec: DataSpec) -> tuple[Tensor, Tensor]:
    facts: dict[str, Any] = spec.preprocessing
    return torch.tensor(facts["mean"]).view(-1, 1, 1), torch.tensor(facts["std"]).view(-1, 1, 1)


@torch.no_grad()
def drawn(run: Path, count: int) -> Tensor:
    """Images of a GAN's or a diffusion's run, (count, channels, height, width) in 0..1."""
    preset, spec, model = loaded(run)
    if preset.task.name == "diffusion":
        task: Any = TASKS.build("diffusion", model, spec, **preset.task.options)
        return task.draw(count, device=torch.device("cpu"))[-1][1]
    mean, std = normalisation(spec)
    noise = torch.randn(count, model.latent, generator=torch.Generator().manual_seed(0))
    return (model.generator(noise) * std + mean).clamp(0, 1)


@torch.no_grad()
def judged(images: Tensor, judge: Path) -> tuple[float, int]:
    """Mean probability of the likeliest class, and how many classes are likeliest for some image."""
    _, spec, model = loaded(judge)
    mean, std = normalisation(spec)
    sure, code = model((images - mean) / std).softmax(1).max(1)
    return float(sure.mean()), len(code.unique())
