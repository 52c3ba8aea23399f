"""A step's memory: expected from tensors without memory, measured on a real step, and the allocator's own account."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import nn

from dlcore import assembly
from dlcore import preset as presets
from dlcore.data.placing import beside, sizes_of
from dlcore.data.spec import Batch
from dlcore.inspection.storages import StorageWatch
from dlcore.inspection.through_loss import batch_of
from dlcore.opening import Opened, load_and_build
from dlcore.training.ema import EMA
from dlcore.training.memory import MemorySplit, Unheard, Untimed, expected, known_parts, measured
from dlcore.training.precision import Precision
from dlcore.training.step import Stepper
from tests.core.allocations import allocated
from tests.core.late_copies import send_late
from tests.core.test_shipped_presets import SHORTER, with_batches, with_stand_in
from tests.core.training.small import make_streamed, make_trainer, the_event

"""How many steps of an environment its batch has is known when it was played."""

SMALL = ("digits-mlp", "digits-cnn", "digits-lstm", "digits-gan", "digits-diffusion")


def opened(name: str, *sets: str) -> tuple[Opened, Batch]:
    sets = ("training.device=cpu", "training.threads=1", *SHORTER.get(name, ()), *sets)
    found = load_and_build(presets.load(name, sets, builders=True), lambda line: None)
    batches = found.batches(found.parts.data.train, train=True)
    batch = next(iter(batches.epoch(0)))
    batches.close()
    return found.furnish(), batch


def expectation(found: Opened, batch: Batch) -> MemorySplit:
    preset, precision = found.preset, Precision(found.precision, found.device)
    return expected(
        found.parts.task,
        lambda task: assembly.build_optimizers(preset, task),
        preset.training,
        precision,
        batch,
    )


def stepper_of(found: Opened) -> Stepper:
    task, training = found.parts.task, found.preset.training
    task.model.train()
    stepper = Stepper(
        task,
        assembly.build_optimizers(found.preset, task),
        training,
        Precision(found.precision, found.device),
        EMA(task.model, training.ema) if training.ema else None,
    )
    stepper.attach(Untimed(), Unheard())  # type: ignore[arg-type]
    return stepper


def compare(name: str) -> tuple[int, int, int]:
    """Peak of a step of a preset in bytes: expected, measured, and by the allocator's account."""
    found, batch = opened(name)
    before = expectation(found, batch)
    stepper = stepper_of(found)
    batches = [batch] * found.preset.training.accumulate
    stepper.step(batches, 1.0)
    data = batch[:2]
    split = measured(stepper, data, lambda: stepper.step(batches, 1.0))
    held = {
        tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes()
        for part, tensors in known_parts(stepper, data).items()
        if part != "gradients"  # a step begins by letting go of them
        for tensor in tensors
    }
    for parameter in found.parts.task.model.parameters():
        parameter.grad = None
    by_allocator = sum(held.values()) + allocated(lambda: stepper.step(batches, 1.0))
    print(
        f"\n{name:24} expected {before.peak / 2**20:8.2f} MiB, measured {split.peak / 2**20:8.2f}, "
        f"allocated {by_allocator / 2**20:8.2f}; expected / measured {before.peak / split.peak:.3f}, "
        f"/ allocated {before.peak / by_allocator:.3f}"
    )
    return before.peak, split.peak, by_allocator


@pytest.mark.parametrize("name", with_batches(SMALL))
def test_expected_within_20_percent_of_the_peak(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_stand_in(name, tmp_path, monkeypatch)
    before, seen, given = compare(name)
    assert before == pytest.approx(seen, rel=0.2)
    assert before == pytest.approx(given, rel=0.2)


def test_an_expectation_makes_no_step() -> None:
    found, batch = opened("digits-gan")
    weights = {name: value.clone() for name, value in found.parts.task.model.state_dict().items()}
    generator = torch.get_rng_state()

    expectation(found, batch)

    assert torch.equal(generator, torch.get_rng_state())
    state = found.parts.task.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in weights.items())
    assert all(parameter.grad is None for parameter in found.parts.task.model.parameters())


def test_every_part_of_a_known_network() -> None:
    """784-256-10 with AdamW and a batch of 64, counted by hand."""
    numbers = 784 * 256 + 256 + 256 * 10 + 10
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    inputs, optimizer = torch.randn(64, 784), torch.optim.AdamW(model.parameters(), fused=True)

    def step() -> None:
        model(inputs).sum().backward()
        optimizer.step()

    def known() -> dict[str, list[torch.Tensor]]:
        state = [value for each in optimizer.state.values() for value in each.values()]
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        return {
            "weights": [*model.parameters()],
            "gradients": gradients,
            "optimizer": state,
            "data": [inputs],
        }

    watch = StorageWatch(known, "cpu")
    with watch:
        step()
    watch = StorageWatch(known, "cpu")
    with watch:
        step()  # gradients are added up, and the optimizer has its state
    parts = watch.parts
    assert parts["weights"] == parts["gradients"] == 4 * numbers
    assert parts["optimizer"] == 8 * numbers + 4 * 4  # two means, and a counter for each of four tensors
    assert parts["data"] == 4 * 64 * 784
    assert sum(parts.values()) == watch.peak


def test_what_is_ahead_is_expected_as_it_is_measured(tmp_path: Path) -> None:
    """One batch on its way to a GPU, whose copies another thing stands in for."""
    trainer = make_trainer(tmp_path, train=make_streamed(43), epochs=1)
    send_late(trainer.train)
    trainer.fit()
    told = the_event(trainer, "memory")
    ahead = beside(sizes_of(make_streamed(43)), 8, torch.device("cuda"), free=None)
    batch = batch_of(trainer.task.spec, 8)

    split = expected(
        trainer.task,
        lambda task: {"main": torch.optim.SGD(task.model.parameters(), lr=0.1, momentum=0.9)},
        trainer.training,
        Precision("fp32", torch.device("cpu")),
        batch,
        beside=ahead,
    )

    assert ahead == 8 * (6 * 4 + 8)
    assert told["data"] == split.data == 2 * ahead


def test_a_training_tells_the_split_of_its_second_step(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, ema=0.9)
    trainer.fit()

    told = the_event(trainer, "memory")

    split = MemorySplit(**{name: told[name] for name in asdict(MemorySplit())})
    assert told["step"] == 2
    assert split.to_dict() == {name: told[name] for name in split.to_dict()}
    state = trainer.task.model.state_dict().values()
    assert split.weights == 2 * sum(value.nbytes for value in state)  # and their average
    assert split.total == sum(asdict(split).values()) > 0
    assert trainer.recorder.summary["memory"] == split.to_dict()
