"""Both loops do to the weights what a training does, and a window holds the steps that it says."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch

from dlcore import preset as presets
from dlcore.assembly import seed_everything
from dlcore.bench.bench import Bench
from dlcore.bench.loops import Bare, Timed

PLAIN = ("training.device=cpu", "training.shuffle=false", "inspection.share=0", "scheduler.name=constant")
Open = Callable[..., tuple[Timed, Bare]]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Both loops over copies of one preset's parts."""
    with ExitStack() as stack:

        def both(name: str, *sets: str) -> tuple[Timed, Bare]:
            folder = Path(tempfile.mkdtemp(dir=tmp_path))
            preset = presets.load(name, (*PLAIN, *sets), builders=True)
            bench = Bench(preset, folder, 1.0, lambda line: None)
            return stack.enter_context(bench.training(bench.opened)), stack.enter_context(
                bench.bare(bench.opened)
            )

        yield both


@pytest.mark.parametrize(
    ("name", "sets"),
    [
        ("digits-mlp", ()),
        ("digits-mlp", ("training.accumulate=2", "training.clip_norm=0.1", "training.ema=0.9")),
        ("digits-gan", ()),
        ("digits-diffusion", ()),
    ],
    ids=["mlp", "accumulated, clipped and averaged", "two phases", "diffusion"],
)
def test_the_bare_loop_makes_the_same_weights(opened: Open, name: str, sets: tuple[str, ...]) -> None:
    """Which is what makes it a fair rival: nothing that the preset asks for is left out."""
    ours, bare = opened(name, *sets)
    begun = {key: value.clone() for key, value in ours.task.model.state_dict().items()}
    for loop in (ours, bare):
        seed_everything(1)
        assert loop.advance(4).steps == 4

    weights = ours.task.model.state_dict()
    torch.testing.assert_close(weights, bare.task.model.state_dict(), rtol=1e-3, atol=1e-5)
    assert any(not torch.equal(weights[key], begun[key]) for key in begun)


def test_windows_go_on_through_epochs(opened: Open) -> None:
    ours, bare = opened("iris-perceptron", "training.batch_size=50")
    steps = len(ours.train)
    samples = sum(len(batch.targets) for batch in ours.train.epoch(0))

    windows = [loop.advance(5 * steps) for loop in (ours, bare)]

    assert [window.samples for window in windows] == [5 * samples] * 2
    assert ours.progress.step == 5 * steps
    assert (ours.progress.epoch, ours.progress.batch) == (5, 0)


def test_of_an_environment_the_steps_played_are_counted(opened: Open) -> None:
    """A better policy plays longer episodes: episodes a second would tell how good it is, not how fast."""
    for loop in opened("cartpole-policy", "training.batch_size=2"):
        episodes: list[int] = []
        told = loop.task.loss

        def noted(*args: Any, told: Any = told, episodes: list[int] = episodes) -> Any:
            loss, facts = told(*args)
            episodes.extend(facts["length"].int().tolist())
            return loss, facts

        loop.task.loss = noted  # type: ignore[method-assign]
        assert loop.advance(2).samples == sum(episodes)
        assert len(episodes) >= 4


def test_records_come_as_often_as_in_a_training(opened: Open) -> None:
    """Time that a rival took brings none nearer, and a window's end is none."""
    ours, _ = opened("digits-mlp", "training.record_seconds=1000")
    ours.advance(3)
    ours.recorder.next_due = -1.0  # as if the rival had taken a thousand seconds
    assert ours.advance(2).recording == 0.0

    often, _ = opened("digits-mlp", "training.record_seconds=0.000001")
    window = often.advance(3)
    assert 0 < window.recording < window.seconds


def test_a_diverging_training_is_measured_all_the_same(opened: Open) -> None:
    ours, _ = opened("digits-mlp", "optimizer.lr=1e30", "training.record_seconds=0.000001")
    assert ours.advance(20).steps == 20


def test_the_parts_of_a_step_are_told_apart(opened: Open) -> None:
    ours, _ = opened("digits-mlp")
    assert {"data", "forward", "backward", "optimizer"} == {
        name for name, s in ours.split(12).items() if s > 0
    }


@pytest.mark.parametrize(("epochs", "learns"), [(3, False), (9, True)])
def test_layers_stay_frozen_or_free_as_in_most_epochs(opened: Open, epochs: int, learns: bool) -> None:
    """Contenders would be compared at different work if they thawed on the way."""
    frozen = ('model.freeze=["blocks"]', "model.freeze_epochs=2", f"training.epochs={epochs}")
    for loop in opened("digits-mlp", *frozen, "training.batch_size=512"):
        weight = next(loop.task.model.parameters())
        begun = weight.detach().clone()
        for _ in range(4):  # two epochs and more
            loop.advance(2)
            assert weight.requires_grad is learns
        assert torch.equal(weight, begun) is not learns
