"""A run rebuilt for use, from its directory alone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dlcore import kept_code, trained
from dlcore.data.batches import Batches
from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from dlcore.training.checkpoints import CheckpointFolder
from dlcore.training.evaluation import evaluate
from tests.core.deploy.small_runs import IRIS, TRAINING, train_text

NET = """
from torch import nn
from layers import widen

class Net(nn.Sequential):
    '''My own network.'''
    def __init__(self, spec, *, width: int = 8):
        super().__init__(nn.Linear(4, widen(width)), nn.ReLU(), nn.Linear(widen(width), spec.num_outputs))
"""
OWN = '[data]\nname = "iris"\n[model]\nname = "net.py:Net"\n' + TRAINING


@pytest.fixture
def run(trained_once: Callable[[str], RunDir], tmp_path: Path) -> RunDir:
    """A copy that may be broken."""
    return RunDir(shutil.copytree(trained_once(IRIS).path, tmp_path / "run"))


@pytest.fixture
def own_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A run of the user's own network, whose file imports its neighbour."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "nowhere"))  # puts sys.path back afterwards
    monkeypatch.setenv("DLTUI_USER_FILES", "{}")
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "layers.py").write_text("def widen(width):\n    return 2 * width\n")
    return train_text(OWN, tmp_path / "runs")


def refused(run: RunDir, which: str = "best") -> str:
    with pytest.raises(UserError) as caught:
        trained.load(run, which)
    (line,) = caught.value.lines
    assert line.isprintable()
    return line


def rewrite_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))


def test_its_test_metrics_are_those_of_the_training(run: RunDir) -> None:
    found = trained.load(run)
    data = found.data()
    assert data.test is not None
    batches = Batches(data.test, 7, seed=0, device="cpu", shuffle=False, train=False)
    metrics = evaluate(found.task, batches, found.precision).compute()
    recorded = run.summary().metrics
    assert metrics == pytest.approx({name: recorded[f"test/{name}"] for name in metrics})


def test_each_checkpoint_can_be_had(run: RunDir) -> None:
    folder = CheckpointFolder(run.checkpoints_path)
    best, newest = folder.best(), folder.newest()
    assert best is not None
    assert newest is not None
    assert trained.load(run, "best").checkpoint.path == best.path
    assert trained.load(run, "last").checkpoint.path == newest.path
    assert trained.load(run, str(newest.manifest["step"])).step == newest.manifest["step"]
    assert "say best, last or a step" in refused(run, "7")


def test_averaged_weights_are_the_ones_that_are_used(tmp_path: Path) -> None:
    found = trained.load(train_text(IRIS, tmp_path, "training.ema=0.9"), "last")
    averaged, raw = found.checkpoint.weights(), found.checkpoint.weights(averaged=False)
    own = found.task.model.state_dict()
    assert all(torch.equal(own[name], averaged[name]) for name in own)
    assert not all(torch.equal(own[name], raw[name]) for name in own)


def test_a_run_without_a_checkpoint_says_so(run: RunDir) -> None:
    shutil.rmtree(run.checkpoints_path)
    run.checkpoints_path.mkdir()
    assert "nothing is trained" in refused(run)


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"[]", b"[" * 100_000, b'{"spec": {"input": 3}}'])
def test_a_damaged_description_is_one_sentence(run: RunDir, content: bytes) -> None:
    run.run_json_path.write_bytes(content)
    assert "damaged" in refused(run)


@pytest.mark.parametrize("shape", [[10**12], [-4], [0], [2**20, 2**20]])
def test_data_that_cannot_be_is_refused_before_a_network_is_made(run: RunDir, shape: list[int]) -> None:
    rewrite_json(run.run_json_path, lambda about: about["spec"].update(input_shape=shape))
    assert "no data has samples of shape" in refused(run)


def test_a_pipe_in_place_of_the_description_is_not_waited_for(run: RunDir) -> None:
    run.run_json_path.unlink()
    os.mkfifo(run.run_json_path)
    assert "missing or damaged" in refused(run)


def test_data_of_another_shape_than_the_weights_is_one_sentence(run: RunDir) -> None:
    rewrite_json(run.run_json_path, lambda about: about["spec"].update(input_shape=[9]))
    assert "does not fit the model of its preset" in refused(run)


def test_weights_that_their_manifest_does_not_know_are_refused(run: RunDir) -> None:
    for checkpoint in CheckpointFolder(run.checkpoints_path).all():
        (checkpoint.path / "model.safetensors").write_bytes(b"\xff" * 99)
    assert "no checkpoint that is whole" in refused(run)
    assert "size" in refused(run, str(CheckpointFolder(run.checkpoints_path).all()[-1].manifest["step"]))


def test_a_crafted_checkpoint_is_refused_though_its_manifest_agrees(run: RunDir) -> None:
    folder = CheckpointFolder(run.checkpoints_path)
    for checkpoint in folder.all():
        file = checkpoint.path / "model.safetensors"
        save_file({"evil": torch.zeros(3)}, file)
        facts = {file.name: {"bytes": file.stat().st_size, "sha256": trained_sha(file)}}
        manifest = checkpoint.path / "manifest.json"
        rewrite_json(manifest, lambda content, facts=facts: content["files"].update(facts))
    assert "is not in it" in refused(run)


def trained_sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class TestOwnCode:
    def test_predicts_after_the_files_are_gone(self, own_run: RunDir, tmp_path: Path) -> None:
        before = trained.load(own_run)
        assert before.notes == ()
        (tmp_path / "net.py").unlink()
        (tmp_path / "layers.py").unlink()
        after = trained.load(own_run)
        inputs = torch.randn(5, 4)
        assert torch.equal(before.task.model(inputs), after.task.model(inputs))
        assert [note.split(" since")[0] for note in after.notes] == [
            f"{tmp_path / 'net.py'} has gone",
            f"{tmp_path / 'layers.py'} has gone",
        ]

    def test_uses_what_was_trained_and_says_that_the_file_has_changed(
        self, own_run: RunDir, tmp_path: Path
    ) -> None:
        (tmp_path / "net.py").write_text(NET.replace("nn.ReLU()", "nn.Tanh()"))
        found = trained.load(own_run)
        assert "ReLU" in str(found.task.model)
        (note,) = found.notes
        assert "net.py has changed since this run began" in note

    def test_a_copy_that_was_changed_inside_the_run_is_not_run(self, own_run: RunDir) -> None:
        (own_run.path / "code/0/net.py").write_text("raise SystemExit('ran')")
        assert "is not the code that was trained" in refused(own_run)

    @pytest.mark.parametrize("copy", ["../../net.py", "/etc/passwd", "code/../run.json", "", 3])
    def test_a_copy_outside_the_run_is_not_looked_at(self, own_run: RunDir, copy: object) -> None:
        rewrite_json(own_run.run_json_path, lambda about: about["code"][0].update(copy=copy))
        assert "is not whole" in refused(own_run)

    def test_a_run_without_own_code_keeps_none(self, run: RunDir) -> None:
        assert kept_code.kept_files(run) == []
        assert not (run.path / "code").exists()
