"""Threads spin briefly on idle cores and sleep on busy ones, and a choice that was made stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dlcore import cores


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    file = tmp_path / "loadavg"
    monkeypatch.setattr(cores, "_LOAD", file)
    monkeypatch.setattr(cores, "_PAUSE", 0)
    yield file


def chosen(before: dict[str, str] | None = None) -> dict[str, str]:
    environment = dict(before or {})
    cores.share_cores(environment)
    return environment


def test_on_idle_cores_threads_spin_for_a_moment(running: Path) -> None:
    running.write_text("3.00 2.00 1.00 1/250 4242\n")
    assert chosen() == {"GOMP_SPINCOUNT": cores.SHORT_SPIN}
    assert "idle" in cores.waiting(chosen())


def test_on_busy_cores_they_sleep_whatever_the_minute_before_was_like(running: Path) -> None:
    running.write_text("0.00 0.00 0.00 3/250 4242\n")
    assert chosen() == {"OMP_WAIT_POLICY": "PASSIVE"}
    assert "shared" in cores.waiting(chosen())


@pytest.mark.parametrize("made", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}])
def test_a_choice_that_was_made_stays(running: Path, made: dict[str, str]) -> None:
    running.write_text("0.00 0.00 0.00 3/250 4242\n")
    assert chosen(made) == made


@pytest.mark.parametrize("text", [None, "", "strange"])
def test_where_nobody_tells_cores_count_as_idle(running: Path, text: str | None) -> None:
    if text is not None:
        running.write_text(text)
    assert chosen() == {"GOMP_SPINCOUNT": cores.SHORT_SPIN}
