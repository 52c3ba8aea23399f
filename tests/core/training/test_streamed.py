"""Trainings whose batches come through the ring: what is ahead changes nothing, and a resume does not skip it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dlcore.training.progress import restore
from dlcore.training.trainer import Trainer
from tests.core.late_copies import LateCopies, send_late
from tests.core.training.replaying import replaying
from tests.core.training.small import (
    assert_same,
    events,
    final_state,
    make_part,
    make_streamed,
    make_trainer,
    newest,
)

SETTINGS: dict[str, dict[str, Any]] = {
    "usual": {},
    "accumulated": {"accumulate": 4},
    "replayed": {"stepping": replaying()},
    "ended by steps": {"max_steps": 8},
}


def streamed(runs: Path, name: str, **settings: Any) -> tuple[Trainer, LateCopies]:
    trainer = make_trainer(runs, name=name, train=make_streamed(43), **settings)
    return trainer, send_late(trainer.train)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_bitwise_what_a_part_in_memory_gives(tmp_path: Path, settings: dict[str, Any]) -> None:
    """A smaller last batch included."""
    usual = make_trainer(tmp_path, name="usual", train=make_part(43), **settings)
    outcome = usual.fit()
    ours, copies = streamed(tmp_path, "ours", **settings)
    assert ours.fit() == outcome
    assert_same(final_state(usual), final_state(ours))
    assert copies.sent >= ours.progress.step


@pytest.mark.parametrize("stop", [1, 4, 5, 6, 7, 12])
def test_a_resumed_training_sees_the_batch_that_was_ahead(tmp_path: Path, stop: int) -> None:
    """Stopped in an epoch, before its last batch and after it."""
    whole = make_trainer(tmp_path, name="whole", train=make_part(43))
    whole.fit()
    first, copies = streamed(tmp_path, "run", stop_after=stop)
    assert first.fit().reason == "stopped"
    assert first.progress.step == stop and copies.sent >= stop
    second, _ = streamed(tmp_path, "run")
    restore(second, newest(second))
    second.fit()
    assert_same(final_state(whole), final_state(second))


def test_the_batch_that_is_ahead_counts_as_data_in_memory(tmp_path: Path) -> None:
    ours, _ = streamed(tmp_path, "ours", epochs=1)
    usual = make_trainer(tmp_path, name="usual", train=make_part(43), epochs=1)
    usual.fit()
    ours.fit()
    (there,), (here,) = events(ours, "memory"), events(usual, "memory")
    assert there["data"] - here["data"] == 8 * (6 * 4 + 8)
