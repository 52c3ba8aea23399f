"""Switches of torch that a GPU wants; they can be set without one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from dlcore.preset import Training
from dlcore.training.precision import set_up_backends

GPU = torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def switches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    benchmark = torch.backends.cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = benchmark


def test_a_deterministic_training_has_what_cublas_wants() -> None:
    """Torch refuses to multiply matrices without it."""
    set_up_backends(Training(deterministic=True), GPU)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_what_the_environment_says_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    set_up_backends(Training(deterministic=True), GPU)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_other_trainings_are_left_alone() -> None:
    set_up_backends(Training(), GPU)
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
