"""What lies beside a batch: told from a part alone, it is what batches then keep there."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcore.data import placing
from dlcore.data.batches import Batches
from dlcore.data.placing import Sizes, beside, sizes_of
from dlcore.data.spec import DatasetPart, TensorPart

CUDA, CPU = torch.device("cuda"), torch.device("cpu")
SIZES = Sizes(samples=1000, inputs=10, targets=8, ready=40, in_memory=True)
READ = Sizes(samples=1000, inputs=10, targets=8, ready=40, in_memory=False)


class Rows(Dataset[tuple[Tensor, int]]):
    """Bytes and a class."""

    def __len__(self) -> int:
        return 20

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int]:
        return torch.zeros(10, dtype=torch.uint8), 1


def part(samples: int = 100) -> TensorPart:
    raw = torch.zeros(samples, 10, dtype=torch.uint8)
    return TensorPart(raw, torch.zeros(samples, dtype=torch.int64), prepare=lambda some: some.float())


@pytest.mark.parametrize(
    ("sizes", "device", "free", "on_device", "kept"),
    [
        (SIZES, CPU, 10**9, True, 0),
        (SIZES, CUDA, 10**9, True, 1000 * 48),  # all of it, as the network gets it
        (SIZES, CUDA, 4 * 40_000 - 1, True, 1000 * 18),  # as it is stored
        (SIZES, CUDA, 2 * 10_000 - 1, True, 64 * 18),  # a batch on its way
        (SIZES, CUDA, 10**9, False, 64 * 18),
        (SIZES, CUDA, None, True, 1000 * 48),
        (READ, CUDA, 10**9, True, 64 * 18),
        (READ, CPU, 10**9, True, 0),
        (READ, torch.device("mps"), 10**9, True, 0),
    ],
)
def test_what_lies_beside_a_batch(
    sizes: Sizes, device: torch.device, free: int | None, on_device: bool, kept: int
) -> None:
    assert beside(sizes, 64, device, free, on_device=on_device) == kept


@pytest.mark.parametrize("free", [10_000_000, 4 * 4_000 - 1])
def test_a_part_on_an_accelerator_is_as_large_as_expected(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(placing, "free_memory", lambda device: free)
    device = torch.device("meta")
    batches = Batches(part(), 8, seed=0, device=device, shuffle=False, train=True)
    assert sum(tensor.nbytes for tensor in batches.resident) == beside(sizes_of(part()), 8, device, free)


def test_batches_that_loading_processes_keep_ready_are_counted() -> None:
    read = DatasetPart(Rows())
    batches = Batches(read, 8, seed=0, device="cpu", shuffle=False, workers=1, train=True)
    try:
        assert batches.ahead == 0
        next(iter(batches.epoch(0)))
        assert batches.ahead == beside(sizes_of(read), 8, CPU, None, loaders=1) == 2 * 8 * (10 + 8)
    finally:
        batches.close()


def test_an_empty_part_has_no_size() -> None:
    assert beside(sizes_of(part(0)), 8, CUDA, 10**9) == 0
