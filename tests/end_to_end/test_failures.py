"""A training that cannot go on says why in one sentence, exits 1, and leaves what can be gone on from."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from pathlib import Path

import pytest

from dlcore.run_dir import RunDir
from tests.core.training.test_checkpoints import Payload, change_manifest, packed
from tests.end_to_end.processes import Server, assert_same_weights, checkpoints, events, toy

OWN = """
import os
import torch
from torch import nn

class Net(nn.Module):
    '''Gets into trouble in its third epoch.'''

    def __init__(self, spec):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, {width}), nn.Tanh(), nn.Linear({width}, spec.num_outputs))
        self.calls = 0

    def forward(self, inputs):
        if self.training:
            self.calls += 1
        trouble = os.environ.get("TROUBLE") if self.training and self.calls > 17 else None
        if trouble == "memory":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        if trouble == "bug":
            raise KeyError("no such thing")
        if trouble == "exit":
            raise SystemExit(0)
        hidden = self.net[0](inputs)
        return self.net[1:](hidden * float("nan") if trouble == "nan" else hidden)

class Greedy(torch.optim.SGD):
    '''Needs more memory than there is.'''

    def __init__(self, modules, *, lr: float = 0.1):
        super().__init__([p for m in modules for p in m.parameters()], lr=lr)

    def step(self, closure=None):
        raise torch.OutOfMemoryError("CUDA out of memory.")
