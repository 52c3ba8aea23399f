"""One run, one worker: everybody else is told who has it."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path

import pytest

from dlcore.run_dir import RunDir
from tests.end_to_end.processes import Server, await_event, events, toy

HELD = 3


@pytest.mark.parametrize("verb", ["run", "resume", "rm"])
def test_a_held_run_is_left_alone_and_its_holder_named(
    server: Server, runs: Path, tmp_path: Path, verb: str
) -> None:
    preset = toy(tmp_path, epochs=100_000)
    holder = server.start("run", preset, "--runs", runs, "--name", "busy", "--quiet")
    run = RunDir(runs / "busy")
    await_event(run, "epoch", epoch=1)
    arguments = {
        "run": ["run", preset, "--runs", runs, "--name", "busy"],
        "resume": ["resume", run.path],
        "rm": ["rm", run.path, "--yes"],
    }
    code, out, errors = server.dltui(*arguments[verb])
    assert (code, out) == (HELD, "")
    assert errors.count("\n") == 1
    assert re.search(rf"busy is held by process {holder.pid} on \S+ since \d{{4}}-", errors)
    holder.signal(signal.SIGTERM)
    assert holder.wait() == 143
    assert len(events(run, "started")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["resume", "run"])
def test_of_twenty_starts_at_once_one_wins(server: Server, runs: Path, tmp_path: Path, verb: str) -> None:
    preset = toy(tmp_path, epochs=100_000)
    run = RunDir(runs / "wanted")
    if verb == "resume":
        first = server.start("run", preset, "--runs", runs, "--name", "wanted", "--quiet")
        await_event(run, "epoch", epoch=1)
        first.signal()
        assert first.wait() == -9
        arguments = ["resume", run.path, "--quiet"]
    else:
        arguments = ["run", preset, "--runs", runs, "--name", "wanted", "--quiet"]
    before = len(events(run, "started"))
    processes = [server.start(*arguments) for _ in range(20)]
    await_event(run, "resumed" if verb == "resume" else "started")
    (winner,) = [p for p in processes if p.pid == json.loads(run.lock_path.read_text())["pid"]]
    others = [process for process in processes if process is not winner]
    codes = [process.wait() for process in others]
    if verb == "resume":
        assert codes == [HELD] * 19
        assert all(f"held by process {winner.pid} on" in process.output[1] for process in others)
    else:  # who comes before the winner has its lock finds the name taken
        assert set(codes) <= {HELD, 2}
    assert all(process.output[1].count("\n") == 1 for process in others)
    winner.signal(signal.SIGTERM)
    assert winner.wait() == 143
    assert len(events(run, "started")) == before + 1
    assert [path.name for path in runs.iterdir()] == ["wanted"]


def test_a_killed_trainer_holds_nothing(server: Server, runs: Path, tmp_path: Path) -> None:
    process = server.start("run", toy(tmp_path, epochs=100_000), "--runs", runs, "--name", "x", "--quiet")
    run = RunDir(runs / "x")
    await_event(run, "epoch", epoch=1)
    process.signal()
    process.wait()
    assert not run.is_locked()
    assert server.dltui("rm", run.path, "--yes")[0] == 0


def test_a_run_that_moved_goes_on_where_it_is(server: Server, runs: Path, tmp_path: Path) -> None:
    process = server.start("run", toy(tmp_path, epochs=8), "--runs", runs, "--name", "x", "--quiet")
    await_event(RunDir(runs / "x"), "epoch", epoch=1)
    process.signal(signal.SIGTERM)
    assert process.wait() == 143
    shutil.move(runs / "x", tmp_path / "elsewhere")
    code, _, errors = server.dltui("resume", tmp_path / "elsewhere", "--quiet")
    assert code == 0, errors
    assert RunDir(tmp_path / "elsewhere").summary().status == "finished"
    assert list(runs.iterdir()) == []
