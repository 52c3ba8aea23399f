"""The trainings of these tests are so small that a second thread costs more than it brings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.core.training.small import close_all


@pytest.fixture(autouse=True)
def _small_and_closed() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    close_all()
    torch.set_num_threads(before)
