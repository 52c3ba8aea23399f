"""The loader: workers change speed only, and their death is a sentence."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcore.data import loader as loader_module
from dlcore.data.augment import Move
from dlcore.data.batches import Batches
from dlcore.data.loader import Loader, loader_failure
from dlcore.data.seeding import torch_generator
from dlcore.data.spec import Batch, DatasetPart
from dlcore.errors import UserError

COUNT = 14
ROOT = Path(__file__).parents[3]


class Noise(Dataset[tuple[Tensor, int]]):
    """Randomness from (epoch, index) only."""

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int]:
        epoch, index = key
        return torch.randn(1, 4, 4, generator=torch_generator(epoch, index)), index


class Trouble(Dataset[Any]):
    """Something happens at sample 5, in a worker."""

    def __init__(self, what: str) -> None:
        self.what, self.home = what, os.getpid()

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int]:
        if key[1] == 5 and self.what == "user error":
            raise UserError("a.png cannot be read")
        if key[1] == 5 and os.getpid() != self.home:
            if self.what == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.what == "terminated":
                os.kill(os.getpid(), signal.SIGTERM)
                os.kill(os.getpid(), signal.SIGINT)
            if self.what == "stuck":
                signal.pause()
        return torch.zeros(2), key[1]


def make(dataset: Dataset[Any], workers: int) -> Batches:
    part = DatasetPart(dataset, prepare=lambda raw: raw * 2, augment=Move(1, flip=True, edge="repeat"))
    return Batches(part, 3, seed=1, device="cpu", shuffle=True, workers=workers, train=True)


@pytest.fixture
def two_workers() -> Iterator[Batches]:
    batches = make(Noise(), 2)
    yield batches
    batches.close()


def equal(first: list[Batch], second: list[Batch]) -> bool:
    pairs = zip(first, second, strict=False)
    return len(first) == len(second) and all(
        torch.equal(a, b) for left, right in pairs for a, b in zip(left, right, strict=True)
    )


def test_two_workers_give_what_none_give_from_any_start(two_workers: Batches) -> None:
    alone = make(Noise(), 0)
    for epoch in (0, 1):
        whole = list(alone.epoch(epoch))
        for start in range(len(alone) + 1):
            assert equal(list(two_workers.epoch(epoch, start=start)), whole[start:])


def test_a_look_in_the_middle_of_an_epoch_disturbs_nothing(two_workers: Batches) -> None:
    whole = list(make(Noise(), 0).epoch(0))
    running = two_workers.epoch(0)
    seen = [next(running)]
    assert equal([next(two_workers.epoch(0, start=2))], whole[2:3])
    assert equal([*seen, *running], whole)


def test_an_epoch_left_early_leaves_nothing_behind(two_workers: Batches) -> None:
    running = two_workers.epoch(0)
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert equal(list(two_workers.epoch(1)), list(make(Noise(), 0).epoch(1)))


def test_workers_take_nothing_from_the_global_generators(two_workers: Batches) -> None:
    before = torch.get_rng_state()
    list(two_workers.epoch(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_part_knows_its_own_batches() -> None:
    for batch in make(Noise(), 0).epoch(0):
        assert batch.targets.tolist() == batch.index.tolist()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_for_the_user_arrives_as_it_was_raised(workers: int) -> None:
    loader = Loader(Trouble("user error"), 3, workers=workers)
    try:
        with pytest.raises(UserError) as caught:
            list(loader.load(0, torch.arange(COUNT).split(3)))
    finally:
        loader.close()
    assert caught.value.lines == ("a.png cannot be read",)


def test_a_killed_worker_is_a_sentence() -> None:
    loader = Loader(Trouble("killed"), 3, workers=1)
    try:
        with pytest.raises(UserError, match="died"):
            list(loader.load(0, torch.arange(COUNT).split(3)))
    finally:
        loader.close()


def test_a_stuck_worker_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_module, "TIMEOUT", 0.5)
    loader = Loader(Trouble("stuck"), 3, workers=1)
    try:
        with pytest.raises(UserError, match="stuck disk"):
            list(loader.load(0, torch.arange(COUNT).split(3)))
        (process,) = loader._processes
        process.kill()  # spares the test the five seconds that torch waits for it
    finally:
        loader.close()


def test_a_signal_to_the_whole_group_does_not_end_the_workers() -> None:
    loader = Loader(Trouble("terminated"), 3, workers=1)
    try:
        assert len(list(loader.load(0, torch.arange(COUNT).split(3)))) == 5
    finally:
        loader.close()


def test_closing_ends_the_workers(two_workers: Batches) -> None:
    next(two_workers.epoch(0))
    assert two_workers._loader is not None
    processes = list(two_workers._loader._processes)
    assert len(processes) == 2
    two_workers.close()
    two_workers.close()
    assert not any(process.is_alive() for process in processes)


def printed_by(rest: str) -> tuple[int, str, str]:
    """Exit status and output of a program that leaves an epoch under way and goes on with ``rest``."""
    code = (
        "import torch\n"
        "from dlcore.data.loader import Loader\n"
        "class Numbers(torch.utils.data.Dataset):\n"
        "    def __len__(self): return 40\n"
        "    def __getitem__(self, key): return torch.zeros(1), key[1]\n"
        "loader = Loader(Numbers(), 2, workers=2)\n"
        "answers = loader.load(0, torch.arange(40).split(2))\n"
        "next(answers)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + rest], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


def test_a_program_that_never_closes_its_loader_still_ends() -> None:
    assert printed_by("print('end')") == (0, "end\n", "")


def test_no_process_forked_later_ends_them_once_more() -> None:
    """A batch under way holds the loader beyond its closing; its destructor must not run in a child."""
    rest = (
        "import gc, os\n"
        "loader.close()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    del answers\n"
        "    gc.collect()\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)"
    )
    assert printed_by(rest) == (0, "", "")


def test_more_workers_than_cores_are_used_and_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_module, "usable_cores", lambda: 1)
    batches = make(Noise(), 3)
    assert batches._loader is not None
    assert (batches._loader.workers, len(batches.notes)) == (3, 1)
    assert "3 processes share one core:" in batches.notes[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(batches.epoch(0))) == len(batches)
    batches.close()


def test_little_shared_memory_means_no_workers_and_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000))
    batches = make(Noise(), 2)
    assert batches._loader is not None
    assert batches._loader.workers == 0 and "shared memory" in batches.notes[0]
    assert len(list(batches.epoch(0))) == len(batches)


def test_other_errors_are_not_taken_for_the_loaders() -> None:
    assert loader_failure(RuntimeError("shape '[2]' is invalid")) is None
    assert loader_failure(ValueError("DataLoader timed out")) is None
