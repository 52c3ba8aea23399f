"""Several processes train one run: the curves of one process, one writer, and an end in good order when one dies.

gloo on two CPU processes. A sum over processes is made in another order than in one, hence `TOLERANCE`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from dlcore.events import EventReader
from dlcore.run_dir import RunDir
from dlcore.series import read
from tests.end_to_end.processes import ENVIRONMENT, PATIENCE

TOLERANCE = 2e-3
"""Relative, of every loss of the curve; the figures of the test part agree to as much."""

SLOW = pytest.mark.slow
NET = (
    "from torch import nn\n"
    "class Net(nn.Module):\n"
    "    def __init__(self, spec):\n"
    "        super().__init__()\n"
    "        self.blocks = nn.Sequential(\n"
    "            nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),\n"
    "            nn.Sequential(nn.Flatten(), nn.Linear(288, 16), nn.BatchNorm1d(16), nn.ReLU()))\n"
    "        self.head = nn.Linear(16, spec.num_outputs)\n"
    "        self.unused = nn.Linear(2, 2)\n"
    "    def forward(self, x):\n"
    "        return self.head(self.blocks(x))\n"
)
Train = Callable[..., RunDir]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tui.cli", *arguments]


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """Trains a preset to an end in so many processes."""
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "own.toml").write_text('[data]\nname = "digits"\n[model]\nname = "net.py:Net"\n')

    def run(name: str, processes: int, *sets: str, preset: str = "digits-mlp", code: int = 0) -> RunDir:
        options = [part for each in ("training.device=cpu", *sets) for part in ("--set", each)]
        done = subprocess.run(
            command("run", preset, "--runs", "runs", "--name", name, "--quiet",
                    "--nproc-per-node", str(processes), *options),
            cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=250,
        )  # fmt: skip
        log = tmp_path / "runs" / name / "worker.log"
        assert done.returncode == code, done.stderr + (log.read_text() if log.exists() else "")
        return RunDir(tmp_path / "runs" / name)

    return run


def losses(run: RunDir, name: str = "train/loss") -> np.ndarray:
    series = read(run.path / "metrics", name)
    assert (np.diff(series.step) == 1).all(), "every step once"
    return np.asarray(series.value)


def assert_same_training(one: RunDir, other: RunDir) -> None:
    np.testing.assert_allclose(losses(one), losses(other), rtol=TOLERANCE, atol=1e-4)
    left, right = (run.summary().metrics for run in (one, other))
    assert left.keys() == right.keys()
    for name in left:
        if name.startswith(("val/", "test/")):
            assert left[name] == pytest.approx(right[name], rel=0.02, abs=0.01), name


def events(run: RunDir, kind: str) -> list[dict[str, object]]:
    return [event for event in EventReader(run.events_path).read() if event["event"] == kind]


def test_two_processes_train_like_one(train: Train) -> None:
    """Batches of 31 have parts of unequal size, and every process takes part in deciding nothing but its own."""
    sets = ("training.epochs=1", "training.batch_size=31", "scheduler.name=constant")
    one, two = train("one", 1, *sets), train("two", 2, *sets)

    assert_same_training(one, two)
    assert len(events(two, "started")) == len(events(two, "finished")) == 1
    (started,) = events(two, "started")
    assert started["choices"]["processes"].startswith("2 (ddp")  # type: ignore[index]
    assert [e["seq"] for e in EventReader(two.events_path).read()] == sorted(
        {e["seq"] for e in EventReader(two.events_path).read()}
    )
    assert (two.path / "metrics" / "system.memory_process_1").stat().st_size > 0


@SLOW
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
@pytest.mark.parametrize(
    "sets",
    [
        (),
        ("training.accumulate=3", "training.clip_norm=0.5", "training.ema=0.9"),
        ("training.non_finite=skip", "optimizer.name=sgd"),
    ],
    ids=["plain", "accumulated, clipped and averaged", "skipping"],
)
def test_batch_norm_looks_at_all_of_a_batch(train: Train, parallel: str, sets: tuple[str, ...]) -> None:
    """A last batch smaller than its share, blocks, and weights that no loss reaches."""
    sets = ("training.epochs=2", "training.batch_size=41", *sets)
    sets = (*sets, f"training.parallel={parallel}", "data.val=0.2", "scheduler.name=constant")
    one, two = (train(name, number, *sets, preset="own.toml") for name, number in (("one", 1), ("two", 2)))
    assert_same_training(one, two)


@SLOW
@pytest.mark.parametrize("name", ["digits-gan", "digits-autoencoder", "iris-perceptron"])
def test_every_phase_is_averaged(train: Train, name: str) -> None:
    run = train("two", 2, "training.epochs=1", preset=name)
    assert run.summary().status == "finished"


@SLOW
@pytest.mark.parametrize(("first", "then"), [(2, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_a_run_goes_on_in_another_number_of_processes(
    train: Train, tmp_path: Path, first: int, then: int, parallel: str
) -> None:
    sets = ("training.ema=0.9", f"training.parallel={parallel}", "scheduler.name=constant")
    whole = train("whole", 1, *sets, "training.epochs=4")
    run = train("run", first, *sets, "training.epochs=2")
    done = subprocess.run(
        command("resume", "run", "--runs", "runs", "--quiet", "--nproc-per-node", str(then),
                "--set", "training.epochs=4"),
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + run.log_path.read_text()
    assert len(events(run, "resumed")) == 1
    assert_same_training(whole, run)


def start(tmp_path: Path, *sets: str) -> tuple[subprocess.Popen[str], RunDir]:
    options = [part for each in ("training.device=cpu", *sets) for part in ("--set", each)]
    process = subprocess.Popen(
        command("run", "digits-mlp", "--runs", "runs", "--name", "run", "--quiet", "--nproc-per-node", "2", *options),
        cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    run = RunDir(tmp_path / "runs" / "run")
    deadline = time.monotonic() + PATIENCE
    while not list(run.path.glob("checkpoints/step-*/manifest.json")):
        assert process.poll() is None and time.monotonic() < deadline, run.path
        time.sleep(0.05)
    return process, run


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return [child for child in psutil.Process(process.pid).children(recursive=True)
            if "dlcore.worker" in child.cmdline() and "torch.distributed.run" not in child.cmdline()]  # fmt: skip


@SLOW
@pytest.mark.parametrize("rank", [0, 1])
def test_a_dead_process_ends_the_run_and_names_the_last_checkpoint(tmp_path: Path, rank: int) -> None:
    process, run = start(tmp_path, "training.epochs=100000")
    (victim,) = [w for w in workers(process) if w.environ()["RANK"] == str(rank)]
    others = workers(process)
    victim.kill()
    _, error = process.communicate(timeout=100)

    assert process.returncode == 1
    assert run.summary().status == "failed"
    assert "The last checkpoint is step-" in run.summary().error
    assert "dltui resume run" in error
    assert not any(other.is_running() and other.status() != psutil.STATUS_ZOMBIE for other in others)
    assert not run.is_locked()


@SLOW
def test_ctrl_c_saves_and_stops_all_of_them(tmp_path: Path) -> None:
    process, run = start(tmp_path, "training.epochs=100000")
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=100)

    assert process.returncode == 130
    (stopped,) = events(run, "stopped")
    manifests = [json.loads(p.read_text()) for p in run.path.glob("checkpoints/step-*/manifest.json")]
    assert stopped["step"] in [manifest["step"] for manifest in manifests]


@SLOW
def test_what_cannot_be_shared_is_one_sentence(train: Train, tmp_path: Path) -> None:
    done = subprocess.run(
        command("run", "digits-mlp", "--runs", "runs", "--nproc-per-node", "2", "--set", "training.batch_size=1"),
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 2
    assert "less than the 2 processes" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "runs").iterdir()) == []


@SLOW
def test_a_prepared_run_is_trained_by_torchrun(tmp_path: Path) -> None:
    """As on several machines."""
    made = subprocess.run(
        command("run", "iris-perceptron", "--runs", "runs", "--prepare", "--set", "training.device=cpu"),
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    folder = made.stdout.strip()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [*torchrun, "-m", "dlcore.worker", folder], cwd=tmp_path, env=ENVIRONMENT, timeout=200, check=True
    )
    assert RunDir(Path(folder)).summary().status == "finished"
