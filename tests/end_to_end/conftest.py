"""One server that forks processes, for all tests; a folder for the runs of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.processes import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """The runs folder of a test."""
    return tmp_path / "runs"
