"""Weights from a file, a run or a published set: nothing but tensors is read, whatever a file holds."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dlcore.data import download
from dlcore.data.spec import DataContext
from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from dlcore.training import weight_sources
from dlcore.training.checkpoints import CheckpointFolder, Snapshot
from dlcore.training.weight_sources import read_file, read_weights

STATE = {"layer.weight": torch.arange(6.0).view(2, 3), "layer.bias": torch.ones(2)}


def same(left: Any, right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in right)


def of(weights: str, folder: Path, model: nn.Module | None = None) -> tuple[str, Any]:
    return read_weights(weights, model or nn.Linear(1, 1), DataContext(folder, base=folder), folder / "runs")


class TestFiles:
    def test_safetensors(self, tmp_path: Path) -> None:
        save_file(STATE, tmp_path / "net.safetensors")
        source, tensors = of("net.safetensors", tmp_path)
        assert source == "net.safetensors"
        assert same(tensors, STATE)

    @pytest.mark.parametrize("key", ["", *weight_sources.NESTED])
    def test_a_state_dict_or_a_checkpoint_around_it(self, tmp_path: Path, key: str) -> None:
        torch.save(
            {key: STATE, "epoch": 3, "best_prec1": torch.tensor(0.9)} if key else STATE, tmp_path / "a.pth"
        )
        assert same(read_file(tmp_path / "a.pth"), STATE)

    def test_the_old_format_of_torch_save(self, tmp_path: Path) -> None:
        torch.save({"state_dict": STATE}, tmp_path / "a.th", _use_new_zipfile_serialization=False)
        assert same(read_file(tmp_path / "a.th"), STATE)

    def test_an_ordered_dict_of_parameters(self, tmp_path: Path) -> None:
        torch.save(nn.Linear(3, 2).state_dict(keep_vars=True), tmp_path / "a.pt")
        assert set(read_file(tmp_path / "a.pt")) == {"weight", "bias"}

    def test_a_missing_one_is_one_sentence_with_the_nearest(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "resnet.pth").touch()
        with pytest.raises(UserError, match=r"model.weights: no file .*did you mean resnet.pth") as error:
            of("resnett.pth", tmp_path)
        assert len(error.value.lines) == 1

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.pth").mkdir()
        with pytest.raises(UserError, match="not a file"):
            of("a.pth", tmp_path)


class Exploit:
    """Runs a command when it is unpickled by a reader that trusts it."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.witness}",)


def _zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"archive/{name}", content)


def _truncated(path: Path) -> None:
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[:-300])


def _flipped(path: Path) -> None:
    torch.save(STATE, path)
    raw = bytearray(path.read_bytes())
    raw[60:90] = bytes(30)
    path.write_bytes(raw)


def _tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("../../evil"), io.BytesIO())


