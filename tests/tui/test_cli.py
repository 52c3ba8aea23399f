"""The command line as a shell sees it: what is printed where, and exit codes."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from dlcore.control import ControlReader
from dlcore.run_dir import RunDir
from tests.tui.recorded import make_run, write_events
from tui.cli import app, main

ROOT = Path(__file__).parents[2]
VERBS = sorted(get_command(app).commands)
PRESET = '[data]\nname = "digits"\n[model]\nname = "mlp"\n[training]\nepochs = 2\ndevice = "cpu"\n'


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runs folder of every command line in the test."""
    monkeypatch.setenv("DLTUI_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(PRESET)
    return path


def environment(**more: str) -> dict[str, str]:
    """This environment, with output buffered as it is for most people."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "", **more}


def dltui(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, without a terminal."""
    command = [sys.executable, "-m", "tui.cli", *map(str, arguments)]
    return subprocess.run(command, env=environment(**more), capture_output=True, text=True, timeout=120)


def on_a_terminal(*arguments: str | Path, typed: str = "", **more: str) -> tuple[int, str]:
    """The command on a pseudo-terminal: its exit code and everything that it wrote."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "tui.cli", *map(str, arguments)]
    process = subprocess.Popen(
        command, env=environment(**{"TERM": "xterm", **more}), stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    os.write(ours, typed.encode())
    written = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            written += os.read(ours, 65536)
        except OSError:  # how Linux says that the other side has closed
            break
    os.close(ours)
    return process.wait(60), written.decode()


# Help and errors


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_has_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert f"  dltui {verb}" in capsys.readouterr().out.partition("Examples:")[2]


@pytest.mark.parametrize("verb", ["run", "check", "resume", "ls", "show", "presets", "models", "data"])
def test_every_verb_that_lists_or_tells_takes_json(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([verb, "--help"])
    assert "--json" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["rnu"], ["run"], ["ls", "extra"], ["show", "--bogus"], ["tell"]])
def test_a_wrong_command_line_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, errors = capsys.readouterr()
    assert "Error:" in errors
    assert out == ""


def test_without_a_terminal_the_bare_command_says_what_to_use() -> None:
    result = dltui()
    assert (result.returncode, result.stdout) == (2, "")
    assert "use dltui run" in result.stderr


def test_the_help_loads_nothing_but_typer() -> None:
    code = (
        "import sys; from tui.cli import main; main(['--help']);"
        "names = {'torch', 'sklearn', 'numpy', 'pydantic', 'rich', 'textual', 'dlcore.run_dir'};"
        "print(sorted(names & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert out.splitlines()[-1] == "[]"


def test_looking_at_runs_and_presets_loads_no_torch(runs: Path) -> None:
    make_run(runs, "one")
    make_run(runs, "two")
    verbs = [
        *(
            ["ls"],
            ["ls", "--json"],
            ["show", "one"],
            ["show", "one", "--json"],
            ["presets"],
            ["presets", "--json"],
        ),
        *(["tell", "one", "pause"], ["rm", "two"], ["run", "nowhere.toml"], ["resume", "one"]),
    ]
    code = (
        f"import sys; from tui.cli import main; codes = [main(verb) for verb in {verbs!r}]; print(codes);"
        "print(sorted({'torch', 'sklearn', 'textual'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    *_, codes, loaded = result.stdout.splitlines()
    assert json.loads(codes) == [0, 0, 0, 0, 0, 0, 2, 0, 2, 2]
    assert loaded == "[]"


@pytest.mark.parametrize("verb", [["ls", "--json"], ["rm", "run-17"]])
def test_a_reader_that_is_gone_is_no_error(runs: Path, verb: list[str]) -> None:
    for number in range(300):  # more than the output's buffer holds
        make_run(runs, f"run-{number}", status="starting")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "tui.cli", *verb]
    process = subprocess.run(command, env=environment(), stdout=writing, stderr=subprocess.PIPE, timeout=60)
    os.close(writing)
    assert process.stderr == b""


def test_a_locale_without_our_signs_gets_them_spelled_out(runs: Path) -> None:
    make_run(runs)
    result = dltui("ls", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert result.returncode == 0
    assert "\\u2713 finished" in result.stdout


# ls


def test_ls_lists_the_newest_first(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for age, name in enumerate(["new", "middle", "old"]):
        make_run(runs, name, started=1.7e9 - age)
    assert main(["ls"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["status", "name", "preset", "epoch", "best", "age"]
    assert [line.split()[2] for line in lines] == ["new", "middle", "old"]
    assert lines[0].split()[:2] == ["✓", "finished"]
    assert "20/20  val/accuracy 0.9" in lines[0]


def test_ls_tells_a_living_run_from_a_dead_one(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dead, alive = make_run(runs, "dead", status="died"), make_run(runs, "alive", status="running")
    with alive.lock():
        main(["ls", "--json"])
    status = {entry["name"]: entry["status"] for entry in json.loads(capsys.readouterr().out)}
    assert status == {dead.name: "died", alive.name: "running"}


def test_ls_without_runs_says_how_to_start_one(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls"]) == 0
    assert "dltui run" in capsys.readouterr().out
    assert main(["ls", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize("verb", [["ls"], ["show", "evil"]])
def test_hostile_text_is_shown_and_not_obeyed(
    runs: Path, verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(runs, "evil\x1b[2J\n", status="failed", hostile=True)
    assert main(verb) == 0
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.splitlines())
    assert "\\x1b[2J\\n" in out


def test_colour_is_for_terminals_that_want_it(runs: Path) -> None:
    make_run(runs)
    assert "\x1b[32m✓" in on_a_terminal("ls")[1]
    assert "\x1b" not in on_a_terminal("ls", NO_COLOR="1")[1]
    assert "\x1b" not in on_a_terminal("ls", TERM="dumb")[1]
    assert "\x1b" not in dltui("ls").stdout


# show


def test_show_json_has_what_scripts_need(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(runs, "mine")
    assert main(["show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    wanted = {
        "name": "mine", "path": str(run.path), "status": "finished", "preset": "digits-cnn", "device": "cpu",
        "epoch": 20, "epochs": 20, "step": 460, "samples_per_second": 3420.5, "parameters": 421_642,
        "error": None,
    }  # fmt: skip
    assert shown | wanted == shown
    assert shown["seconds"] == pytest.approx(84.0)
    assert shown["best"] == {"metric": "val/accuracy", "value": pytest.approx(0.986, abs=0.01), "epoch": 20}
    assert shown["metrics"].keys() >= {"train/loss", "val/loss", "val/accuracy", "test/loss", "test/accuracy"}


def test_show_json_is_strict_json_for_a_run_with_nan(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(runs, status="failed", nan_from=3)
    assert main(["show", "--json"]) == 0

    def refuse(word: str) -> Any:
        raise AssertionError(f"{word} is no JSON")

    shown = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert shown["metrics"]["train/loss"] is None
    assert shown["error"].startswith("The loss became non-finite")


@pytest.mark.parametrize("status", ["starting", "paused", "finished", "stopped", "failed", "died"])
def test_show_puts_a_run_on_one_page(runs: Path, status: str, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(runs, "mine", status=status)
    assert main(["show", "mine"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("mine   ")
    assert len(lines) <= 32
    assert max(map(len, lines)) <= 110


def test_show_draws_the_losses_and_the_metric(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(runs)
    main(["show"])
    out = capsys.readouterr().out
    assert "train/loss   ⠒⠒ val/loss" in out
    assert re.search(r"val/accuracy +0\.98\d\d  [▁▂▃▄▅▆▇█]{20,24} +best 0\.98\d\d at epoch 20", out)


def test_show_of_an_unknown_run_names_the_nearest(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(runs, "digits-cnn-1")
    assert main(["show", "digit-cnn-1"]) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert "digits-cnn-1" in errors


def test_follow_watches_to_the_end(runs: Path) -> None:
    run = make_run(runs, "mine", status="running")
    with run.lock() as lock:
        process = subprocess.Popen(
            [sys.executable, "-m", "tui.cli", "show", "--follow"],
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        write_events(run, [{"seq": 90, "time": 1.0, "event": "stopped", "by": "SIGTERM", "exit": 143}])
        lock.release()
    rest, _ = process.communicate(timeout=60)
    assert first.startswith("mine  cnn on digits")
    assert "mine stopped at epoch 7/20 by SIGTERM, saved" in rest
    assert process.returncode == 0


# presets


def test_presets_go_by_chapter_and_a_broken_one_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    about = '[about]\ntitle = "{0}"\nsummary = "About {0}."\nchapter = {1}\n{2}[[about.try]]\nsay = "More."\n'
    files = {
        "again": about.format("again", 7, "lesson = 2\n"),
        "late": about.format("late", 7, "lesson = 1\n"),
        "first": about.format("first", 1, ""),
        "recipe": "",
        "broken": "[about\n",
    }
    for name, text in files.items():
        (tmp_path / f"{name}.toml").write_text(text + PRESET)
    (tmp_path / "faults").mkdir()
    (tmp_path / "faults" / "faulty.toml").write_text(about.format("faulty", 0, "") + PRESET)
    monkeypatch.setattr("dlcore.preset.shipped", lambda: sorted(tmp_path.glob("*.toml")))
    monkeypatch.setattr("dlcore.preset.pitfalls", lambda: sorted(tmp_path.glob("faults/*.toml")))
    assert main(["presets"]) == 0
    out, errors = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")] == [
        "first",
        "late",
        "again",
        "recipe",
        "faulty",
    ]
    assert "first   About first." in out
    assert errors.startswith("broken.toml")
    assert main(["presets", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(entry["name"], entry["chapter"], entry["pitfall"]) for entry in listed] == [
        ("first", 1, False),
        ("late", 7, False),
        ("again", 7, False),
        ("recipe", 0, False),
        ("faulty", 0, True),
    ]


def test_a_preset_is_shown_as_a_lesson_with_commands_to_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    about = """[about]
title = "The lesson"
summary = "About it."
chapter = 3
teaches = \"\"\"
A first line that is so long that whoever wrote it had to break it somewhere, which is here, and it goes
on.
A second paragraph:
  h = f(x)     a formula
\"\"\"
[[about.try]]
say = "Another width."
set = ["model.widths=[1]", "training.epochs=2"]
"""
    (tmp_path / "own.toml").write_text(about + PRESET)
    monkeypatch.chdir(tmp_path)
    assert main(["presets", "own.toml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "The lesson   chapter 3 · Hidden layers"
    assert "on." not in lines and "A second paragraph:" in lines
    assert "    h = f(x)     a formula" in lines
    assert "    dltui run own.toml --set 'model.widths=[1]' --set training.epochs=2" in lines
    assert main(["presets", "own.toml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["try"][0]["say"] == "Another width."


def test_an_unknown_preset_is_told_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets", "digits-cn"]) == 2
    assert "digits-cnn" in capsys.readouterr().err


# tell and rm


def answer(run: RunDir, ok: bool, asked: threading.Event, commands: list[str]) -> None:
    """Plays the worker: answers the first command."""
    reader = ControlReader(run.control_path, start_at_end=False)
    while not asked.wait(0.01):
        for command in reader.poll():
            commands.append(str(command))
            event = {"event": "command", "id": command.id, "command": command.command, "ok": ok}
            write_events(run, [{"seq": 99, "time": 1.0, "message": f"Heard {command}.", **event}])
            asked.set()


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 2)])
def test_tell_prints_the_worker_s_answer(
    runs: Path, ok: bool, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run, asked, commands = make_run(runs, "mine", status="running"), threading.Event(), list[str]()
    worker = threading.Thread(target=answer, args=(run, ok, asked, commands))
    with run.lock():
        worker.start()
        try:
            assert main(["tell", "mine", "lr=1e-4", "--wait", "30"]) == code
        finally:
            asked.set()
            worker.join()
    assert commands == ["lr=0.0001"]
    out, errors = capsys.readouterr()
    assert (out if ok else errors) == "mine: Heard lr=0.0001.\n"


def test_tell_without_an_answer_gives_up_in_time(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(runs, "mine", status="running")
    with run.lock():
        assert main(["tell", "pause", "--wait", "0"]) == 1
    assert "mine has not answered" in capsys.readouterr().err


def test_tell_needs_somebody_to_hear_it(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(runs, "mine", status="died")
    assert main(["tell", "mine", "pause"]) == 2
    assert capsys.readouterr().err.startswith("mine is not running (died)")
    assert not run.control_path.exists()


def test_tell_knows_its_commands(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(runs, "mine")
    assert main(["tell", "mine", "puase"]) == 2
    assert "pause" in capsys.readouterr().err


def test_rm_deletes_only_when_every_name_is_known(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = make_run(runs, "one"), make_run(runs, "two")
    assert main(["rm", "one", "tow"]) == 2
    assert one.path.exists()
    assert main(["rm", "one", "two"]) == 0
    assert not one.path.exists() and not two.path.exists()


def test_rm_leaves_a_training_run_alone(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alive, dead = make_run(runs, "alive", status="running"), make_run(runs, "dead")
    with alive.lock():
        assert main(["rm", "alive", "dead"]) == 3
    assert alive.path.exists() and not dead.path.exists()


@pytest.mark.parametrize(("typed", "left"), [("\n", True), ("y\n", False)])
def test_rm_asks_on_a_terminal(runs: Path, typed: str, left: bool) -> None:
    run = make_run(runs, "mine")
    code, written = on_a_terminal("rm", "mine", typed=typed)
    assert code == 0
    assert "Delete 1 run with all checkpoints?" in written
    assert run.path.exists() == left


# run and resume, up to where torch would be imported


def test_run_tells_everything_that_is_wrong_and_leaves_no_run(runs: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(PRESET.replace("epochs", "epoch").replace("[model]", "[modell]"))
    result = dltui("run", bad, "--set", "training.batch_size=-1")
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) >= 3
    assert "Traceback" not in result.stderr
    assert not runs.exists()


def test_a_runs_folder_that_is_none_is_said_before_anything_slow(
    runs: Path, preset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.write_text("not a folder")
    assert main(["run", str(preset)]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_a_name_that_is_taken_is_refused(
    runs: Path, preset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(runs, "mine")
    assert main(["run", str(preset), "--name", "mine"]) == 2
    assert "dltui resume mine" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["run", "mine.toml", "--name", "mine"], ["resume", "mine"]])
def test_a_held_run_exits_3_naming_its_holder(
    runs: Path, preset: Path, verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with make_run(runs, "mine", status="running").lock():
        assert main(verb) == 3
    assert f"process {os.getpid()}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change", ["model.hidden=[8]", "data.name=iris", "training.seed=3", "optimizer.name=sgd", "about.title=x"]
)
def test_resume_keeps_what_is_trained(runs: Path, change: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(runs, status="stopped")
    before = run.preset_path.read_bytes()
    assert main(["resume", "--set", change, "--set", "training.epochs=40"]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert f"--set {change}: a run keeps" in errors
    assert run.preset_path.read_bytes() == before


def test_a_finished_run_says_how_to_train_on(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(runs, "mine")
    assert main(["resume", "mine"]) == 2
    assert "dltui resume mine --set training.epochs=40" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["ls"], ["ls", "--json"], ["presets"], ["models", "mlp"], ["--help"]])
def test_a_full_disk_behind_standard_output_is_a_sentence(runs: Path, verb: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "tui.cli", *verb]
        ended = subprocess.run(
            command, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert ended.returncode == 2
    assert ended.stderr == "the output cannot be written: No space left on device; make room for it\n"


def test_a_full_disk_behind_both_streams_keeps_the_exit_code(runs: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "tui.cli", "show", "nothing"]
        assert (
            subprocess.run(command, env=environment(), stdout=full, stderr=full, timeout=60).returncode == 2
        )


@pytest.mark.parametrize(("verb", "code"), [("ls", 0), ("presets", 0), ("rm nothing", 2), ("rm kept", 0)])
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_lead_nowhere(runs: Path, verb: str, code: int, closed: str) -> None:
    make_run(runs, "kept")
    line = f"exec {sys.executable} -m tui.cli {verb} {closed}"
    ended = subprocess.run(
        ["/bin/sh", "-c", line], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == code
    assert "Traceback" not in ended.stdout + ended.stderr
