"""Threads behind the console, the samples and the gauges: what they read, and what they make of bad files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest

from dlcore.gauges import GaugeReader, Host, Reading
from tests.tui.recorded import make_run
from tui import log_follower
from tui.folder_follower import FolderFollower, FolderRead
from tui.gauge_follower import GaugeFollower, GaugesRead
from tui.log_follower import LogFollower, LogGrew, shown


def ignore(message: object) -> None:
    pass


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "worker.log"


def look(follower: LogFollower) -> tuple[tuple[str, ...], bool] | None:
    message = follower.look()
    if message is None:
        return None
    assert isinstance(message, LogGrew)
    return message.lines, message.anew


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_a_log_that_is_not_there_yet_is_told_once_as_empty(log: Path) -> None:
    follower = LogFollower(ignore, log)
    assert look(follower) == ((), True)
    assert look(follower) is None
    append(log, "first\n")
    assert look(follower) == (("first",), True)


def test_only_whole_lines_and_only_new_ones(log: Path) -> None:
    append(log, "one\ntwo\nthr")
    follower = LogFollower(ignore, log)
    assert look(follower) == (("one", "two"), True)
    assert look(follower) is None
    append(log, "ee\nfour\n")
    assert look(follower) == (("three", "four"), False)


def test_a_long_log_is_read_from_near_its_end(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_follower, "MOST_BYTES", 100)
    append(log, "".join(f"line {number}\n" for number in range(1000)))
    lines, anew = look(LogFollower(ignore, log)) or ((), False)
    assert anew and lines[-1] == "line 999" and len(lines) <= 12 and lines[0].startswith("line ")


def test_a_flood_between_two_looks_begins_anew(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_follower, "MOST_BYTES", 100)
    append(log, "begin\n")
    follower = LogFollower(ignore, log)
    follower.look()
    append(log, "".join(f"line {number}\n" for number in range(1000)))
    lines, anew = look(follower) or ((), False)
    assert anew and lines[-1] == "line 999"
    append(log, "after\n")
    assert look(follower) == (("after",), False)


def test_a_log_that_lost_its_middle_is_read_anew(log: Path) -> None:
    append(log, "one\ntwo\nthree\n")
    follower = LogFollower(ignore, log)
    follower.look()
    log.write_text("one\nlast\n")
    assert look(follower) == (("one", "last"), True)


def test_a_line_without_an_end_cannot_fill_the_memory(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_follower, "MOST_BYTES", 100)
    follower = LogFollower(ignore, log)
    for _ in range(50):
        append(log, "x" * 90)
        follower.look()
    assert len(follower._rest) <= 200


def test_a_planted_pipe_hangs_nobody(log: Path) -> None:
    os.mkfifo(log)
    assert look(LogFollower(ignore, log)) == ((), True)


def test_lines_as_a_terminal_would_leave_them() -> None:
    assert shown(b"10 %\r50 %\r100 %\r\n".rstrip(b"\n")) == "100 %"
    assert shown(b"\x1b[1;32mok\x1b[0m done") == "ok done"
    assert shown(b"\x1b]0;owned\x07") == "\\x1b]0;owned\\x07"
    assert shown(b"\xff\x80") == "\\xff\\x80"
    assert len(shown(b"y" * 10_000)) == 500


# Files of JSON.


def folder_read(follower: FolderFollower) -> FolderRead | None:
    message = follower.look()
    assert message is None or isinstance(message, FolderRead)
    return message


def pair(content: Any, about: Any) -> Any:
    return content, about


def test_the_newest_file_is_shown_until_another_is_chosen(tmp_path: Path) -> None:
    run = make_run(tmp_path, status="finished")
    follower = FolderFollower(ignore, run, run.samples_path, pair)
    first = folder_read(follower)
    assert first is not None and (first.names, first.name, first.content) == ((), "", None)
    assert folder_read(follower) is None
    for step in (10, 20):
        (run.samples_path / f"step-{step:08d}.json").write_text(json.dumps({"step": step}))
    newest = folder_read(follower)
    assert newest is not None and newest.content[0] == {"step": 20}
    assert newest.content[1]["preset"] == "digits-cnn"
    follower.choose("step-00000010.json")
    older = folder_read(follower)
    assert older is not None and older.content[0] == {"step": 10}
    (run.samples_path / "step-00000030.json").write_text("{}")
    still = folder_read(follower)
    assert still is not None and (still.name, len(still.names)) == ("step-00000010.json", 3)
    follower.choose("")
    last = folder_read(follower)
    assert last is not None and last.name == "step-00000030.json"


@pytest.mark.parametrize("text", ["", "{", "\xff", "[" * 100_000])
def test_a_damaged_file_is_named_without_content(tmp_path: Path, text: str) -> None:
    run = make_run(tmp_path, status="finished")
    (run.samples_path / "step-1.json").write_bytes(text.encode("latin-1"))
    found = folder_read(FolderFollower(ignore, run, run.samples_path, pair))
    assert found is not None and (found.name, found.content) == ("step-1.json", None)


def test_an_enormous_file_is_not_read(tmp_path: Path) -> None:
    run = make_run(tmp_path, status="finished")
    with (run.samples_path / "step-1.json").open("wb") as file:
        file.truncate(1 << 30)
    found = folder_read(FolderFollower(ignore, run, run.samples_path, pair))
    assert found is not None and found.content is None


# The machine.


class FixedHost:
    """Remembers whose share it was asked for."""

    pid: int | None = -1

    def read(self, pid: int | None, folder: Path) -> tuple[Host, frozenset[int]]:
        self.pid = pid
        return Host(cpu=0.5), frozenset()


class NoGpus:
    def read(self, pids: frozenset[int]) -> list[Any]:
        return []


def test_the_worker_s_share_is_asked_for_while_it_holds_the_run(tmp_path: Path) -> None:
    run, host = make_run(tmp_path, status="running"), FixedHost()
    follower = GaugeFollower(ignore, GaugeReader(NoGpus, lambda: host), run)
    with run.lock():
        message = follower.look()
        assert isinstance(message, GaugesRead) and message.reading == Reading(Host(cpu=0.5))
        assert host.pid == os.getpid()
    assert follower.look() is None  # too soon
    GaugeFollower(ignore, GaugeReader(NoGpus, lambda: host), run).look()
    assert host.pid is None


def test_figures_of_another_machine_are_not_made_up(tmp_path: Path) -> None:
    run, host = make_run(tmp_path, status="running"), FixedHost()
    follower = GaugeFollower(ignore, GaugeReader(NoGpus, lambda: host), run)
    with run.lock():
        said = json.loads(run.lock_path.read_text().splitlines()[0])
        assert said["host"] == gethostname()
        run.lock_path.write_text(json.dumps(said | {"host": "far-away"}) + "\n")
        message = follower.look()
    assert isinstance(message, GaugesRead) and message.host == "far-away"
    assert (host.pid, message.reading) == (-1, Reading())
