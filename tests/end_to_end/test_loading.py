"""Loader workers that die, hang, or find no shared memory: a sentence, and the checkpoint stays."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from dlcore.run_dir import RunDir
from tests.end_to_end.processes import (
    ENVIRONMENT,
    Process,
    Server,
    assert_same_weights,
    await_event,
    await_that,
    checkpoints,
    events,
    toy,
)

OWN = """
import multiprocessing, os, time
import torch
from torch import nn
from dlcore.data.spec import Data, DataSpec, DatasetPart, TensorPart

class Rows(torch.utils.data.Dataset):
    '''Points whose class is the sign of their sum; trouble as the environment asks for it.'''

    def __init__(self):
        self.points = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return 200

    def __getitem__(self, key):
        epoch, index = key
        if epoch == 2 and index == 50 and torch.utils.data.get_worker_info() is not None:
            match os.environ.get("TROUBLE"):
                case "kill": os.kill(os.getpid(), 9)
                case "hang": time.sleep(600)
                case "raise": raise ValueError("row 50 is \\x1b[31mred")
        return self.points[index], (self.points[index].sum() > 0).long()

class Net(nn.Linear):
    '''Sees a loading process die while it computes.'''

    def __init__(self, spec):
        super().__init__(2, spec.num_outputs)
        self.calls = 0

    def forward(self, inputs):
        self.calls += self.training
        if self.calls == 17 and os.environ.get("TROUBLE") == "elsewhere":
            os.kill(multiprocessing.active_children()[0].pid, 9)
            time.sleep(30)
        return super().forward(inputs)

def data(context):
    '''Rows behind a loader.'''
    rows = Rows()
    fixed = TensorPart(rows.points[:60], (rows.points[:60].sum(1) > 0).long())
    names = ("no", "yes")
    spec = DataSpec(input="vector", input_shape=(2,), target="binary", num_outputs=1, class_names=names)
    return Data(spec, DatasetPart(rows), fixed, fixed)
