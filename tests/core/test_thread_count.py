"""One thread computes steps that are too small to share; what the user has said counts first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from dlcore import preset as presets
from dlcore import thread_count
from dlcore.opening import load_and_build
from dlcore.thread_count import LITTLE, little_work


@pytest.fixture(autouse=True)
def _nobody_said(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in thread_count._CHOSEN:
        monkeypatch.delenv(name, raising=False)
    yield
    torch.set_num_threads(2)


def opened(name: str, *sets: str) -> tuple[int, str]:
    """Threads that compute, and why."""
    preset = presets.load(name, ("training.device=cpu", *sets), builders=True)
    choices = load_and_build(preset, lambda line: None).choices
    return torch.get_num_threads(), choices["threads"]


def test_a_small_step_has_one() -> None:
    threads, why = opened("digits-mlp")

    assert threads == 1
    assert why == "1 (a step is 1.8 million operations, too few to share)"


@pytest.mark.parametrize("name", ["digits-diffusion", "scenes-unet"])
def test_a_larger_one_has_all(name: str) -> None:
    assert opened(name)[0] == 2


def test_a_larger_batch_is_more_work() -> None:
    assert opened("digits-mlp", "training.batch_size=1024", "model.widths=[512, 512]")[0] == 2


def test_what_the_preset_says_counts() -> None:
    assert opened("digits-mlp", "training.threads=2")[0] == 2


def test_what_the_environment_says_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")

    assert opened("digits-mlp")[0] == 2


def test_episodes_are_not_counted() -> None:
    assert opened("cartpole-policy", "training.threads=0")[0] == 2


def test_counting_draws_nothing() -> None:
    built = load_and_build(
        presets.load("digits-mlp", ("model.dropout=0.5",), builders=True), lambda line: None
    )
    before = torch.get_rng_state()

    work = little_work(built.parts, built.preset.training)

    assert work is not None and 0 < work < LITTLE
    assert torch.equal(torch.get_rng_state(), before)
