"""Checkpoints: written whole or not at all, checked before they are trusted.

A checkpoint is a folder ``step-00001200/`` and exists when its manifest does. It is written under a
temporary name, synced, renamed to a name never used before, and its manifest, with sizes and SHA-256 of
every file, comes last. Nothing that exists is changed; older ones go only after the new one is in place.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import time
import traceback
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dlcore.atomic import fsync_dir, write_atomic
from dlcore.errors import UserError
from dlcore.training.parted import whole

MANIFEST = "manifest.json"
_NEEDED = {"model.safetensors", "trainer.pt"}
_FILE = re.compile(r"\w+\.(safetensors|pt)")
_MANIFEST_BYTES = 1 << 20
_FOLDER = re.compile(r"step-\d{8,}(\.\d+)?$")
_TEMPORARY = ".new-"


@dataclass(frozen=True)
class Snapshot:
    """One moment of a training, in host memory, independent of the live tensors.

    Attributes:
        weights: file stem to tensors: ``model`` and, where an average is kept, ``ema``.
        trainer: everything else a resume needs; tensors and plain data only.
        facts: what the manifest says: step, epoch, batch, monitor, value, best.
    """

    weights: dict[str, dict[str, Tensor]]
    trainer: dict[str, Any]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk."""

    path: Path
    manifest: dict[str, Any]

    @property
    def order(self) -> int:
        """Later written is greater."""
        return int(self.manifest["sequence"])

    @property
    def best(self) -> bool:
        """Whether it held the best monitored value when it was written."""
        return bool(self.manifest.get("best"))

    def weights(self, *, averaged: bool = True, device: str = "cpu") -> dict[str, Tensor]:
        """The weights to use: the averaged ones where there are any, else the raw ones.

        Raises:
            UserError: the file is not one that dltui wrote.
        """
        name = (
            "ema.safetensors"
            if averaged and "ema.safetensors" in self.manifest["files"]
            else "model.safetensors"
        )
        try:
            return load_file(self.path / name, device=device)
        except Exception as error:
            raise self._refused(name) from error

    def trainer(self) -> dict[str, Any]:
        """The rest of the state; only tensors and plain data are accepted from the file.

        Raises:
            UserError: the file is not one that dltui wrote; nothing in it was run.
        """
        path = self.path / "trainer.pt"
        try:
            _require_stored(path)
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # a crafted file makes the reader raise anything
            raise self._refused(path.name) from error
        if not isinstance(state, dict):
            raise self._refused(path.name)
        return state

    def _refused(self, name: str) -> UserError:
        return UserError(
            f"{self.path / name} holds something else than the state of a training; nothing of it was used. "
            f"Remove the folder {self.path.name} to go on from an older checkpoint."
        )

    def damage(self) -> str:
        """Why it cannot be trusted, or an empty string. Reads every file."""
        for name, facts in self.manifest["files"].items():
            try:
                status = (self.path / name).lstat()
                if not stat.S_ISREG(status.st_mode):
                    return f"{name} is not a plain file"
                if status.st_size != facts["bytes"]:
                    return f"{name} has not the size its manifest says"
                if _sha256(self.path / name) != facts["sha256"]:
                    return f"{name} does not match its checksum"
            except OSError as error:
                return f"{name} cannot be read ({error.strerror})"
        return ""


