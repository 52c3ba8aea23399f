from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dlcore.errors import UserError
from dlcore.events import EventWriter
from dlcore.run_dir import RunDir, RunHeld, data_folder, list_runs, runs_folder, slug
from dlcore.run_dir import lock as run_lock
from tests.core.support import ENVIRONMENT, names_in


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process that runs ``code``; it is told things on stdin and answers on stdout."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, env=ENVIRONMENT, text=True)


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def make(runs: Path, name: str, **state: Any) -> RunDir:
    run = RunDir.create(runs, name, "digits-cnn")
    run.write_state({"status": "finished", "created": time.time() - 100, **state})
    return run


def test_new_run_has_its_files_and_is_private(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "deep" / "runs", None, "presets/digits-cnn.toml")
    assert run.name.endswith("-digits-cnn")
    assert run.path.stat().st_mode & 0o777 == 0o700
    for path in run.path.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    about = json.loads(run.run_json_path.read_text())
    assert about["name"] == run.name
    assert run.summary().status == "starting"


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("My run: nº 3!", "My-run-no-3"),
        ("../../etc/passwd", "etc-passwd"),
        ("a/b\\c", "a-b-c"),
        ("..", ""),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("\x1b[31m", "31m"),
        ("x" * 300, "x" * 80),
        ("数字", ""),
        ("été", "ete"),
        ("a\nb\0c", "a-b-c"),
    ],
)
def test_names_become_slugs(name: str, made: str) -> None:
    assert slug(name) == made


def test_name_without_a_letter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs letters"):
        RunDir.create(tmp_path, "///", "p")


def test_taken_name_is_refused(tmp_path: Path) -> None:
    RunDir.create(tmp_path, "mine", "p")
    with pytest.raises(UserError, match="there is a run mine already"):
        RunDir.create(tmp_path, "mine", "p")


def test_runs_made_in_one_second_all_get_a_name(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: RunDir.create(tmp_path, None, "p").name, range(16)))
    assert len(set(made)) == 16
    assert {summary.name for summary in list_runs(tmp_path)} == set(made)


def test_one_name_asked_for_at_once_goes_to_one(tmp_path: Path) -> None:
    def create(_: int) -> bool:
        try:
            return RunDir.create(tmp_path, "mine", "p").name == "mine"
        except UserError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(16))) == 1


@pytest.mark.parametrize("runs", ["file", "file/below", "/proc/none/runs"])
def test_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path, runs: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write in .*--runs") as caught:
        RunDir.create(tmp_path / runs, None, "p")
    assert len(caught.value.lines) == 1


def test_failed_creation_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dlcore.run_dir.write_atomic", fail)
    with pytest.raises(UserError, match="No space left"):
        RunDir.create(tmp_path, None, "p")
    assert names_in(tmp_path) == []


def test_folders_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLTUI_RUNS", str(tmp_path / "r"))
    monkeypatch.setenv("DLTUI_DATA", "~/d")
    assert runs_folder() == tmp_path / "r"
    assert data_folder() == Path("~/d").expanduser()
    monkeypatch.delenv("DLTUI_RUNS")
    monkeypatch.delenv("DLTUI_DATA")
    assert runs_folder() == Path("runs")
    assert data_folder().name == "dltui"


