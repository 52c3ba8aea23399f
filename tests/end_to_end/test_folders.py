"""Folders that cannot be written, or go away: said at once, before anything slow."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dlcore.run_dir import RunDir
from tests.end_to_end.processes import Server, await_event, events, toy

BAD_INPUT = 2


def a_file(folder: Path) -> Path:
    (folder / "runs").write_text("")
    return folder / "runs"


def below_a_file(folder: Path) -> Path:
    return a_file(folder) / "deeper" / "runs"


def below_proc(folder: Path) -> Path:
    if not Path("/proc/self").exists():
        pytest.skip("needs /proc")
    return Path("/proc/runs")


def forbidden(folder: Path) -> Path:
    if os.getuid() == 0:
        pytest.skip("nothing is forbidden to root")
    (folder / "runs").mkdir(mode=0o500)
    return folder / "runs"


def a_loop(folder: Path) -> Path:
    (folder / "runs").symlink_to(folder / "runs")
    return folder / "runs"


def too_long(folder: Path) -> Path:
    return folder / ("x" * 300)


PLACES = [a_file, below_a_file, below_proc, forbidden, a_loop, too_long]

NO_DATA = """
from dlcore import assembly
def build(*args):
    open("data was loaded", "w").close()
    raise SystemExit(9)
assembly.build = build

from dlcore import preset
real = preset.load
def load(*args, builders):
    if builders:
        open("torch was loaded", "w").close()
    return real(*args, builders=builders)
preset.load = load
"""


@pytest.mark.parametrize("detach", [False, True], ids=["foreground", "detached"])
@pytest.mark.parametrize("place", PLACES)
def test_a_runs_folder_that_cannot_be_written_is_refused_before_data_is_loaded(
    server: Server, tmp_path: Path, place: Callable[[Path], Path], detach: bool
) -> None:
    runs = place(tmp_path)
    more = ["--detach"] if detach else []
    code, out, errors = server.dltui(
        "run", toy(tmp_path), "--runs", runs, *more, prelude=NO_DATA, folder=tmp_path
    )
    assert (code, out) == (BAD_INPUT, ""), errors
    assert errors.count("\n") == 1
    assert "--runs" in errors
    assert not (tmp_path / "data was loaded").exists()
    looks_free = place in (a_loop, too_long)  # until it is made
    assert looks_free or not (tmp_path / "torch was loaded").exists()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a file system here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


def test_a_read_only_file_system_is_refused(server: Server, tmp_path: Path, disk: Path) -> None:
    make_read_only(disk)
    code, out, errors = server.dltui("run", toy(tmp_path), "--runs", disk / "runs", prelude=NO_DATA)
    assert (code, out) == (BAD_INPUT, "")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("verb", ["resume", "rm --yes", "ls", "show"])
def test_a_run_on_a_read_only_file_system(server: Server, tmp_path: Path, disk: Path, verb: str) -> None:
    preset = toy(tmp_path, epochs=2)
    assert server.dltui("run", preset, "--runs", disk, "--name", "x", "--quiet")[0] == 0
    make_read_only(disk)
    name, *more = verb.split()
    sets = ["--set", "training.epochs=9"] if name == "resume" else []
    target = ["--runs", disk] if name == "ls" else [disk / "x"]
    code, out, errors = server.dltui(name, *target, *more, *sets, prelude=NO_DATA)
    if name in ("ls", "show"):
        assert (code, errors) == (0, "")
        assert "finished" in out
    else:
        assert (code, out) == (BAD_INPUT, ""), errors
        assert errors.count("\n") == 1
        assert "Traceback" not in errors


def test_a_run_that_is_deleted_under_a_training_does_not_crash_it(
    server: Server, runs: Path, tmp_path: Path
) -> None:
    process = server.start("run", toy(tmp_path, epochs=12), "--runs", runs, "--name", "x", "--quiet")
    await_event(RunDir(runs / "x"), "epoch", epoch=2)
    (runs / "x").rename(tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone", ignore_errors=True)  # it may still be written to
    assert process.wait() == 1  # it went on to its end, but nothing of it is kept
    assert "Traceback" not in "".join(process.output)


def test_the_folder_it_was_started_in_may_be_gone(server: Server, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    preset = toy(tmp_path, epochs=3)
    assert (
        server.dltui("run", preset, "--runs", runs, "--name", "x", "--quiet", folder=tmp_path / "here")[0]
        == 0
    )
    (tmp_path / "here").rmdir()
    code, _, errors = server.dltui("resume", runs / "x", "--set", "training.epochs=4", "--quiet")
    assert code == 0, errors
    assert events(RunDir(runs / "x"), "epoch")[-1]["epoch"] == 4


def test_a_disk_without_room_for_two_checkpoints_is_refused(
    server: Server, tmp_path: Path, disk: Path
) -> None:
    preset = toy(tmp_path)
    preset.write_text(preset.read_text().replace("[16, 16]", "[600, 600]"))
    code, out, errors = server.dltui("run", preset, "--runs", disk, "--quiet")
    assert (code, out) == (BAD_INPUT, "")
    assert str(disk) in errors
    assert re.search(r"[\d,]+ bytes free, but two checkpoints of this run need [\d,]+", errors)
    assert errors.count("\n") == 1
    assert list(disk.iterdir()) == []