class CheckpointFolder:
    """The checkpoints of one run.

    Args:
        path: the run's ``checkpoints`` folder.
        keep: how many of the newest stay, besides the best.
    """

    def __init__(self, path: Path, keep: int = 2) -> None:
        self.path, self.keep = path, keep
        self._last = 0  # remembered, so that a manifest that cannot be read for once does not count backwards

    def all(self) -> list[Checkpoint]:
        """Every finished checkpoint, oldest first; damaged manifests are passed over."""
        found = []
        for folder in self.path.glob("step-*"):
            manifest = _read_manifest(folder)
            if manifest is not None:
                found.append(Checkpoint(folder, manifest))
        self._last = max(self._last, *(checkpoint.order for checkpoint in found), 0)
        return sorted(found, key=lambda checkpoint: checkpoint.order)

    def newest(self, report: Callable[[str], None] = lambda _: None) -> Checkpoint | None:
        """The newest one that is whole; damaged ones are reported and passed over."""
        for folder in self.path.glob("step-*"):
            if (folder / MANIFEST).exists() and _read_manifest(folder) is None:
                report(f"Checkpoint {folder.name} is damaged ({MANIFEST} is unreadable) and passed over.")
        for checkpoint in reversed(self.all()):
            damage = checkpoint.damage()
            if not damage:
                return checkpoint
            report(f"Checkpoint {checkpoint.path.name} is damaged ({damage}) and passed over.")
        return None

    def best(self) -> Checkpoint | None:
        """The newest one marked best that is whole."""
        whole = (c for c in reversed(self.all()) if c.best and not c.damage())
        return next(whole, None)

    def write(self, snapshot: Snapshot) -> Checkpoint:
        """Write a new checkpoint, then remove those no longer needed.

        Raises:
            OSError: it could not be written; what was there before is untouched and nothing is left over.
        """
        self.path.mkdir(mode=0o700, exist_ok=True)
        self._sweep()
        self.all()  # brings the last number up to date
        sequence = self._last + 1
        temporary = self.path / f"{_TEMPORARY}{sequence}"
        final = self._free_name(snapshot.facts["step"])
        try:
            temporary.mkdir(mode=0o700)
            for stem, tensors in snapshot.weights.items():
                dense = {name: tensor.contiguous() for name, tensor in tensors.items()}
                _write_synced(temporary / f"{stem}.safetensors", partial(save_file, dense))
            _write_synced(temporary / "trainer.pt", partial(torch.save, snapshot.trainer))
            files = {
                p.name: {"bytes": p.stat().st_size, "sha256": _sha256(p)} for p in sorted(temporary.iterdir())
            }
            fsync_dir(temporary)
            temporary.rename(final)
            fsync_dir(self.path)
            manifest = {"sequence": sequence, "written": time.time(), **snapshot.facts, "files": files}
            write_atomic(final / MANIFEST, json.dumps(manifest, indent=1).encode())
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            if _read_manifest(final) is None:
                shutil.rmtree(final, ignore_errors=True)
            raise
        self._thin_out()
        return Checkpoint(final, manifest)

    def _free_name(self, step: int) -> Path:
        name = f"step-{step:08d}"
        suffix = 0
        while (path := self.path / (f"{name}.{suffix}" if suffix else name)).exists():
            suffix += 1
        return path

    def _sweep(self) -> None:
        """Remove what an interrupted write left: it has no manifest, so it never existed."""
        for folder in self.path.iterdir():
            unfinished = _FOLDER.match(folder.name) and not (folder / MANIFEST).exists()
            if folder.name.startswith(_TEMPORARY) or unfinished:
                shutil.rmtree(folder, ignore_errors=True)

    def _thin_out(self) -> None:
        """Keep the newest ``keep`` and the newest best of those that can be read.

        A manifest goes first, so that a half-removed checkpoint is none.
        """
        everything = self.all()
        needed = {c.path for c in everything[-self.keep :]}
        needed |= {c.path for c in [c for c in everything if c.best][-1:]}
        for checkpoint in everything:
            if checkpoint.path not in needed:
                with contextlib.suppress(OSError):  # too many are kept until the next time
                    (checkpoint.path / MANIFEST).unlink()
                    shutil.rmtree(checkpoint.path, ignore_errors=True)


