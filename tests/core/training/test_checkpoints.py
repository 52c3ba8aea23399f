"""A save is whole or it is not there; what is read was checked, and nothing in it is ever run."""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import struct
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from dlcore.errors import UserError
from dlcore.training import checkpoints
from dlcore.training.checkpoints import (
    MANIFEST,
    Checkpoint,
    CheckpointFolder,
    CheckpointWriter,
    Snapshot,
    require_space,
)
from tests.core.support import largest_file, names_in
from tests.core.training.small import events, make_trainer

BYTES = 4000


def snapshot(step: int, *, best: bool = False) -> Snapshot:
    """A state that says of every part which step it is from."""
    weights = {"weight": torch.full((BYTES // 4,), float(step)), "bias": torch.tensor([float(step)])}
    state = {"progress": {"step": step}, "moments": [torch.full((3,), float(step))]}
    facts = {"step": step, "epoch": step, "batch": 0, "best": best, "monitor": None}
    return Snapshot({"model": weights}, state, facts)


def step_in(checkpoint: Checkpoint | None) -> int:
    """The step that all parts of a checkpoint agree on."""
    assert checkpoint is not None
    weights, state = checkpoint.weights(), checkpoint.trainer()
    parts = [*weights.values(), *state["moments"], torch.tensor([float(state["progress"]["step"])])]
    (step,) = {float(value) for part in parts for value in part.unique()}
    return int(step)


def with_saved(path: Path, *steps: int, keep: int = 2) -> CheckpointFolder:
    path.mkdir(exist_ok=True)
    folder = CheckpointFolder(path / "checkpoints", keep)
    for step in steps:
        folder.write(snapshot(step))
    return folder


def unfinished(folder: CheckpointFolder) -> list[str]:
    """What lies there and is no checkpoint."""
    return [name for name in names_in(folder.path) if not (folder.path / name / MANIFEST).exists()]


def silent(message: str) -> None:
    raise AssertionError(message)


# What was written comes back


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    state = {"epoch": 3, "best": None, "moments": {0: torch.randn(4, dtype=torch.float64)}, "text": "a"}
    weights = {"a.weight": torch.randn(3, 2), "b": torch.tensor(5), "half": torch.randn(4).bfloat16()}
    folder = CheckpointFolder(tmp_path / "checkpoints")
    folder.write(Snapshot({"model": weights, "ema": {"a": torch.zeros(1)}}, state, {"step": 7, "best": True}))
    found = folder.newest(silent)
    assert found is not None
    again = found.weights(averaged=False)
    assert all(torch.equal(again[name], value) for name, value in weights.items())
    assert found.weights().keys() == {"a"}  # the average is what a person wants to use
    read = found.trainer()
    assert torch.equal(read["moments"].pop(0), state["moments"].pop(0))
    assert read == state
    assert (found.path.name, found.best) == ("step-00000007", True)


def test_weights_in_any_memory_order_are_saved(tmp_path: Path) -> None:
    filters = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
    folder = CheckpointFolder(tmp_path / "checkpoints")
    folder.write(Snapshot({"model": {"filters": filters, "turned": filters[0, 0].T}}, {}, {"step": 1}))
    assert torch.equal(folder.newest(silent).weights()["filters"], filters)


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    folder = with_saved(tmp_path, 1)
    modes = {path: path.stat().st_mode & 0o777 for path in folder.path.rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}


def test_a_step_saved_twice_overwrites_nothing(tmp_path: Path) -> None:
    folder = with_saved(tmp_path, 5, 5)
    assert names_in(folder.path) == ["step-00000005", "step-00000005.1"]
    assert folder.newest(silent).path.name == "step-00000005.1"


@pytest.mark.parametrize(
    ("keep", "best_at", "left"),
    [
        (2, {1, 2, 3, 4, 5}, [4, 5]),
        (2, {1, 3}, [3, 4, 5]),
        (2, {4}, [4, 5]),
        (3, {1}, [1, 3, 4, 5]),
        (2, set(), [4, 5]),
    ],
)
def test_the_newest_and_the_newest_best_stay(
    tmp_path: Path, keep: int, best_at: set[int], left: list[int]
) -> None:
    folder = CheckpointFolder(tmp_path / "checkpoints", keep)
    for step in range(1, 6):
        folder.write(snapshot(step, best=step in best_at))
    assert [step_in(checkpoint) for checkpoint in folder.all()] == left
    assert len(names_in(folder.path)) == len(left)
    best = folder.best()
    assert (step_in(best) if best else None) == max(best_at, default=None)


def test_what_cannot_be_removed_does_not_spoil_the_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = with_saved(tmp_path, 1, 2)
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: fail(errno.EIO))
    assert step_in(folder.write(snapshot(3))) == 3
    assert [step_in(checkpoint) for checkpoint in folder.all()] == [1, 2, 3]


# Errors at every call of a save


def fail(number: int) -> Any:
    raise OSError(number, os.strerror(number))


def torn_save_file(tensors: Any, path: Path) -> None:
    path.write_bytes(b"\x10")
    raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


def torn_torch_save(state: Any, path: Path) -> None:
    path.write_bytes(b"PK")
    raise RuntimeError("[enforce fail at inline_container.cc:595] . unexpected pos 64 vs 0\nframe #0: ...")


CALLS: list[tuple[Any, str]] = [
    *((os, name) for name in ("write", "fsync", "rename", "mkdir", "open", "chmod", "unlink")),
    (checkpoints, "save_file"),
    (torch, "save"),
]
TORN = {"save_file": torn_save_file, "save": torn_torch_save}
NEVER_FOR_WANT_OF_SPACE = {"unlink", "open", "chmod"}


class Faults:
    """Lets the calls of a save through, except the one at a position (and, if lasting, those after it)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.made = 0
        self._position, self._error, self._lasting = -1, 0, False
        for owner, name in CALLS:
            monkeypatch.setattr(owner, name, self._guarded(name, getattr(owner, name)))

    def arm(self, position: int, error: int, lasting: bool) -> None:
        self.made, self._position, self._error, self._lasting = 0, position, error, lasting

    def disarm(self) -> None:
        self.arm(-1, 0, False)

    def count(self, before: Callable[[], CheckpointFolder], save: Callable[[CheckpointFolder], Any]) -> int:
        """How many calls a save makes."""
        folder = before()
        self.disarm()
        save(folder)
        return self.made

    def _guarded(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            position, self.made = self.made, self.made + 1
            still_full = (
                self._lasting and 0 <= self._position < position and name not in NEVER_FOR_WANT_OF_SPACE
            )
            if position == self._position or still_full:
                return TORN[name](*args) if name in TORN else fail(self._error)
            return real(*args, **options)

        return call


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
def test_an_error_at_any_call_leaves_the_old_checkpoint_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, lasting: bool
) -> None:
    faults = Faults(monkeypatch)
    calls = faults.count(
        lambda: with_saved(tmp_path / "counted", 1, 2), lambda folder: folder.write(snapshot(3))
    )
    outcomes = set()
    for position in range(calls):
        folder = with_saved(tmp_path / str(position), 1, 2)
        faults.arm(position, error, lasting)
        failed = False
        try:
            folder.write(snapshot(3))
        except (OSError, RuntimeError, SafetensorError):
            failed = True
        faults.disarm()
        found = step_in(folder.newest(silent))
        assert found in (2, 3), position
        assert found == 3 or failed, f"call {position}: said to be written, but is not there"
        assert set(unfinished(folder)) <= {"step-00000001"}  # no longer needed, and half removed
        folder.write(snapshot(4))
        assert step_in(folder.newest(silent)) == 4
        assert unfinished(folder) == []
        outcomes.add((found, failed))
    assert calls > 20
    assert outcomes >= {(2, True), (3, True)}  # before the manifest, and in its last fsync


def test_a_passing_trouble_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints.time, "sleep", lambda seconds: None)
    faults = Faults(monkeypatch)
    folder = with_saved(tmp_path, 1)
    done: list[Checkpoint | None] = []
    writer = CheckpointWriter(folder, silent)
    faults.arm(3, errno.EIO, False)
    writer.submit(snapshot(2), lambda checkpoint, seconds: done.append(checkpoint))
    writer.wait()
    assert step_in(done[0]) == 2


def test_a_lasting_trouble_is_one_sentence_with_path_and_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints.time, "sleep", lambda seconds: None)
    folder = with_saved(tmp_path, 1)
    said: list[str] = []
    done: list[Checkpoint | None] = []
    writer = CheckpointWriter(folder, said.append)
    monkeypatch.setattr(torch, "save", torn_torch_save)
    writer.submit(snapshot(2), lambda checkpoint, seconds: done.append(checkpoint))
    writer.wait()
    (sentence,) = said
    assert done == [None]
    assert str(folder.path) in sentence
    assert re.search(r"\b4,0\d\d bytes needed, [\d,]{6,} free", sentence)
    assert "\n" not in sentence
    assert names_in(folder.path) == ["step-00000001"]


def test_a_state_that_cannot_be_written_at_all_is_said_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    done: list[Checkpoint | None] = []
    writer = CheckpointWriter(CheckpointFolder(tmp_path / "checkpoints"), said.append, retries=0)
    unsavable = Snapshot({"model": {}}, {"schedule": lambda step: step}, {"step": 1})
    writer.submit(unsavable, lambda checkpoint, seconds: done.append(checkpoint))
    writer.wait()
    assert done == [None]
    assert "step 1 could not be written" in said[0]
    assert "Traceback" in capsys.readouterr().err


# A full disk


class Wide(nn.Module):
    """Weights that are larger than everything else a run writes."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 5000), nn.ReLU(), nn.Linear(5000, 3))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.net(inputs)


def full_for_the_second_epoch(runs: Path, limit: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Trains three epochs; while the second is saved, ``limit`` is in force."""
    said: list[str] = []
    trainer = make_trainer(runs, model=Wide(), warn=said.append)
    folder, write, saves = trainer.saver.folder, trainer.saver.folder.write, []

    def limited(taken: Snapshot) -> Checkpoint:
        saves.append(taken)
        if len(saves) == 2:
            with limit():
                return write(taken)
        return write(taken)

    folder.write = limited  # type: ignore[method-assign]
    assert trainer.fit().reason == "epochs"
    return trainer, said


def assert_went_on(trainer: Any, said: list[str]) -> None:
    (sentence,) = said
    folder = trainer.saver.folder
    assert str(folder.path) in sentence
    assert re.search(r"[\d,]+ bytes needed, [\d,]+ free", sentence)
    kept = [checkpoint.manifest["epoch"] for checkpoint in folder.all()]
    assert kept[-1] == 3
    assert 1 in kept  # it was the best, or one of the newest two
    assert 2 not in kept
    assert all(not checkpoint.damage() for checkpoint in folder.all())
    assert unfinished(folder) == []
    assert [event["epoch"] for event in events(trainer, "epoch")] == [1, 2, 3]
    assert [event["epoch"] for event in events(trainer, "checkpoint")] == [1, 3]


def test_training_goes_on_over_a_full_disk(tmp_path: Path) -> None:
    assert_went_on(*full_for_the_second_epoch(tmp_path, lambda: largest_file(100_000)))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount a file system here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


class filled:  # noqa: N801 - reads as a context
    """A disk without a free byte but a few."""

    def __init__(self, disk: Path, spare: int) -> None:
        self._disk, self._spare = disk, spare

    def __enter__(self) -> None:
        with (self._disk / "ballast").open("wb") as file, pytest.raises(OSError, match="No space"):
            while True:
                os.write(file.fileno(), bytes(4096))
        os.truncate(self._disk / "ballast", (self._disk / "ballast").stat().st_size - self._spare)

    def __exit__(self, *error: object) -> None:
        (self._disk / "ballast").unlink()


@pytest.mark.parametrize("spare", [0, 40_960, 204_800, 409_600])
def test_training_goes_on_over_a_full_file_system(small_disk: Path, spare: int) -> None:
    assert_went_on(*full_for_the_second_epoch(small_disk, lambda: filled(small_disk, spare)))


def test_space_for_two_checkpoints_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        checkpoints.shutil, "disk_usage", lambda path: checkpoints.shutil._ntuple_diskusage(9, 9, 1999)
    )
    require_space(tmp_path, 999)
    with pytest.raises(UserError) as caught:
        require_space(tmp_path, 1000)
    (sentence,) = caught.value.lines
    assert str(tmp_path) in sentence
    assert "1,999 bytes free" in sentence
    assert "2,000" in sentence


# Damage


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def flipped(data: bytes) -> bytes:
    return data[:-40] + bytes([data[-40] ^ 1]) + data[-39:]


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "weights cut": lambda p: rewrite(p / "model.safetensors", lambda data: data[:-1]),
    "weights flipped": lambda p: rewrite(p / "model.safetensors", flipped),
    "weights gone": lambda p: (p / "model.safetensors").unlink(),
    "state flipped": lambda p: rewrite(p / "trainer.pt", flipped),
    "state longer": lambda p: rewrite(p / "trainer.pt", lambda data: data + b"\0"),
    "manifest cut": lambda p: rewrite(p / MANIFEST, lambda data: data[:-5]),
    "manifest empty": lambda p: rewrite(p / MANIFEST, lambda data: b""),
    "manifest no JSON": lambda p: rewrite(p / MANIFEST, lambda data: b"\xff" + data),
    "manifest another kind": lambda p: rewrite(p / MANIFEST, lambda data: b"[]"),
    "manifest deep": lambda p: rewrite(p / MANIFEST, lambda data: b"[" * 100_000),
    "manifest huge": lambda p: rewrite(p / MANIFEST, lambda data: data + b" " * (1 << 20)),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path: Path, kind: str) -> None:
    folder = with_saved(tmp_path, 1, 2)
    DAMAGE[kind](folder.path / "step-00000002")
    said: list[str] = []
    assert step_in(folder.newest(said.append)) == 1
    (sentence,) = said
    assert "step-00000002 is damaged" in sentence


def test_nothing_whole_is_nothing_found(tmp_path: Path) -> None:
    folder = with_saved(tmp_path, 1, 2)
    for step in (1, 2):
        DAMAGE["weights cut"](folder.path / f"step-0000000{step}")
    said: list[str] = []
    assert folder.newest(said.append) is None
    assert len(said) == 2


def test_a_manifest_cut_anywhere_is_no_manifest(tmp_path: Path) -> None:
    folder = with_saved(tmp_path, 1, 2)
    path = folder.path / "step-00000002" / MANIFEST
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.unlink()
        path.write_bytes(whole[:end])
        assert [checkpoint.manifest["step"] for checkpoint in folder.all()] == [1], end


def test_a_manifest_flipped_anywhere_never_raises(tmp_path: Path) -> None:
    folder = with_saved(tmp_path, 1, 2)
    path = folder.path / "step-00000002" / MANIFEST
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.unlink()
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        assert step_in(folder.newest()) in (1, 2), place


def test_the_best_that_is_damaged_gives_way_to_an_older_best(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path / "checkpoints")
    for step in (1, 2):
        folder.write(snapshot(step, best=True))
    DAMAGE["weights flipped"](folder.path / "step-00000002")
    assert step_in(folder.best()) == 1


# Made to harm


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def renamed(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda manifest: manifest["files"].update({name: {"bytes": 0, "sha256": ""}})


MANIFESTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    **{
        f"file {n!r}": renamed(n)
        for n in ("../../x.pt", "/etc/passwd", "..", "", "a/b.pt", "a\0.pt", "a.pt\n")
    },
    "no files": lambda manifest: manifest.update(files={}),
    "no weights": lambda manifest: manifest["files"].pop("model.safetensors"),
    "no state": lambda manifest: manifest["files"].pop("trainer.pt"),
    "facts of another kind": lambda manifest: manifest["files"].update({"trainer.pt": 3}),
    "no checksum": lambda manifest: manifest["files"]["trainer.pt"].pop("sha256"),
    "size of another kind": lambda manifest: manifest["files"]["trainer.pt"].update(bytes=True),
    "order of another kind": lambda manifest: manifest.update(sequence="9"),
}


@pytest.mark.parametrize("trick", MANIFESTS)
def test_a_tricky_manifest_is_refused(tmp_path: Path, trick: str) -> None:
    folder = with_saved(tmp_path, 1, 2)
    change_manifest(folder.path / "step-00000002", MANIFESTS[trick])
    said: list[str] = []
    assert step_in(folder.newest(said.append)) == 1
    assert len(said) == 1


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
@pytest.mark.parametrize("name", ["trainer.pt", MANIFEST])
def test_only_plain_files_are_read(tmp_path: Path, kind: str, name: str) -> None:
    folder = with_saved(tmp_path, 1, 2)
    path = folder.path / "step-00000002" / name
    path.rename(tmp_path / "elsewhere")
    match kind:
        case "link":
            path.symlink_to(tmp_path / "elsewhere")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
    if name != MANIFEST:
        change_manifest(
            path.parent, lambda manifest: manifest["files"][name].update(bytes=path.lstat().st_size)
        )
    assert step_in(folder.newest()) == 1


def plant(folder: CheckpointFolder, name: str, data: bytes) -> Checkpoint:
    """A checkpoint with a file of somebody else's and a manifest that vouches for it."""
    path = folder.newest(silent).path
    (path / name).write_bytes(data)
    facts = {"bytes": len(data), "sha256": checkpoints._sha256(path / name)}
    change_manifest(path, lambda manifest: manifest["files"].update({name: facts}))
    found = folder.newest(silent)
    assert found.path == path
    return found


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.sentinel}",)


def packed(tmp_path: Path, payload: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive laid out as torch.save lays it out, around a pickle of our own."""
    path = tmp_path / "made.pt"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", payload)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")
    return path.read_bytes()


def assert_one_sentence(caught: pytest.ExceptionInfo[UserError], path: Path) -> None:
    (sentence,) = caught.value.lines
    assert str(path) in sentence
    assert "weights_only" not in sentence  # torch's own advice is to load it unsafely
    assert sentence.isprintable()


@pytest.mark.parametrize("form", ["archive", "bare", "legacy"])
def test_code_in_a_state_is_never_run(tmp_path: Path, form: str) -> None:
    sentinel = tmp_path / "sentinel"
    code = pickle.dumps({"progress": Payload(sentinel)}, protocol=2)
    pickle.loads(code)
    assert sentinel.exists()  # it does run where it may
    sentinel.unlink()
    if form == "legacy":
        torch.save({"progress": Payload(sentinel)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
        code = (tmp_path / "old.pt").read_bytes()
    data = packed(tmp_path, code) if form == "archive" else code
    planted = plant(with_saved(tmp_path, 1), "trainer.pt", data)
    with pytest.raises(UserError) as caught:
        planted.trainer()
    assert not sentinel.exists()
    assert_one_sentence(caught, planted.path / "trainer.pt")


def test_an_archive_that_unpacks_to_more_than_itself_is_refused(tmp_path: Path) -> None:
    bomb = packed(tmp_path, pickle.dumps(bytes(1 << 26), protocol=2), zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1 << 20
    planted = plant(with_saved(tmp_path, 1), "trainer.pt", bomb)
    with pytest.raises(UserError) as caught:
        planted.trainer()
    assert "compressed" in str(caught.value.__cause__)


STATES = {
    "empty": b"",
    "noise": os.urandom(500),
    "half an archive": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("kind", [*STATES, "list", "huge tensor"])
def test_a_state_that_is_none_is_one_sentence(tmp_path: Path, kind: str) -> None:
    data = STATES.get(kind)
    if kind == "list":
        torch.save([1, 2], tmp_path / "list.pt")
        data = (tmp_path / "list.pt").read_bytes()
    if kind == "huge tensor":
        torch.save({"a": torch.zeros(4)}, tmp_path / "good.pt")
        good = (tmp_path / "good.pt").read_bytes()
        data = good.replace(b"K\x04\x85", b"K\xf0\x85")  # a size that its storage does not have
        assert data != good
    planted = plant(with_saved(tmp_path, 1), "trainer.pt", data or b"")
    with pytest.raises(UserError) as caught:
        planted.trainer()
    assert_one_sentence(caught, planted.path / "trainer.pt")


def header(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


WEIGHTS = {
    "empty": b"",
    "header beyond the file": header(b"{}", 1 << 62),
    "header of 2^64": b"\xff" * 8 + b"{}",
    "no JSON": header(b"\x00" * 50),
    "deep": header(b'{"a":' * 20_000),
    "data beyond the file": header(b'{"w":{"dtype":"F32","shape":[1000000],"data_offsets":[0,4000000]}}'),
    "sizes that wrap around": header(
        b'{"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}'
    ),
    "overlapping": header(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    )
    + bytes(4),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_that_are_none_are_one_sentence(tmp_path: Path, kind: str) -> None:
    planted = plant(with_saved(tmp_path, 1), "model.safetensors", WEIGHTS[kind])
    with pytest.raises(UserError) as caught:
        planted.weights()
    assert_one_sentence(caught, planted.path / "model.safetensors")
