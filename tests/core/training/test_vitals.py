"""Memory at a record: read anew when the last reading is old enough."""

from __future__ import annotations

import pytest
import torch

from dlcore.training.vitals import SECONDS, Vitals


def test_memory_is_read_no_more_often_than_it_pays() -> None:
    now = [0.0]
    vitals = Vitals(torch.device("cpu"), 1.0, lambda: now[0])

    first = vitals.read()
    at_once = vitals.read()
    now[0] += SECONDS
    later = vitals.read()

    assert first["system/memory"] > 1e6
    assert at_once == {}
    assert later["system/memory"] > 1e6


def test_records_that_are_asked_for_more_often_have_it() -> None:
    now = [0.0]
    vitals = Vitals(torch.device("cpu"), SECONDS / 10, lambda: now[0])
    vitals.read()
    now[0] += SECONDS / 10

    assert vitals.read()["system/memory"] > 1e6


class NotSupportedError(Exception):
    """As NVML's own errors, which are no RuntimeError."""


def test_a_gpu_that_does_not_tell_its_load_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice of a GPU (MIG) has memory and no load of its own; a training must not end with that."""
    asked = []

    def utilization(device: torch.device) -> int:
        asked.append(device)
        raise NotSupportedError

    monkeypatch.setattr("dlcore.training.vitals.free_memory", lambda device: 5)
    for name, answer in (("memory_allocated", 100), ("memory_reserved", 130)):
        monkeypatch.setattr(torch.cuda, name, lambda device, answer=answer: answer)
    monkeypatch.setattr(torch.cuda, "utilization", utilization)
    now = [0.0]
    vitals = Vitals(torch.device("cuda", 0), 1.0, lambda: now[0])

    seen = []
    for _ in range(2):
        seen.append(vitals.read())
        now[0] += SECONDS
    assert seen == [{"system/memory": 100.0, "system/memory_left": 35.0}] * 2
    assert len(asked) == 1
