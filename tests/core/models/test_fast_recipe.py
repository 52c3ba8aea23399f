"""cifar10-fast makes the steps of its recipe written in plain PyTorch, from equal weights on equal batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dlcore import assembly
from dlcore import preset as presets
from dlcore.data.augment import AlternatingMove, augmentation
from dlcore.data.spec import Batch, DataSpec
from dlcore.tasks.views import over_views
from dlcore.training.precision import Precision
from dlcore.training.step import Stepper
from dlcore.training.stopwatch import Stopwatch
from dlcore.training.task import Task
from tests.benchmarks import cifar10_naive as naive

PHOTOS = DataSpec("image", (3, 32, 32), "class", 10)
WIDTHS = (8, 12, 16)
BATCH, STEPS, BIAS_STEPS = 20, 7, 5
SETS = [
    f"model.widths={list(WIDTHS)}",
    f"training.batch_size={BATCH}",
    f"optimizer.sgd_lr={0.053 * BATCH}",  # the mean of the losses instead of their sum
    f"optimizer.sgd_head_lr={0.67 * BATCH}",
    f"optimizer.sgd_decay={2e-6 * BATCH}",
    f'optimizer.settle={{ "whiten.bias" = {BIAS_STEPS} }}',
]


def photos(count: int, seed: int) -> Tensor:
    """Not noise: neighbouring pixels are alike, as in photos."""
    coarse = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bicubic")


def equally_begun(model: Any) -> naive.Network:
    """The plain network with the weights of ours."""
    plain = naive.Network(WIDTHS, photos(50, 0))
    own = dict(model.named_parameters())
    filters = [p for p in own.values() if p.ndim == 4]
    theirs = [p for p in plain.body.parameters() if p.ndim == 4]
    with torch.no_grad():
        for mine, other in zip(filters, theirs, strict=True):
            other.copy_(mine)
        plain.whiten.weight.copy_(model.whiten.weight)
        plain.whiten.bias.copy_(own["whiten.bias"])
        plain.head.weight.copy_(own["head.weight"])
    return plain


class Losses:
    """Stands for the recorder."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def add(self, curve: str, loss: Tensor) -> None:
        self.values.append(float(loss))

    def add_many(self, curve: str, losses: Tensor) -> None:
        raise NotImplementedError


def task_of(preset: presets.Preset) -> Task:
    """With the network as it begins."""
    torch.manual_seed(0)
    task = assembly.rebuild(preset, PHOTOS)
    task.model.initialise_from(photos(50, 0))  # type: ignore[operator]
    return task


def test_the_same_steps_from_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naive, "TURNED_IN", torch.float32)
    preset = presets.load("cifar10-fast", SETS, builders=True)
    task, losses, cpu = task_of(preset), Losses(), torch.device("cpu")
    stepper = Stepper(
        task, assembly.build_optimizers(preset, task), preset.training, Precision("fp32", cpu), None
    )
    stepper.attach(Stopwatch(cpu, lambda: 0.0), losses)  # type: ignore[arg-type]
    schedule = assembly.build_schedule(preset)
    plain = naive.Learner(equally_begun(task.model), BATCH, STEPS, BIAS_STEPS)

    expected = []
    for step in range(STEPS):
        inputs, targets = photos(BATCH, step + 1), torch.arange(BATCH) % 10
        stepper.step([Batch(inputs, targets, torch.arange(BATCH))], schedule.factor(step, STEPS, STEPS))
        loss = plain.step(inputs, targets, torch.autocast("cpu", enabled=False))
        expected.append(float(loss) / BATCH)

    assert losses.values == pytest.approx(expected, rel=1e-4)
    ours = list(task.model.parameters())
    theirs = [plain.model.whiten.bias, *learning(plain.model.body), plain.model.head.weight]
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4)


def learning(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def test_the_same_whitening_strongest_first() -> None:
    ours = task_of(presets.load("cifar10-fast", SETS, builders=True)).model.whiten.weight
    theirs = naive.Network(WIDTHS, photos(50, 0)).whiten.weight
    # Signs are free, and the weakest directions are those that rounding moves most.
    torch.testing.assert_close(ours[:12].abs(), theirs[:12].flip(0).abs(), rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(ours[12:], -ours[:12])


def test_the_same_answer_over_six_views() -> None:
    task = task_of(presets.load("cifar10-fast", SETS, builders=True))
    task.model.eval()
    with torch.no_grad():
        _, both, six = naive.answers(task.model, photos(20, 99))
        torch.testing.assert_close(over_views(task.model, photos(20, 99), "flip-shift"), six)
        torch.testing.assert_close(over_views(task.model, photos(20, 99), "flip"), both)


def test_the_same_shifts_and_turns_of_photos() -> None:
    """Every photo is shown in one of its 25 places, the same side in every second epoch."""
    images = torch.randint(
        0, 256, (60, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    torch.manual_seed(0)
    epochs = naive.Epochs(images, torch.arange(60), 60)
    (seen, which) = next(epochs.epoch(0))
    change = augmentation("alternating-flip-crop", 32)
    assert isinstance(change, AlternatingMove)
    mirrored = epochs.mirrored[which]
    places = [(y, x) for y in range(-2, 3) for x in range(-2, 3)]
    ours = torch.stack([
        change.apply(naive.normalised(images[which]), {"shift": torch.tensor([place] * 60), "flip": mirrored})
        for place in places
    ])  # fmt: skip
    same = torch.isclose(ours, seen).flatten(2).all(2)  # (places, photos)
    assert (same.sum(0) == 1).all()
