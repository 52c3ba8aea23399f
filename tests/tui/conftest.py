"""The app under test is the same everywhere: no animations, no theme or colours from the environment."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["TEXTUAL_ANIMATIONS"] = "none"  # read when Textual is imported
for name in ("NO_COLOR", "TEXTUAL_THEME"):
    os.environ.pop(name, None)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of one's own, in which the runs folder is called the same in every picture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLTUI_CONFIG", str(tmp_path / "config" / "preferences.json"))
    runs = tmp_path / "runs"
    runs.mkdir()
    return runs


@pytest.fixture
def universal_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times of day in pictures are the same everywhere."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()