"""


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(OWN)
    path = toy(tmp_path, epochs=6, more="workers = 2\n")
    path.write_text(path.read_text().replace('"moons"\nsamples = 300', '"own.py:data"'))
    return path


def loaders_of(process: Process) -> list[psutil.Process]:
    """The loader's workers among a training's children."""
    children = psutil.Process(process.pid).children()
    return [child for child in children if "fork_server" in " ".join(child.cmdline())]


def check_the_end(server: Server, run: RunDir, process: Process, words: str) -> None:
    """It failed with a sentence and kept its checkpoint; a resume ends as if nothing had been."""
    assert process.wait() == 1
    summary = run.summary()
    assert summary.status == "failed"
    assert words in summary.error
    assert "\n" not in summary.error
    newest = checkpoints(run).newest(report=pytest.fail)
    assert newest is not None
    assert newest.manifest["epoch"] >= events(run, "epoch")[-1]["epoch"] >= 1
    assert not run.is_locked()
    code, _, errors = server.dltui("resume", run.path, "--quiet", "--set", "training.workers=0")
    assert code == 0, errors
    preset = run.path.parent.parent / "toy.toml"
    assert server.dltui("run", preset, "--runs", run.path.parent, "--name", "whole", "--quiet")[0] == 0
    assert_same_weights(run, RunDir(run.path.parent / "whole"))


def test_a_worker_that_dies(server: Server, runs: Path, preset: Path) -> None:
    process = server.start("run", preset, "--runs", runs, "--name", "x", "--quiet", TROUBLE="kill")
    check_the_end(server, RunDir(runs / "x"), process, "a data loading process died")


def test_a_worker_that_dies_while_the_trainer_computes(server: Server, runs: Path, preset: Path) -> None:
    """Torch raises it wherever the trainer happens to be."""
    model = '"mlp"\nwidths = [16, 16]\ndropout = 0.2\nbatch_norm = true'
    preset.write_text(preset.read_text().replace(model, '"own.py:Net"'))
    process = server.start("run", preset, "--runs", runs, "--name", "x", "--quiet", TROUBLE="elsewhere")
    check_the_end(server, RunDir(runs / "x"), process, "a data loading process died")


def test_a_worker_that_hangs(server: Server, runs: Path, preset: Path) -> None:
    process = server.start(
        "run", preset, "--runs", runs, "--name", "x", "--quiet", TROUBLE="hang",
        prelude="from dlcore.data import loader; loader.TIMEOUT = 2",
    )  # fmt: skip
    check_the_end(
        server, RunDir(runs / "x"), process, "no batch came from the data loading processes for 2 s"
    )


def test_a_hanging_worker_is_given_a_minute() -> None:
    from dlcore.data import loader

    assert loader.TIMEOUT <= 60


def test_an_error_in_a_worker_keeps_its_lines_for_the_log_and_is_one_for_people(
    server: Server, runs: Path, preset: Path
) -> None:
    process = server.start("run", preset, "--runs", runs, "--name", "x", "--quiet", TROUBLE="raise")
    assert process.wait() == 1
    run = RunDir(runs / "x")
    assert "ValueError" in run.summary().error
    assert "\x1b" not in run.summary().error + "".join(process.output)
    assert "own.py" in run.log_path.read_text()
    assert checkpoints(run).newest() is not None


def test_workers_end_with_their_trainer(server: Server, runs: Path, preset: Path) -> None:
    preset.write_text(preset.read_text().replace("epochs = 6", "epochs = 100000"))
    process = server.start("run", preset, "--runs", runs, "--name", "x", "--quiet")
    run = RunDir(runs / "x")
    await_event(run, "epoch", epoch=2)
    workers = loaders_of(process)
    assert len(workers) == 2
    process.signal()
    process.wait()
    assert not run.is_locked()  # at once: the workers have no share in the lock
    assert psutil.wait_procs(workers, timeout=20)[1] == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_whole_group_still_saves(
    server: Server, runs: Path, preset: Path, number: signal.Signals, code: int
) -> None:
    preset.write_text(preset.read_text().replace("epochs = 6", "epochs = 100000"))
    process = server.start("run", preset, "--runs", runs, "--name", "x", "--quiet")
    run = RunDir(runs / "x")
    await_event(run, "epoch", epoch=2)
    workers = loaders_of(process)
    os.killpg(process.pid, number)
    assert process.wait() == code
    stopped = events(run, "stopped")[0]
    assert checkpoints(run).newest(report=pytest.fail).manifest["step"] == stopped["step"]  # type: ignore[union-attr]
    assert psutil.wait_procs(workers, timeout=20)[1] == []


def test_a_full_shared_memory_is_done_without(runs: Path, preset: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    own_view = ["unshare", "--mount", "sh", "-c"]
    small = "mount -t tmpfs -o size=4k tmpfs /dev/shm && exec "
    if subprocess.run([*own_view, small + "true"], capture_output=True).returncode:
        pytest.skip("may not mount a file system here")
    command = f"{sys.executable} -m tui.cli run {preset} --runs {runs} --name x --quiet"
    done = subprocess.run(
        [*own_view, small + command], env=ENVIRONMENT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    (warning,) = events(RunDir(runs / "x"), "warning")
    assert "loading without workers" in warning["message"]
    assert "/dev/shm" in warning["message"]


def test_the_number_of_workers_changes_nothing_but_speed(server: Server, runs: Path, preset: Path) -> None:
    for count in ("0", "2"):
        arguments = [
            "run",
            preset,
            "--runs",
            runs,
            "--name",
            count,
            "--set",
            f"training.workers={count}",
            "--quiet",
        ]
        assert server.dltui(*arguments)[0] == 0
    assert_same_weights(RunDir(runs / "0"), RunDir(runs / "2"))


def test_nothing_is_left_running(server: Server, runs: Path, preset: Path) -> None:
    process = server.start("run", preset, "--runs", runs, "--name", "x", "--quiet")
    workers = await_that(lambda: loaders_of(process), "workers")
    start = time.monotonic()
    assert process.wait() == 0
    assert psutil.wait_procs(workers, timeout=5)[1] == []
    assert time.monotonic() - start < 50
