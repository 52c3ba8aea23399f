from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dlcore import launch
from dlcore.errors import UserError
from dlcore.keeper import CappedLog
from dlcore.launch import logout
from dlcore.run_dir import RunDir
from dlcore.run_dir import lock as run_lock
from tests.core.support import ENVIRONMENT, largest_file, names_in

WORKER = """
import os, signal, subprocess, sys
from pathlib import Path
from dlcore.launch import *
from dlcore.run_dir import RunDir
"""
HOLDING = WORKER + "lock = RunDir(Path(sys.argv[1])).lock()\n"
WAITING = "open(sys.argv[1] + '/gate').read()\n"  # until the test lets it go on
ANSWERING = "open(sys.argv[1] + '/answer', 'w').write('alive')\n"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDir]:
    run = RunDir.create(tmp_path, "x", "p")
    os.mkfifo(run.path / "gate")
    yield run
    os.close(os.open(run.path / "gate", os.O_RDWR))  # lets a worker go that a failed test left there


def start(run: RunDir, code: str, **options: object) -> int:
    return launch.start_detached(run, command=[sys.executable, "-c", code, str(run.path)], **options)  # type: ignore[arg-type]


def let_end(run: RunDir) -> None:
    """Waits until the worker stands at the gate, and lets it through."""
    (run.path / "gate").write_text("")


def test_worker_lives_in_a_session_of_its_own(run: RunDir) -> None:
    pid = start(run, HOLDING + "report_ready()\n" + WAITING)
    assert os.getsid(pid) not in (os.getsid(0), pid)  # and leads none, so it can never get a terminal
    assert launch.is_alive(run)
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # not ours to bury
    let_end(run)


LAUNCHER = """
run, code = sys.argv[1:]
print(start_detached(RunDir(Path(run)), command=[sys.executable, "-c", code, run]), flush=True)
sys.stdin.read()
"""


