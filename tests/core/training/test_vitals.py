"""Memory at a record: read anew when the last reading is old enough."""

from __future__ import annotations

import torch

from dlcore.training.vitals import SECONDS, Vitals


def test_memory_is_read_no_more_often_than_it_pays() -> None:
    now = [0.0]
    vitals = Vitals(torch.device("cpu"), lambda: now[0])

    first = vitals.read()
    at_once = vitals.read()
    now[0] += SECONDS
    later = vitals.read()

    assert first["system/memory"] > 1e6
    assert at_once == {}
    assert later["system/memory"] > 1e6