"""
OLD_MODEL = '"mlp"\nwidths = [16, 16]\ndropout = 0.2\nbatch_norm = true'


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(OWN.format(width=16))
    path = toy(tmp_path, epochs=6)
    path.write_text(path.read_text().replace(OLD_MODEL, '"own.py:Net"'))
    return path


TROUBLES = {
    "memory": "Out of memory with a single sample; try a smaller model",
    "nan": "became non-finite at step 18, epoch 3",
    "bug": "KeyError: 'no such thing'",
    "exit": "SystemExit: 0",
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_failed_training_is_gone_on_from(server: Server, runs: Path, preset: Path, trouble: str) -> None:
    code, out, errors = server.dltui("run", preset, "--runs", runs, "--name", "x", "--quiet", TROUBLE=trouble)
    run = RunDir(runs / "x")
    assert (code, out) == (1, "")
    assert TROUBLES[trouble] in errors
    assert run.summary().status == "failed"
    assert TROUBLES[trouble] in run.summary().error
    (failed,) = events(run, "failed")
    assert failed["exit"] == 1
    assert ("Traceback" in errors) is (trouble in ("bug", "exit"))
    assert [event["epoch"] for event in events(run, "epoch")] == [1, 2]
    assert checkpoints(run).newest(report=pytest.fail).manifest["epoch"] == 2  # type: ignore[union-attr]
    if trouble == "memory":
        return  # it goes on in smaller pieces: equally well, but not bit for bit
    code, _, errors = server.dltui("resume", run.path, "--quiet")
    assert code == 0, errors
    assert server.dltui("run", preset, "--runs", runs, "--name", "whole", "--quiet")[0] == 0
    assert_same_weights(run, RunDir(runs / "whole"))


def test_the_step_the_layer_and_the_samples_are_in_the_event(
    server: Server, runs: Path, preset: Path
) -> None:
    server.dltui("run", preset, "--runs", runs, "--name", "x", "--quiet", TROUBLE="nan")
    (found,) = events(RunDir(runs / "x"), "nonfinite")
    assert (found["step"], found["epoch"], found["what"]) == (18, 3, "loss")
    assert found["layer"] == "net.1"
    assert len(found["indices"]) == 32


def test_an_optimizer_without_memory_is_a_sentence_too(server: Server, runs: Path, preset: Path) -> None:
    preset.write_text(preset.read_text() + '\n[optimizer]\nname = "own.py:Greedy"\n')
    code, _, errors = server.dltui("run", preset, "--runs", runs, "--name", "x", "--quiet")
    assert code == 1
    assert "Out of memory" in RunDir(runs / "x").summary().error
    assert "training.gradient_checkpointing" in errors


# What a resume finds


@pytest.fixture
def stopped(server: Server, runs: Path, preset: Path) -> RunDir:
    """A run with three checkpoints that can be trained on."""
    assert server.dltui("run", preset, "--runs", runs, "--name", "x", "--quiet")[0] == 0
    return RunDir(runs / "x")


def longer(run: RunDir) -> list[str | Path]:
    return ["resume", run.path, "--set", "training.epochs=8", "--quiet"]


def newest_folder(run: RunDir) -> Path:
    newest = checkpoints(run).newest()
    assert newest is not None
    return newest.path


def test_a_changed_model_is_trained_on_as_it_was_and_says_so(
    server: Server, stopped: RunDir, runs: Path, preset: Path
) -> None:
    whole = ["run", preset, "--runs", runs, "--name", "whole", "--quiet", "--set", "training.epochs=8"]
    assert server.dltui(*whole)[0] == 0
    (preset.parent / "own.py").write_text(OWN.format(width=17))
    code, _, errors = server.dltui(*longer(stopped))
    assert code == 0, errors
    assert any("has changed since this run began" in each["message"] for each in events(stopped, "warning"))
    assert_same_weights(stopped, RunDir(runs / "whole"))


def test_code_in_a_checkpoint_is_never_run(server: Server, stopped: RunDir, tmp_path: Path) -> None:
    folder, sentinel = newest_folder(stopped), tmp_path / "sentinel"
    data = packed(tmp_path, pickle.dumps({"progress": Payload(sentinel)}, protocol=2))
    (folder / "trainer.pt").write_bytes(data)
    facts = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    change_manifest(folder, lambda manifest: manifest["files"].update({"trainer.pt": facts}))
    code, out, errors = server.dltui(*longer(stopped))
    assert (code, out) == (2, "")
    assert str(folder / "trainer.pt") in errors
    assert errors.count("\n") == 1
    assert not sentinel.exists()


def test_a_damaged_checkpoint_costs_one_epoch_and_a_warning(
    server: Server, stopped: RunDir, runs: Path, preset: Path
) -> None:
    with (newest_folder(stopped) / "model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    code, _, errors = server.dltui(*longer(stopped))
    assert code == 0, errors
    assert "is damaged" in events(stopped, "warning")[0]["message"]
    assert events(stopped, "resumed")[0]["epoch"] == 5
    whole = ["run", preset, "--runs", runs, "--name", "whole", "--quiet", "--set", "training.epochs=8"]
    assert server.dltui(*whole)[0] == 0
    assert_same_weights(stopped, RunDir(runs / "whole"))


def test_without_any_whole_checkpoint_it_starts_anew_and_says_so(
    server: Server, stopped: RunDir, runs: Path, preset: Path
) -> None:
    for folder in stopped.checkpoints_path.iterdir():
        (folder / "trainer.pt").unlink()
    code, _, errors = server.dltui(*longer(stopped))
    assert code == 0, errors
    assert "starts from its beginning" in events(stopped, "warning")[-1]["message"]
    whole = ["run", preset, "--runs", runs, "--name", "whole", "--quiet", "--set", "training.epochs=8"]
    assert server.dltui(*whole)[0] == 0
    assert_same_weights(stopped, RunDir(runs / "whole"))


def test_another_environment_is_named(server: Server, stopped: RunDir) -> None:
    code, _, errors = server.dltui(*longer(stopped), "--set", "training.threads=2")
    assert code == 0, errors
    (resumed,) = events(stopped, "resumed")
    assert resumed["same_environment"] is False
    assert resumed["differs"] == {"threads": ["1", "2"]}
    assert "not bit for bit" in events(stopped, "warning")[0]["message"]


@pytest.mark.parametrize("file", ["preset.toml", "run.json", "state.json", "events.jsonl"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[" * 100_000], ids=["empty", "noise", "deep"])
def test_damaged_files_beside_the_checkpoints(
    server: Server, stopped: RunDir, preset: Path, file: str, content: bytes
) -> None:
    (stopped.path / file).write_bytes(content)
    code, out, errors = server.dltui(*longer(stopped), folder=preset.parent)
    assert "Traceback" not in errors
    if file == "preset.toml":
        assert (code, out) == (2, "")
        assert errors
    else:
        assert code == 0, errors
        assert stopped.summary().status == "finished"
        assert stopped.summary().epoch == 8


@pytest.mark.parametrize(
    "file", ["run.json", "state.json", "events.jsonl", "control.jsonl", "metrics", "checkpoints"]
)
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_stands_in_the_place_of_a_file_is_no_traceback_and_no_wait(
    server: Server, stopped: RunDir, preset: Path, file: str, kind: str
) -> None:
    place = stopped.path / file
    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    place.mkdir() if kind == "folder" else os.mkfifo(place)
    code, _, errors = server.dltui(*longer(stopped), folder=preset.parent)
    assert "Traceback" not in errors
    assert code in (0, 1, 2)
    assert (code != 0) is bool(errors.strip())


def test_a_curve_that_is_a_pipe_costs_the_curve(server: Server, stopped: RunDir, preset: Path) -> None:
    curve = stopped.metrics_path / "train.loss"
    curve.unlink()
    os.mkfifo(curve)
    code, _, errors = server.dltui(*longer(stopped), folder=preset.parent)
    assert code == 0, errors
