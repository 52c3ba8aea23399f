"""Every benchmark still runs; what it measures is read by people, from a quiet machine.

``pytest -m benchmark -s`` shows the tables, made in a hurry: by hand they take more rounds.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

NAMES = [
    "trainer_overhead", "mnist_mlp_rivals", "start_up", "checkpoint_cost", "record_cost",
    "every_preset", "app_chart", "app_slowdown", "app_terminal", "muon_step",
]  # fmt: skip


@pytest.mark.benchmark
@pytest.mark.timeout(600)
def test_what_is_for_a_gpu_runs_without_one() -> None:
    """Every part of it, so that the first time on a GPU is not lost."""
    command = [sys.executable, "-m", "tests.benchmarks.gpu", "--quick", "--device", "cpu"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("|---") + done.stdout.count("skipped: ") >= 5


@pytest.mark.benchmark
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", NAMES)
def test_prints_its_table(name: str) -> None:
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", "--quick"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    assert "|---" in done.stdout or "skipped: " in done.stdout
