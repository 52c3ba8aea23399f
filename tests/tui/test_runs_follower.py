"""Following a whole folder: every change is told once, and a look costs what changed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from dlcore.run_dir import RunDir
from tests.tui.recorded import make_run
from tui import runs_follower
from tui.messages import RunsChanged, TrendsChanged
from tui.runs_follower import RunsFollower


@pytest.fixture
def follower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunsFollower:
    monkeypatch.setattr(runs_follower, "INTERVAL", 0.0)  # each look asks the runs out of sight, too
    return RunsFollower(lambda _: None, tmp_path, trend_width=8)


def names(follower: RunsFollower) -> list[str]:
    message = follower.look()
    assert isinstance(message, RunsChanged)
    return [run.name for run in message.runs]


def rewrite(run: RunDir, **changes: object) -> None:
    state = json.loads(run.state_path.read_text())
    run.write_state(state | changes)


def test_an_empty_folder_is_told_once(follower: RunsFollower) -> None:
    assert names(follower) == []
    assert follower.look() is None


def test_a_missing_folder_is_an_empty_one_until_it_comes(tmp_path: Path) -> None:
    follower = RunsFollower(lambda _: None, tmp_path / "none", trend_width=8)
    assert names(follower) == []
    make_run(tmp_path / "none", "first")
    assert names(follower) == ["first"]


def test_newest_first_and_nothing_twice(follower: RunsFollower, tmp_path: Path) -> None:
    for number in range(3):
        make_run(tmp_path, f"run-{number}", started=1e9 + number)
    assert names(follower) == ["run-2", "run-1", "run-0"]
    assert follower.look() is None


def test_runs_come_and_go(follower: RunsFollower, tmp_path: Path) -> None:
    make_run(tmp_path, "old", started=1e9)
    assert names(follower) == ["old"]
    new = make_run(tmp_path, "new", started=2e9)
    assert names(follower) == ["new", "old"]
    shutil.rmtree(new.path)
    assert names(follower) == ["old"]


def test_a_folder_becomes_a_run_when_its_files_come(follower: RunsFollower, tmp_path: Path) -> None:
    (tmp_path / "soon").mkdir()
    assert names(follower) == []
    RunDir(tmp_path / "soon").write_json_atomic("state.json", {"status": "finished"})
    assert names(follower) == ["soon"]


def test_only_what_changed_is_a_new_object(follower: RunsFollower, tmp_path: Path) -> None:
    one, _ = make_run(tmp_path, "one", started=2e9), make_run(tmp_path, "two", started=1e9)
    first = follower.look()
    rewrite(one, epoch=9)
    second = follower.look()
    assert isinstance(first, RunsChanged) and isinstance(second, RunsChanged)
    assert second.runs[0].epoch == 9
    assert second.runs[1] is first.runs[1]


def test_a_run_that_dies_is_noticed_without_a_write(follower: RunsFollower, tmp_path: Path) -> None:
    run = make_run(tmp_path, status="running")
    with run.lock():
        message = follower.look()
        assert isinstance(message, RunsChanged) and message.runs[0].status == "running"
    message = follower.look()
    assert isinstance(message, RunsChanged) and message.runs[0].status == "died"
    assert follower.look() is None


def test_broken_runs_hide_nobody(follower: RunsFollower, tmp_path: Path) -> None:
    make_run(tmp_path, "good", started=2e9)
    torn = make_run(tmp_path, "torn", started=1e9)
    torn.state_path.write_bytes(b"{")
    (tmp_path / "a-file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(make_run(tmp_path, "fifo", started=5e8).path / "planted")
    assert names(follower) == ["good", "torn", "fifo"]


def test_a_large_folder_shows_its_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_follower, "FIRST", 2)
    follower = RunsFollower(lambda _: None, tmp_path, trend_width=8)
    for number in range(5):
        make_run(tmp_path, f"run-{number}", started=1e9 + number)
    assert names(follower) == ["run-4", "run-3"]
    assert follower.rest() == 0
    assert len(names(follower)) == 5


def test_trends_are_made_for_what_is_in_sight(follower: RunsFollower, tmp_path: Path) -> None:
    seen, _ = make_run(tmp_path, "seen", epochs=20), make_run(tmp_path, "unseen")
    assert len(names(follower)) == 2
    follower.in_sight = (seen.path,)
    assert follower.rest() == 0
    message = follower.look()
    assert isinstance(message, TrendsChanged)
    assert list(message.trends) == [seen.path]
    assert len(message.trends[seen.path]) == 8
    assert follower.look() is None


def test_a_run_without_curves_has_no_trend(follower: RunsFollower, tmp_path: Path) -> None:
    run = make_run(tmp_path, status="died", done=0)
    names(follower)
    follower.in_sight = (run.path, tmp_path / "gone")
    message = follower.look()
    assert isinstance(message, TrendsChanged) and message.trends == {run.path: ""}
    assert follower.look() is None
