"""Memory at a record: read anew when the last reading is old enough."""

from __future__ import annotations

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
