"""Following one run: posts what changed and nothing else, survives what a directory may hold."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import numpy as np
import pytest
from textual.message import Message

from dlcore.run_dir import RunDir
from dlcore.series import SeriesWriter
from tests.tui.recorded import make_run, write_events
from tui.follow import LONGEST, Follower, RunFollower, pause
from tui.messages import RunChanged


def follower_of(run: RunDir | Path) -> RunFollower:
    return RunFollower(lambda _: None, run)


def seen(follower: RunFollower) -> RunChanged:
    message = follower.look()
    assert isinstance(message, RunChanged)
    return message


def test_the_first_look_tells_everything(tmp_path: Path) -> None:
    run = make_run(tmp_path, status="finished", epochs=4)
    view = seen(follower_of(run)).view
    assert (view.status, view.over, view.state.epoch) == ("finished", True, 4)
    assert len(view.curves["val/loss"].step) == 4
    assert view.curves["train/loss"].value.shape == view.curves["train/loss"].time.shape == (4 * 23,)


def test_nothing_is_told_twice(tmp_path: Path) -> None:
    follower = follower_of(make_run(tmp_path))
    assert follower.look() is not None
    assert follower.look() is None


def test_new_records_replace_only_their_own_curve(tmp_path: Path) -> None:
    run = make_run(tmp_path, status="died", epochs=4, done=2)
    follower = follower_of(run)
    before = seen(follower).view
    writer = SeriesWriter(run.metrics_path)
    writer.append("val/loss", 69, 1.0, 0.5)
    writer.close()
    after = seen(follower).view
    assert after.curves["val/loss"].value[-1] == 0.5
    assert after.curves["train/loss"] is before.curves["train/loss"]
    assert len(before.curves["val/loss"].step) == 2, "what was handed out does not change"


def test_a_series_that_begins_later_is_found(tmp_path: Path) -> None:
    run = make_run(tmp_path, status="died", done=0)
    follower = follower_of(run)
    assert seen(follower).view.curves == {}
    writer = SeriesWriter(run.metrics_path)
    writer.append("train/loss", np.arange(1, 4), np.arange(3.0), np.ones(3))
    writer.close()
    assert list(seen(follower).view.curves) == ["train/loss"]


def test_events_and_the_lock_change_the_status(tmp_path: Path) -> None:
    run = make_run(tmp_path, status="running")
    follower = follower_of(run)
    with run.lock():
        assert seen(follower).view.status == "running"
        write_events(run, [{"seq": 99, "time": 1.0, "event": "paused"}])
        assert seen(follower).view.status == "paused"
    view = seen(follower).view
    assert (view.status, view.over) == ("died", True)


@pytest.mark.parametrize("damage", ["events.jsonl", "state.json", "metrics/train.loss"])
def test_damaged_files_leave_the_rest_readable(tmp_path: Path, damage: str) -> None:
    run = make_run(tmp_path, epochs=4)
    (run.path / damage).write_bytes(b'\xff\x00{"seq":' * 400)
    assert "val/loss" in seen(follower_of(run)).view.curves


def test_a_folder_without_a_run_is_followed_until_there_is_one(tmp_path: Path) -> None:
    follower = follower_of(tmp_path / "later")
    assert seen(follower).view.curves == {}
    make_run(tmp_path, "later")
    assert seen(follower).view.status == "finished"


class Scripted(Follower):
    """Posts what a test puts in; None is a look that fails."""

    def __init__(self) -> None:
        super().__init__(self.take)
        self.looks: queue.Queue[RunChanged | None] = queue.Queue()
        self.posted: queue.Queue[object] = queue.Queue()

    def take(self, message: object) -> None:
        self.posted.put(message)

    def look(self) -> RunChanged | None:
        found = self.looks.get(timeout=20)
        if found is None:
            raise OSError("the disk is gone")
        return found

    def rest(self) -> float:
        return 0.0


def test_a_costly_look_is_followed_by_rest_but_news_are_never_far() -> None:
    assert pause(0.25, 0.001) == 0.25
    assert pause(0.25, 0.05) == pytest.approx(1.0)
    assert pause(0.25, 60.0) == LONGEST
    assert pause(0.0, 60.0) == 0.0, "more to do now"


def test_a_failing_look_does_not_end_the_thread(tmp_path: Path) -> None:
    follower = Scripted()
    message = seen(follower_of(make_run(tmp_path)))
    follower.start()
    follower.looks.put(None)
    follower.looks.put(message)
    assert follower.posted.get(timeout=20) is message
    follower.stop()
    follower.looks.put(None)


def test_nothing_is_posted_after_stop(tmp_path: Path) -> None:
    follower = Scripted()
    message = seen(follower_of(make_run(tmp_path)))
    follower.start()
    thread = follower._thread
    assert thread is not None and follower.running
    follower.stop()
    follower.looks.put(message)
    thread.join(20)
    assert not thread.is_alive() and not follower.running
    assert follower.posted.empty()


def test_starting_again_goes_on_with_one_thread(tmp_path: Path) -> None:
    follower = Scripted()
    message = seen(follower_of(make_run(tmp_path)))
    for _ in range(3):
        follower.stop()
        follower.start()
        follower.start()
    for _ in range(4):
        follower.looks.put(message)
    assert follower.posted.get(timeout=20) is message
    follower.stop()
    for _ in range(4):
        follower.looks.put(None)
    assert sum(thread.name.startswith("Scripted") for thread in threading.enumerate()) <= 4


def test_what_was_found_while_it_was_stopped_is_told_when_it_goes_on(tmp_path: Path) -> None:
    """The next look finds it no longer new: a list that was left at the wrong moment would stay empty."""
    run = make_run(tmp_path)
    posted: queue.Queue[object] = queue.Queue()
    looking, going_on = threading.Event(), threading.Event()

    class Slow(RunFollower):
        def look(self) -> Message | None:
            found = super().look()
            if not looking.is_set():
                looking.set()
                going_on.wait(20)
            return found

    follower = Slow(posted.put, run)
    follower.start()
    assert looking.wait(20)
    follower.stop()
    going_on.set()
    follower.start()
    message = posted.get(timeout=20)
    follower.stop()
    assert isinstance(message, RunChanged)
