"""Free memory respects a container's limit; random streams are told apart by their names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dlcore.data import memory
from dlcore.data.seeding import derived_seed, torch_generator


def cgroup(folder: Path, limit: str, used: int, cache: int) -> Path:
    for name, text in (("max", limit), ("current", str(used)), ("stat", f"anon 5\ninactive_file {cache}\n")):
        (folder / f"memory.{name}").write_text(text)
    return folder


@pytest.mark.parametrize(("limit", "used", "cache", "free"), [("1000", 700, 0, 300), ("1000", 900, 500, 600)])
def test_a_containers_limit_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, used: int, cache: int, free: int
) -> None:
    monkeypatch.setattr(memory, "CGROUP", cgroup(tmp_path, limit, used, cache))
    assert memory.free_memory() == free


def test_without_a_limit_the_machine_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CGROUP", cgroup(tmp_path, "max", 10, 0))
    assert memory.free_memory() > 10_000_000
    monkeypatch.setattr(memory, "CGROUP", tmp_path / "none")
    assert memory.free_memory(torch.device("cpu")) > 10_000_000


def test_names_decide_a_stream() -> None:
    assert derived_seed(1, "order") == derived_seed(1, "order")
    names = [(1, "order"), (1, "augment"), (2, "order"), (1, 1, "order"), ("1", "order"), (11, "order")]
    assert len({derived_seed(*name) for name in names}) == len(names)
    assert torch_generator(1, 2).initial_seed() == derived_seed(1, 2) < 2**63
