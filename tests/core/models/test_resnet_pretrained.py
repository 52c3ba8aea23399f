"""ResNet-20 with widely shared CIFAR-10 weights is right as often as a plain forward pass with them."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from dlcore import assembly
from dlcore.data.batches import Batches
from dlcore.preset import loads
from dlcore.training.evaluation import evaluate
from dlcore.training.precision import Precision

PRESET = """
[data]
name = "folder"
path = "{data}"
image_size = 32
normalise = "imagenet"

[model]
name = "resnet"
weights = "{weights}"
"""
SEEN = 0.8103
"""On these photos, which JPEG has changed; on the original ones their author reports 0.9173."""

KEPT = 20  # training photos of each class that are unpacked


@pytest.fixture
def photos(real_data: Path, tmp_path: Path) -> Path:
    """The 10,000 test photos of the JPEG CIFAR-10, and a few training photos, which the builder wants."""
    with tarfile.open(real_data / "cifar10_jpg.tar.gz") as archive:
        files = [member for member in archive if member.isfile()]
        wanted = [m for m in files if "/test/" in f"/{m.name}" or int(Path(m.name).stem) < KEPT]
        archive.extractall(tmp_path, members=wanted, filter="data")
    (train,) = tmp_path.rglob("train")
    return train.parent


def plain_resnet20(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """The network as He et al. describe it, written down once more: (batch, 3, 32, 32) -> (batch, 10)."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (
            state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, weight, bias)

    x = F.relu(norm(F.conv2d(images, state["conv1.weight"], padding=1), "bn1"))
    for stage in (1, 2, 3):
        for block in range(3):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = F.relu(
                norm(F.conv2d(x, state[f"{name}.conv1.weight"], stride=stride, padding=1), f"{name}.bn1")
            )
            y = norm(F.conv2d(y, state[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
            if stride == 2:
                new = y.shape[1] // 4
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, new, new))
            x = F.relu(y + x)
    return F.linear(F.avg_pool2d(x, 8).flatten(1), state["linear.weight"], state["linear.bias"])


def plain_accuracy(weights: Path, folder: Path) -> float:
    """Read, normalised and judged with nothing of dltui."""
    found = torch.load(weights, map_location="cpu", weights_only=True)["state_dict"]
    state = {name.removeprefix("module."): tensor for name, tensor in found.items()}
    mean, std = (
        torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    right = total = 0
    for code, kind in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
        pixels = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in sorted(kind.iterdir())])
        images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - mean) / std
        with torch.no_grad():
            right += int((plain_resnet20(state, images).argmax(1) == code).sum())
        total += len(images)
    assert total == 10_000
    return right / total


@pytest.mark.slow
def test_accuracy_is_that_of_a_plain_evaluation(photos: Path, real_data: Path) -> None:
    weights = real_data / "pretrained" / "resnet20-12fca82f.th"
    preset = loads(PRESET.format(data=photos, weights=weights), "pretrained", builders=True)
    parts = assembly.build(preset, print)
    assert parts.weights is not None
    assert not parts.weights.new and not parts.weights.unused
    assert parts.data.test is not None
    batches = Batches(parts.data.test, 500, seed=0, device="cpu", shuffle=False, train=False)
    ours = evaluate(parts.task, batches, Precision("fp32", torch.device("cpu"))).compute()["accuracy"]
    assert ours == pytest.approx(plain_accuracy(weights, photos / "test"), abs=2e-4)  # two photos
    assert ours == pytest.approx(SEEN, abs=1e-3)