def test_worker_outlives_its_launchers_whole_group(run: RunDir) -> None:
    worker = WORKER + "report_ready()\n" + WAITING + ANSWERING
    os.mkfifo(run.path / "answer")
    launcher = subprocess.Popen(
        [sys.executable, "-c", WORKER + LAUNCHER, str(run.path), worker],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert launcher.stdout is not None
    launcher.stdout.readline()
    os.killpg(launcher.pid, signal.SIGKILL)
    launcher.communicate()
    let_end(run)
    assert (run.path / "answer").read_text() == "alive"


def test_errors_reach_the_launcher_made_safe(run: RunDir) -> None:
    with pytest.raises(UserError) as caught:
        start(run, WORKER + "report_errors(['model.name: no \\x1b[31m', 'second'])")
    assert caught.value.lines == ("model.name: no \\x1b[31m", "second")


def test_worker_that_ends_without_a_report_is_told_by_its_log(run: RunDir) -> None:
    with pytest.raises(UserError) as caught:
        start(run, WORKER + "print('on \\x1b[2J stdout', flush=True); raise SystemExit('no such file')")
    first, *tail = caught.value.lines
    assert "ended before it could train (exit code 1)" in first
    assert tail == ["on \\x1b[2J stdout", "no such file"]


def test_worker_that_is_killed_leaves_its_last_words(run: RunDir) -> None:
    with pytest.raises(UserError, match="SIGKILL") as caught:
        start(run, WORKER + "os.write(1, b'last words\\n'); os.kill(os.getpid(), 9)")
    assert caught.value.lines[1:] == ("last words", "... the worker was ended by SIGKILL ...")


def test_command_that_does_not_exist_is_a_sentence(run: RunDir) -> None:
    with pytest.raises(UserError, match=r"cannot start the worker: .*no-such-program"):
        launch.start_detached(run, command=["/no-such-program"])


def test_slow_worker_is_left_alone(run: RunDir) -> None:
    with pytest.raises(UserError, match=r"not reported within 0\.5 s; it goes on"):
        start(run, HOLDING + WAITING, timeout=0.5)
    let_end(run)


def test_launcher_may_leave_at_once(run: RunDir) -> None:
    os.mkfifo(run.path / "answer")
    assert start(run, WORKER + WAITING + "report_ready()\n" + ANSWERING, wait_ready=False) > 0
    let_end(run)
    assert (run.path / "answer").read_text() == "alive"  # reporting to nobody did not end it


def test_threads_may_start_workers(tmp_path: Path) -> None:
    runs = [RunDir.create(tmp_path, f"r{number}", "p") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        pids = list(pool.map(lambda run: start(run, WORKER + "report_ready()"), runs))
    assert len(set(pids)) == 4


def test_reporting_without_a_launcher_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DLTUI_READY_FD", raising=False)
    launch.report_ready()
    launch.report_errors(["x"])


def test_stop_signals_the_holder_and_waits_for_the_lock(run: RunDir) -> None:
    code = "signal.signal(15, lambda *_: (open(sys.argv[1] + '/saved', 'w').close(), sys.exit()))\n"
    start(run, HOLDING + code + "report_ready()\nsignal.pause()")
    assert launch.stop(run, 10.0)
    assert (run.path / "saved").exists()
    assert launch.stop(run)  # nothing to do any more


def test_stop_gives_up_after_its_time(run: RunDir) -> None:
    start(run, HOLDING + "signal.signal(15, signal.SIG_IGN)\nreport_ready()\nsignal.pause()")
    assert not launch.stop(run, 0.1)
    assert launch.stop(run, 10.0, number=signal.SIGKILL)


@pytest.mark.parametrize("change", [{"started": 1.0}, {"host": "elsewhere"}, {"boot": "another"}, {"pid": 1}])
def test_stop_never_signals_another_process(run: RunDir, change: dict[str, object]) -> None:
    with run.lock():  # held by this very process, which SIGTERM would end
        hint = json.loads(run.lock_path.read_text())
        run.lock_path.write_text(json.dumps(hint | change))
        with pytest.raises(UserError, match="not a process of this machine"):
            launch.stop(run, 0.1)


def test_process_that_is_gone_has_no_start() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
    process.communicate()
    assert run_lock.process_start(process.pid) is None
    assert run_lock.process_start(os.getpid()) == run_lock.process_start(os.getpid()) is not None


def test_flood_of_output_leaves_a_capped_log_with_both_ends(run: RunDir) -> None:
    code = "print('first'); [print('x' * 999) for _ in range(30_000)]; print('last'); sys.exit(3)"
    with pytest.raises(UserError, match="exit code 3"):
        start(run, WORKER + code)
    log = run.log_path.read_bytes()
    assert len(log) <= launch.LOG_LIMIT
    assert log.startswith(b"first\n")
    assert log.endswith(b"x\nlast\n")
    assert b"output left out here" in log


def test_output_of_c_code_and_of_children_is_in_the_log(run: RunDir) -> None:
    code = "os.write(2, b'raw\\n'); subprocess.run(['echo', 'child']); print('own')"
    with pytest.raises(UserError) as caught:
        start(run, WORKER + code)
    assert caught.value.lines[1:] == ("raw", "child", "own")


def test_capped_log_serves_any_child(tmp_path: Path) -> None:
    with launch.capped_log(tmp_path / "log", 1000) as descriptor:
        subprocess.run([sys.executable, "-c", "print('a'); print('b' * 5000)"], stdout=descriptor, check=True)
    log = (tmp_path / "log").read_bytes()
    assert log.startswith(b"a\n")
    assert len(log) <= 1000


def test_full_disk_never_blocks_who_prints() -> None:
    with launch.capped_log("/dev/full") as descriptor:
        os.write(descriptor, bytes(1 << 20))
        os.write(descriptor, bytes(1 << 20))


def test_log_is_never_longer_than_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = CappedLog(str(path), 1000)
    for number in range(500):
        log.write(b"line %d\n" % number)
        assert path.stat().st_size <= 1000
        assert path.read_bytes().endswith(b"line %d\n" % number)
    log.close()
    assert path.read_bytes().startswith(b"line 0\nline 1\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert names_in(tmp_path) == ["log"]


def test_log_goes_on_where_an_earlier_session_ended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for number in range(50):
        log = CappedLog(str(path), 300)
        log.write(b"session %d\n" % number)
        log.close()
        assert path.stat().st_size <= 300
    assert path.read_bytes().startswith(b"session 0\n")
    assert path.read_bytes().endswith(b"session 49\n")


def test_log_keeps_its_limit_when_there_is_no_room_to_shorten(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = CappedLog(str(path), 100_000)
    with largest_file(30_000):
        for _ in range(20):
            log.write(bytes(10_000))
    log.write(b"space again\n")
    log.close()
    assert path.read_bytes().endswith(b"space again\n")
    assert names_in(tmp_path) == ["log"]


def test_tail_of_a_log_is_safe_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 1_000_000 + b"\n\n\tone\r\n\xff\x1b[2J\n  \n")
    assert launch.log_tail(path, 2) == ["    one", "\\xff\\x1b[2J"]
    assert launch.log_tail(tmp_path / "missing") == []


PRINTER = """
protect_output()
sys.stdin.readline()
print("x" * 100_000)
print("\\ud800", file=sys.stderr)
os.write(1, b"from C")
sys.stdout.close(); sys.exit(7)
"""


def test_prints_never_fail_even_without_a_keeper() -> None:
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER + PRINTER],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=write_end,
        stderr=write_end,
    )
    os.close(write_end)
    os.close(read_end)
    process.communicate(b"go\n")
    assert process.returncode == 7


def test_protected_prints_are_out_before_a_kill() -> None:
    code = "protect_output(); print('é\\udcff'); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", WORKER + code], env=ENVIRONMENT, stdout=subprocess.PIPE)
    assert done.stdout == "é\\udcff\n".encode()


@pytest.mark.parametrize(
    ("session", "lingers", "kills", "scope", "warned"),
    [
        (True, True, True, True, False),
        (True, True, False, True, False),
        (True, False, True, False, True),
        (True, False, False, False, False),
        (False, False, True, False, False),
    ],
)
def test_logout_survival(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    session: bool,
    lingers: bool,
    kills: bool,
    scope: bool,
    warned: bool,
) -> None:
    (tmp_path / "bus").touch()
    (tmp_path / "cgroup").write_text(
        f"0::/user.slice/user-1000.slice/{'session-3.scope' if session else 'x'}\n"
    )
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(logout, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(logout, "_lingers", lambda: lingers)
    monkeypatch.setattr(logout, "_logind_kills", lambda: kills)
    monkeypatch.setattr(logout.shutil, "which", lambda program: f"/bin/{program}")
    assert bool(logout.scope_prefix("x")) is scope
    assert bool(logout.survival_warning()) is warned
