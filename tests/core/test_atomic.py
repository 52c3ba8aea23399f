from __future__ import annotations

import errno
from pathlib import Path

import pytest

from dlcore import atomic
from dlcore.atomic import sweep, write_atomic
from tests.core.support import largest_file, names_in

MEGABYTE = 1 << 20


@pytest.mark.parametrize("durable", [True, False])
def test_content_and_mode(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old", durable=durable)
    write_atomic(path, b"new", durable=durable)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names_in(tmp_path) == ["file"]


def test_full_disk_leaves_the_old_file_and_no_temporary(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with largest_file(MEGABYTE), pytest.raises(OSError) as caught:
        write_atomic(path, bytes(2 * MEGABYTE))
    assert str(caught.value) == f"[Errno 27] File too large: '{path}'"
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["flush", "write_all", "rename"])
def test_failure_at_any_step_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(*((Path, "rename") if step == "rename" else (atomic, step)), fail)
    with pytest.raises(OSError):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["file"]


def test_content_is_on_the_disk_before_it_takes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []
    real_flush, real_rename, real_folder = atomic.flush, Path.rename, atomic.fsync_dir
    monkeypatch.setattr(atomic, "flush", lambda fd: (order.append("flush"), real_flush(fd)))
    monkeypatch.setattr(Path, "rename", lambda a, b: (order.append("rename"), real_rename(a, b)))
    monkeypatch.setattr(atomic, "fsync_dir", lambda path: (order.append("folder"), real_folder(path)))
    write_atomic(tmp_path / "file", b"data")
    assert order == ["flush", "rename", "folder"]


def test_missing_folder_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing/file"):
        write_atomic(tmp_path / "missing" / "file", b"")


def test_sweep_removes_temporaries_and_nothing_else(tmp_path: Path) -> None:
    for name in (".state.json.12-ab.tmp", "state.json", "notes.tmp", ".hidden"):
        (tmp_path / name).touch()
    assert sweep(tmp_path) == 1
    assert names_in(tmp_path) == [".hidden", "notes.tmp", "state.json"]
