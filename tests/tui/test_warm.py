"""Getting ready behind a first screen: what is loaded, and what the garbage collector then leaves alone."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from tui import warm


@pytest.fixture
def collecting() -> Iterator[None]:
    """Leaves the collector as it was."""
    yield
    gc.unfreeze()
    gc.enable()


def test_modules_of_the_next_screens_are_there(collecting: None) -> None:
    warm._load(engine=False)
    assert {*warm.MODULES, "tui.panels.curves", "tui.panels.events"} <= sys.modules.keys()


def test_what_lives_for_good_is_passed_over(collecting: None) -> None:
    gc.disable()
    before = gc.get_freeze_count()
    warm._load(engine=False)
    assert gc.isenabled() and gc.get_freeze_count() > before


def test_a_module_that_does_not_load_keeps_nothing_from_going_on(
    collecting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "MODULES", ("no.such.module", *warm.MODULES))
    gc.disable()
    warm._load(engine=False)
    assert gc.isenabled()