def test_find_by_name_prefix_and_path(tmp_path: Path) -> None:
    first, second = make(tmp_path, "digits-a"), make(tmp_path, "iris")
    make(tmp_path, "iris-2")
    assert RunDir.find(tmp_path, "digits-a") == first
    assert RunDir.find(tmp_path, "dig") == first
    assert RunDir.find(tmp_path, "iris") == second  # a whole name wins over being a prefix
    assert RunDir.find(Path("elsewhere"), str(first.path)) == first
    assert RunDir.open(first.path) == first


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("iris-", "starts the names of 2 runs: iris-3, iris-2"),
        ("digit-a", "nearest: digits-a"),
        ("", "no run"),
        ("..", "not a run directory"),
        ("../other", "no run"),
        ("x\0y", "no run"),
        ("x" * 5000, "no run"),
        ("\x1b]0;owned\x07", "no run"),
        ("/etc", "not a run directory"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_find_says_in_one_line_what_is_wrong(tmp_path: Path, reference: str, sentence: str) -> None:
    for name in ("digits-a", "iris-2", "iris-3"):
        make(tmp_path, name)
    with pytest.raises(UserError, match=sentence) as caught:
        RunDir.find(tmp_path, reference)
    (line,) = caught.value.lines
    assert line.isprintable()


def test_newest_is_by_creation_and_not_by_modification(tmp_path: Path) -> None:
    make(tmp_path, "b-old", created=100.0)
    make(tmp_path, "a-new", created=200.0)
    make(tmp_path, "c-older", created=50.0)
    os.utime(tmp_path / "c-older")
    assert [summary.name for summary in list_runs(tmp_path)] == ["a-new", "b-old", "c-older"]
    assert RunDir.find(tmp_path, None).name == "a-new"


def test_without_runs_there_is_no_newest(tmp_path: Path) -> None:
    for runs in (tmp_path, tmp_path / "missing"):
        assert list_runs(runs) == []
        with pytest.raises(UserError, match="there are no runs"):
            RunDir.find(runs, None)


def test_state_keeps_the_creation_time(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, "x", "p")
    created = run.summary().created
    run.write_state({"status": "finished"})
    assert run.summary().created == created
    run.state_path.unlink()
    assert run.summary().created == created


def test_update_json_keeps_the_other_keys(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, "x", "p")
    run.update_json("run.json", {"spec": {"a": [1, float("nan")]}})
    about = json.loads(run.run_json_path.read_text())
    assert about["name"] == "x"
    assert about["spec"] == {"a": [1, None]}


@pytest.mark.parametrize("status", ["finished", "stopped", "failed"])
def test_ended_run_costs_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    run = make(tmp_path, "x", status=status, epoch=3, metrics={"val/loss": 0.5, "bad": "x"}, error="it broke")
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest: (opened.append(str(path)), real(path, *rest))[1])
    summary = run.summary()
    assert opened == [str(run.state_path)]
    assert (summary.status, summary.epoch, summary.error) == (status, 3, "it broke")
    assert summary.metrics == {"val/loss": 0.5, "bad": None}
    assert json.dumps(summary.to_dict())


@pytest.mark.parametrize("status", ["running", "paused", "starting"])
def test_claim_to_live_needs_the_lock(tmp_path: Path, status: str) -> None:
    run = make(tmp_path, "x", status=status)
    assert run.summary().status == "died"
    with run.lock():
        assert run.summary().status == status
    assert run.summary().status == "died"


def test_fresh_run_is_starting_until_somebody_held_it(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, "x", "p")
    assert run.summary().status == "starting"
    run.lock().release()
    assert run.summary().status == "died"


def test_run_that_nobody_started_has_died_after_a_while(tmp_path: Path) -> None:
    assert make(tmp_path, "x", status="starting", created=time.time() - 31).summary().status == "died"


