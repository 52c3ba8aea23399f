"""`dltui run`, `resume` and `check` for real: processes that load torch and train a little."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dlcore.run_dir import RunDir
from tests.tui.test_cli import dltui, environment

PRESET = """
[data]
name = "digits"
[model]
name = "mlp"
widths = [32]
[training]
epochs = 2
device = "cpu"
threads = 1
"""
NET = """
from torch import nn

class Net(nn.Sequential):
    '''Says things.'''

    def __init__(self, spec):
        print("hello from the user")
        super().__init__(nn.Flatten(), nn.Linear({features}, spec.num_outputs))
"""


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DLTUI_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(PRESET)
    return path


def own_net(folder: Path, features: int) -> Path:
    """A preset in a folder of its own whose model is the user's, from a file beside it."""
    folder.mkdir()
    (folder / "net.py").write_text(NET.format(features=features))
    path = folder / "own.toml"
    path.write_text(PRESET.replace('"mlp"\nwidths = [32]', '"net.py:Net"'))
    return path


def test_json_is_one_object_whatever_the_user_s_code_prints(runs: Path, tmp_path: Path) -> None:
    result = dltui("run", own_net(tmp_path / "own", 64), "--json", "--name", "own")
    assert result.returncode == 0, result.stderr
    shown = json.loads(result.stdout)
    assert (shown["name"], shown["preset"], shown["status"], shown["epoch"]) == ("own", "own", "finished", 2)
    assert shown["metrics"]["test/accuracy"] > 0.2
    assert "hello from the user" in (runs / "own" / "worker.log").read_text()


def test_a_pipe_gets_lines_and_resume_trains_on_from_any_folder(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = own_net(tmp_path / "own", 64)
    monkeypatch.chdir(preset.parent)
    first = dltui("run", "own.toml", "--name", "mine")
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("mine  net.py:Net on digits")
    assert "mine finished 2 epochs" in first.stdout
    monkeypatch.chdir(runs)
    second = dltui("resume", "mine", "--set", "training.epochs=3", "--set", "optimizer.lr=1e-4", "--quiet")
    assert second.returncode == 0, second.stderr
    assert second.stdout.startswith("mine finished 3 epochs")
    assert len(second.stdout.splitlines()) == 1
    assert "lr = 0.0001" in (runs / "mine" / "preset.toml").read_text()


def test_what_only_building_can_tell_leaves_no_run(runs: Path, preset: Path) -> None:
    result = dltui("run", preset, "--set", "training.monitor=train/loss")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "training.monitor" in result.stderr
    assert list(runs.glob("*")) == []


def test_a_crash_in_the_user_s_code_shows_their_lines_and_exits_1(runs: Path, tmp_path: Path) -> None:
    preset = own_net(tmp_path / "own", 64)
    with (preset.parent / "net.py").open("a") as file:
        file.write("\n    def forward(self, inputs):\n        return super().forward(inputs[:, :, :4])\n")
    result = dltui("run", preset, "--name", "own")
    assert result.returncode == 1
    assert "own failed at epoch 0/2: RuntimeError: " in result.stderr
    _, first, *calls, last = result.stderr.partition("Traceback")[2].splitlines()
    assert "of dltui and libraries)" in first
    assert f'  File "{preset.parent / "net.py"}", line 12, in forward' in calls
    assert not any("torch" in line for line in calls)
    assert last.startswith("RuntimeError: ") and "mat1 and mat2 shapes" in last
    assert "torch" in (runs / "own" / "worker.log").read_text()


def test_check_names_the_layer_that_does_not_fit_and_exits_2(runs: Path, tmp_path: Path) -> None:
    preset = own_net(tmp_path / "own", 63)
    result = dltui("check", preset)
    assert result.returncode == 2
    assert "640" in result.stdout
    assert "63" in result.stderr and "64" in result.stderr
    assert not runs.exists()


def test_check_json_counts_what_the_table_shows(runs: Path, preset: Path) -> None:
    result = dltui("check", preset, "--json")
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert (
        facts["parameters"]
        == sum(row["parameters"] for row in facts["layers"])
        == 64 * 32 + 32 + 32 * 10 + 10
    )
    assert not runs.exists()


def test_ctrl_c_saves_exits_130_and_the_run_goes_on(runs: Path, preset: Path) -> None:
    command = [sys.executable, "-m", "tui.cli", "run", str(preset), "--name", "mine", "--set"]
    process = subprocess.Popen(
        [*command, "training.epochs=100000"],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith("epoch 1/"):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the painter, too
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "by ctrl+c, saved\ndltui resume mine\n" in rest
    stopped = RunDir(runs / "mine").summary()
    assert stopped.status == "stopped"
    resumed = dltui("resume", "--json", "--set", f"training.epochs={stopped.epoch + 2}")
    assert json.loads(resumed.stdout)["epoch"] == stopped.epoch + 2


def test_kill_9_of_the_command_is_a_death_that_its_painter_reports(runs: Path, preset: Path) -> None:
    command = [sys.executable, "-m", "tui.cli", "run", str(preset), "--name", "mine", "--set"]
    process = subprocess.Popen(
        [*command, "training.epochs=100000"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith("epoch 1/"):
        assert process.poll() is None
    process.kill()
    _, errors = process.communicate(timeout=60)  # ends when the painter, which has the pipes too, has ended
    assert "mine died at epoch" in errors
    assert RunDir(runs / "mine").summary().status == "died"


def test_a_detached_run_prints_its_name_and_trains_on(runs: Path, preset: Path) -> None:
    result = dltui("run", preset, "--detach", "--name", "mine")
    assert (result.returncode, result.stdout) == (0, "mine\n"), result.stderr
    assert json.loads(dltui("show", "mine", "--follow", "--json").stdout)["status"] == "finished"


def test_a_detached_run_that_cannot_start_leaves_nothing(runs: Path, preset: Path) -> None:
    result = dltui("run", preset, "--detach", "--set", "model.hiden=[8]")
    assert (result.returncode, result.stdout) == (2, "")
    assert "model.hiden" in result.stderr
    assert list(runs.glob("*")) == []


def test_the_painter_is_ours_whatever_lies_in_the_working_folder(runs: Path, preset: Path) -> None:
    for name in ("random.py", "json.py"):
        (preset.parent / name).write_text("raise SystemExit('taken for a library')\n")
    (preset.parent / "tui").mkdir()
    command = [sys.executable, "-P", "-c", "import sys; from tui.cli import main; sys.exit(main())"]
    result = subprocess.run(
        [*command, "run", str(preset)], env=environment(), capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert "finished 2 epochs" in result.stdout
