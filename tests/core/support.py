"""What the tests of the run directory share: full disks, new files, child processes."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
"""For child processes, which must find dlcore wherever the tests are run from."""


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Writes beyond ``size`` bytes of a file fail as on a full disk: first short, then with an error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def overwrite(path: Path, data: bytes) -> None:
    """Makes a new file: ext4 flushes one that is truncated and rewritten, which takes 2 ms."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def names_in(folder: Path) -> list[str]:
    """Everything in a folder, hidden files included."""
    return sorted(path.name for path in folder.iterdir())