def test_end_between_two_looks_is_not_a_death(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(tmp_path, "x", status="running")

    def ends_meanwhile(_: object) -> bool:
        run.write_state({"status": "finished"})
        return False

    monkeypatch.setattr("dlcore.run_dir.summary.is_locked", ends_meanwhile)
    assert run.summary().status == "finished"


def test_lost_state_is_told_by_the_events(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, "x", "p")
    events = EventWriter(run.events_path)
    events.write("created", preset="digits-cnn")
    events.write("started", device="cpu", parameters=10, epochs=5)
    events.write("epoch", epoch=2, step=40, metrics={"val/loss": 0.25}, best=True)
    events.write("stopped", exit=143)
    events.close()
    run.state_path.write_bytes(b"\0" * 100)
    summary = run.summary()
    assert summary.damaged
    assert (summary.status, summary.preset, summary.device) == ("stopped", "digits-cnn", "cpu")
    assert (summary.epoch, summary.epochs, summary.step, summary.parameters) == (2, 5, 40, 10)
    assert summary.metrics == {"val/loss": 0.25}


HOSTILE = [
    b"",
    b"\xff\xfe",
    b"[]",
    b"[" * 100_000,
    b"{" * 100_000,
    b'{"status":["x"],"epoch":"many","metrics":[1],"best":7,"created":"now","preset":{"a":1}}',
    b'{"status":"\\u001b[2J","preset":"\\u001b]0;owned\\u0007","metrics":{"\\u202e":1e999},"created":1e300}',
    b'{"status":"finished","epoch":-1,"step":1' + b"0" * 500 + b',"seconds":NaN,"best":{"epoch":[1]}}',
    b'{"status":"finished","error":"\\ud800' + b"x" * 2_000_000 + b'"}',
]


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_state_hides_neither_itself_nor_others(tmp_path: Path, content: bytes) -> None:
    make(tmp_path, "good")
    bad = make(tmp_path, "bad")
    bad.state_path.write_bytes(content)
    bad.events_path.write_bytes(content)
    found = {summary.name: summary for summary in list_runs(tmp_path)}
    assert set(found) == {"good", "bad"}
    assert found["bad"].status in ("died", "finished")
    text = json.dumps(found["bad"].to_dict(), ensure_ascii=False, allow_nan=False)
    assert text.isprintable()


def test_hostile_folders_hide_no_run(tmp_path: Path) -> None:
    make(tmp_path, "good")
    hostile = tmp_path / "\x1b[2J\u202e"
    hostile.mkdir()
    (hostile / "state.json").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    fifo = tmp_path / "fifo"
    fifo.mkdir()
    os.mkfifo(fifo / "state.json")
    os.mkfifo(fifo / "events.jsonl")
    os.mkfifo(fifo / "worker.lock")
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    (tmp_path / os.fsdecode(b"\xff") / "run.json").touch()
    names = [summary.name for summary in list_runs(tmp_path)]
    assert "good" in names
    assert all(name.isprintable() for name in names)
    assert set(names) == {"good", "\\x1b[2J\\u202e", "fifo", "\\udcff"}


def test_lock_names_its_holder(tmp_path: Path) -> None:
    run = make(tmp_path, "x")
    assert not run.is_locked()
    with run.lock():
        assert run.is_locked()
        with pytest.raises(RunHeld) as caught:
            run.lock()
    holder = caught.value.holder
    assert holder is not None
    assert (holder.pid, holder.host) == (os.getpid(), socket.gethostname())
    assert str(os.getpid()) in caught.value.lines[0]
    assert not run.is_locked()


def test_hint_of_a_dead_holder_is_not_taken_for_the_winners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(tmp_path, "x")
    with run.lock():
        hint = json.loads(run.lock_path.read_text())
        run.lock_path.write_text(json.dumps(hint | {"started": 1}))  # the winner has not signed yet
        monkeypatch.setattr(run_lock.time, "sleep", lambda _: run.lock_path.write_text(json.dumps(hint)))
        with pytest.raises(RunHeld) as caught:
            run.lock()
    assert caught.value.holder is not None
    assert caught.value.holder.started == hint["started"]


RACER = """
import json, sys
from pathlib import Path
from dlcore.run_dir import RunDir, RunHeld
run = RunDir(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
try:
    lock = run.lock()
    print(json.dumps({"won": True}), flush=True)
except RunHeld as error:
    print(json.dumps({"won": False, "holder": error.holder and error.holder.pid}), flush=True)
sys.stdin.read()
"""


def test_of_twenty_at_once_one_wins_and_the_others_name_it(tmp_path: Path) -> None:
    run = make(tmp_path, "x")
    racers = [child(RACER, run.path) for _ in range(20)]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        answers = [json.loads(racer.stdout.readline()) for racer in racers if racer.stdout]
        winners = [racer.pid for racer, answer in zip(racers, answers, strict=True) if answer["won"]]
        assert len(winners) == 1
        assert all(answer["holder"] == winners[0] for answer in answers if not answer["won"])
    finally:
        for racer in racers:
            end(racer)
    assert not run.is_locked()


FORKER = """
import os, sys
from pathlib import Path
from dlcore.run_dir import RunDir
lock = RunDir(Path(sys.argv[1])).lock()
pid = os.fork()
if pid == 0:
    print(os.getpid(), flush=True)
sys.stdin.read()
"""


def test_forked_child_does_not_keep_a_dead_parents_lock(tmp_path: Path) -> None:
    run = make(tmp_path, "x")
    parent = child(FORKER, run.path)
    try:
        assert parent.stdout is not None
        forked = int(parent.stdout.readline())
        assert run.is_locked()
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        assert run_lock.process_start(forked) is not None
        assert not run.is_locked()
    finally:
        end(parent)  # closes stdin, on which the forked child ends


def test_release_in_a_forked_child_leaves_the_parents_lock(tmp_path: Path) -> None:
    run = make(tmp_path, "x")
    code = FORKER.replace("print(", "lock.release(); print(")
    parent = child(code, run.path)
    try:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert run.is_locked()
    finally:
        end(parent)


def test_viewer_that_looks_in_never_makes_a_start_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(tmp_path, "x")
    run.lock().release()
    looking = os.open(run.lock_path, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr(run_lock.time, "sleep", lambda _: fcntl.flock(looking, fcntl.LOCK_UN))
    with run.lock():
        assert run.is_locked()
    os.close(looking)


def test_run_removed_while_waiting_is_not_locked_as_a_ghost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(tmp_path, "x")
    real = run_lock._take

    def removed_meanwhile(descriptor: int, path: Path) -> None:
        monkeypatch.setattr(run_lock, "_take", real)
        run.remove()
        real(descriptor, path)

    monkeypatch.setattr(run_lock, "_take", removed_meanwhile)
    with pytest.raises(UserError, match="cannot lock run x"):
        run.lock()


def test_file_system_without_locks_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    run = make(tmp_path, "x")
    monkeypatch.setattr(run_lock.fcntl, "flock", unsupported)
    with pytest.raises(UserError, match="no file locks"):
        run.lock()


@pytest.mark.parametrize(
    "hint",
    [b"", b"garbage", b"{}", b'{"pid":-1,"host":"h","boot":"b","started":1,"since":1}', b"\xff" * 9000],
)
def test_hostile_hint_names_nobody(tmp_path: Path, hint: bytes) -> None:
    run = make(tmp_path, "x")
    run.lock_path.write_bytes(hint)
    assert run_lock.read_holder(run.lock_path) is None


def test_lock_clears_temporaries_of_killed_writers(tmp_path: Path) -> None:
    run = make(tmp_path, "x")
    (run.path / ".state.json.1-ab.tmp").touch()
    run.lock().release()
    assert not list(run.path.glob("*.tmp"))
    assert not list(run.path.glob(".*.tmp"))


def test_removed_run_is_gone(tmp_path: Path) -> None:
    run = make(tmp_path, "x")
    (run.path / "checkpoints" / "step-00000001").mkdir()
    run.remove()
    assert names_in(tmp_path) == []


def test_held_run_is_not_removed(tmp_path: Path) -> None:
    run = make(tmp_path, "x")
    with run.lock(), pytest.raises(RunHeld):
        run.remove()
    assert run.state_path.exists()


def test_only_run_directories_are_removed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "run.json").touch()
    with pytest.raises(UserError, match="does not look like a run"):
        RunDir(tmp_path / "precious").remove()
    run = make(tmp_path, "x")
    (tmp_path / "link").symlink_to(run.path)
    with pytest.raises(UserError, match="is a link"):
        RunDir(tmp_path / "link").remove()
    assert run.state_path.exists()


def test_removal_follows_no_links(tmp_path: Path) -> None:
    run = make(tmp_path / "runs", "x")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    (run.path / "samples" / "link").symlink_to(tmp_path / "precious")
    run.remove()
    assert (tmp_path / "precious" / "file").exists()


def test_removal_that_was_killed_is_completed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".dltui-removed-1-ab").mkdir()
    run = make(tmp_path, "x")
    run.remove()
    assert names_in(tmp_path) == []
