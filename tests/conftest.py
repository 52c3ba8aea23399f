"""Two threads everywhere, so that timing and bitwise tests see the same machine, and examples that repeat.

``HYPOTHESIS_PROFILE=search pytest`` looks for new examples; what it finds becomes an ``@example``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("search", deadline=None)
settings.register_profile("repeat", deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))
for name in ("COLUMNS", "LINES"):  # a terminal's size is its own, whatever runs the tests
    os.environ.pop(name, None)
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # as a worker has it; spinning on a busy machine takes minutes


@pytest.fixture(autouse=True)
def _two_threads() -> None:
    """Whatever the test before has chosen."""
    import torch

    torch.set_num_threads(2)


@pytest.fixture
def real_data() -> Path:
    """The folder with real data sets (DLTUI_TEST_DATA, or ``../shared/data`` beside the checkout); skips without it."""
    folder = Path(os.environ.get("DLTUI_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("needs the folder of real data sets (set DLTUI_TEST_DATA)")
    return folder
