from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dlcore.run_dir import RunDir
from tests.core.deploy.small_runs import train_text


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RunDir]:
    """A run of a preset's text, trained when it is first asked for; tests must not change it."""
    runs: dict[str, RunDir] = {}
    folder: Path = tmp_path_factory.mktemp("runs")

    def run_of(text: str) -> RunDir:
        if text not in runs:
            runs[text] = train_text(text, folder)
        return runs[text]

    return run_of