class CheckpointWriter:
    """Writes snapshots beside the training: one at a time, the next waits for the last.

    Args:
        folder: where to.
        warn: told, in one sentence, when a checkpoint could not be written.
        retries: how often a failed write is tried again, each after twice the pause.
    """

    def __init__(self, folder: CheckpointFolder, warn: Callable[[str], None], retries: int = 3) -> None:
        self.folder, self._warn, self._retries = folder, warn, retries
        self._thread: Thread | None = None

    def submit(self, snapshot: Snapshot, done: Callable[[Checkpoint | None, float], None]) -> None:
        """Start writing; ``done`` gets, in the writer's thread, the checkpoint (None: not written) and the seconds."""
        self.wait()

        def work() -> None:
            start = time.perf_counter()
            checkpoint = self._write(snapshot)
            done(checkpoint, time.perf_counter() - start)

        self._thread = Thread(target=work, name="checkpoint-writer")
        self._thread.start()

    def wait(self) -> None:
        """Return when nothing is being written."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _write(self, snapshot: Snapshot) -> Checkpoint | None:
        for attempt in range(self._retries + 1):
            try:
                return self.folder.write(snapshot)
            except (OSError, SafetensorError, RuntimeError) as error:  # three names of a full disk
                reason = str(error)
            except Exception as error:  # a state that cannot be written must not end the training either
                traceback.print_exc()
                reason = f"{type(error).__name__}: {error}"
            if attempt < self._retries:
                time.sleep(0.05 * 2**attempt)
        self._warn(
            f"The checkpoint of step {snapshot.facts['step']:,} could not be written to {self.folder.path} "
            f"({reason.partition(chr(10))[0]}): {_size_of(snapshot):,} bytes needed, "
            f"{_free(self.folder.path)} free. The older ones are intact and training goes on."
        )
        return None


def require_space(path: Path, needed: int) -> None:
    """Refuse to start where two checkpoints would not fit.

    Args:
        needed: bytes of one checkpoint.

    Raises:
        UserError: naming the path, the bytes needed and the bytes free.
    """
    free = shutil.disk_usage(path).free
    if free < 2 * needed:
        raise UserError(
            f"{path} has {free:,} bytes free, but two checkpoints of this run need {2 * needed:,}; "
            "free some space or choose another folder with --runs."
        )


def _free(folder: Path) -> str:
    """Bytes free on a folder's device, to be shown; the folder may be gone."""
    try:
        return f"{shutil.disk_usage(folder.parent).free:,}"
    except OSError:
        return "none"


def to_host(value: Any) -> Any:
    """A copy of nested state whose tensors are whole, live in host memory and share nothing with the live ones."""
    if isinstance(value, Tensor):
        detached = whole(value.detach())
        return detached.clone() if detached.device.type == "cpu" else detached.cpu()
    if isinstance(value, dict):
        return {key: to_host(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(to_host(item) for item in value)
    return value


def _write_synced(path: Path, write: Callable[[Path], None]) -> None:
    write(path)
    path.chmod(0o600)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    """A manifest as `CheckpointFolder.write` makes them, else None; it may have been made to harm."""
    path = folder / MANIFEST
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MANIFEST_BYTES:
            return None
        manifest = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(manifest, dict) or type(manifest.get("sequence")) is not int:
        return None
    files = manifest.get("files")
    if not isinstance(files, dict) or not files.keys() >= _NEEDED:
        return None
    good = all(_FILE.fullmatch(name) and _are_facts(facts) for name, facts in files.items())
    return manifest if good else None


def _are_facts(facts: object) -> bool:
    return isinstance(facts, dict) and type(facts.get("bytes")) is int and type(facts.get("sha256")) is str


def _require_stored(path: Path) -> None:
    """Refuse an archive whose members are larger than itself: torch.save compresses nothing.

    Raises:
        ValueError, OSError, zipfile.BadZipFile: it is none of torch's.
    """
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
            raise ValueError("compressed members")


def _size_of(snapshot: Snapshot) -> int:
    weights = sum(t.nbytes for tensors in snapshot.weights.values() for t in tensors.values())
    return weights + tensor_bytes(snapshot.trainer)


def tensor_bytes(value: Any) -> int:
    """Bytes of every tensor in nested state."""
    if isinstance(value, Tensor):
        return value.nbytes
    if isinstance(value, dict):
        return sum(tensor_bytes(item) for item in value.values())
    if isinstance(value, list | tuple):
        return sum(tensor_bytes(item) for item in value)
    return 0