HOSTILE: dict[str, Callable[[Path], Any]] = {
    "code.pth": lambda path: torch.save({"state_dict": Exploit(path.with_suffix(".ran"))}, path),
    "code-plain.pth": lambda path: path.write_bytes(pickle.dumps(Exploit(path.with_suffix(".ran")))),
    "whole-module.pth": lambda path: torch.save(nn.Linear(2, 2), path),
    "empty.pth": lambda path: path.touch(),
    "noise.pth": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "text.pth": lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
    "truncated.pth": _truncated,
    "flipped.pth": _flipped,
    "bomb.pth": lambda path: _zip(path, {"data.pkl": bytes(50_000_000)}, zipfile.ZIP_DEFLATED),
    "no-data.pth": lambda path: _zip(path, {"something": b"x"}),
    "tar.pth": _tar,
    "list.pth": lambda path: torch.save([1, 2, 3], path),
    "numbers.pth": lambda path: torch.save({"lr": 0.1, "epoch": 3}, path),
    "keys.pth": lambda path: torch.save({1: torch.zeros(2), (2,): torch.zeros(3)}, path),
    "sparse.pth": lambda path: torch.save({"weight": torch.eye(3).to_sparse()}, path),
    "nowhere.pth": lambda path: torch.save({"weight": torch.zeros(3, device="meta")}, path),
    "complex.pth": lambda path: torch.save({"weight": torch.zeros(3, dtype=torch.complex64)}, path),
    "empty.safetensors": lambda path: path.touch(),
    "header.safetensors": lambda path: path.write_bytes(struct.pack("<Q", 2**62) + b"{}"),
    "pickle.safetensors": lambda path: path.write_bytes(pickle.dumps(Exploit(path.with_suffix(".ran")))),
    "nothing.safetensors": lambda path: save_file({}, path),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_table_of_tensors_is_one_sentence_and_runs_nothing(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    HOSTILE[name](path)
    with pytest.raises(UserError, match=r"holds (something else than|no) weights") as error:
        read_file(path)
    assert len(error.value.lines) == 1
    assert len(str(error.value)) < 400 + len(str(path))
    assert not path.with_suffix(".ran").exists()


def test_an_unreadable_file_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    torch.save(STATE, tmp_path / "a.pth")
    monkeypatch.setattr(torch, "load", refuse)
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        read_file(tmp_path / "a.pth")


class TestRuns:
    @pytest.fixture
    def run(self, tmp_path: Path) -> RunDir:
        """Two checkpoints: the best is the older one."""
        (tmp_path / "runs").mkdir()
        run = RunDir.create(tmp_path / "runs", "pretrained", "digits-cnn")
        folder = CheckpointFolder(run.path / "checkpoints")
        for step, best in ((1, True), (2, False)):
            weights = {"weight": torch.full((1, 1), float(step))}
            facts = {"step": step, "epoch": step, "batch": 0, "best": best, "monitor": None}
            folder.write(Snapshot({"model": weights}, {}, facts))
        return run

    def test_the_best_weights(self, run: RunDir, tmp_path: Path) -> None:
        source, tensors = of("run:pretrained", tmp_path)
        assert source == "run pretrained, epoch 1"
        assert tensors["weight"].item() == 1

    def test_the_newest_run_of_a_preset(self, run: RunDir, tmp_path: Path) -> None:
        run.write_state({"preset": "digits-cnn", "status": "finished"})
        assert of("run:digits-cnn", tmp_path)[0] == "run pretrained, epoch 1"

    def test_none_is_one_sentence_that_says_what_to_train(self, run: RunDir, tmp_path: Path) -> None:
        with pytest.raises(
            UserError, match=r"model.weights: .* train it first: dltui run digits-mlp"
        ) as error:
            of("run:digits-mlp", tmp_path)
        assert len(error.value.lines) == 1

    def test_one_without_checkpoints_is_one_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "runs").mkdir()
        RunDir.create(tmp_path / "runs", "bare", "digits-cnn")
        with pytest.raises(UserError, match="run bare has no checkpoint"):
            of("run:bare", tmp_path)


class Published(nn.Linear):
    published = {"imagenet": "https://example.invalid/models/net-0123abcd.pth"}


class TestPublished:
    def test_a_file_that_is_there_is_not_downloaded(self, tmp_path: Path) -> None:
        (tmp_path / "weights").mkdir()
        torch.save(STATE, tmp_path / "weights" / "net-0123abcd.pth")
        source, tensors = of("imagenet", tmp_path, Published(1, 1))
        assert source == "ImageNet (net-0123abcd.pth)"
        assert same(tensors, STATE)

    def test_offline_is_one_sentence_that_says_where_to_put_it(
        self, tmp_path: Path, monkeypatch: Any
    ) -> None:
        def offline(*args: object, **kwargs: object) -> None:
            raise OSError("Name or service not known")

        monkeypatch.setattr(download.urllib.request, "urlopen", offline)
        with pytest.raises(
            UserError, match=r"net-0123abcd.pth .*Name or service not known.* put it into"
        ) as error:
            of("imagenet", tmp_path, Published(1, 1))
        assert len(error.value.lines) == 1
        assert str(tmp_path / "weights") in str(error.value)
        assert not list((tmp_path / "weights").iterdir())

    def test_another_file_than_published_is_refused(self, tmp_path: Path, monkeypatch: Any) -> None:
        class Answer(io.BytesIO):
            headers: dict[str, str] = {}

        monkeypatch.setattr(download.urllib.request, "urlopen", lambda *a, **k: Answer(b"something else"))
        with pytest.raises(UserError, match="not the expected file"):
            of("imagenet", tmp_path, Published(1, 1))
        assert not list((tmp_path / "weights").iterdir())

    def test_a_model_without_any_says_which_has(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r'model.name = "torchvision"'):
            of("imagenet", tmp_path)
