"""`dltui doctor` asked for what cannot be examined: one plain sentence each, and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlcore.run_dir import RunDir
from tui.cli import main

NET = """
from torch import nn


class Raises(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, inputs):
        raise ValueError("my own mistake")


class CannotBeMade(Raises):
    def __init__(self, spec):
        raise RuntimeError("not made")


class WantsFive(Raises):
    def forward(self, inputs):
        return nn.functional.linear(inputs[:, :3], self.layer.weight)


class NoFewSamples(Raises):
    def forward(self, inputs):
        assert len(inputs) > 10, "few"
        return self.layer(inputs)


class Leaves(Raises):
    def forward(self, inputs):
        raise SystemExit(0)
"""
PRESET = '[data]\nname = "iris"\n[model]\nname = "{model}"\n'


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLTUI_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("DLTUI_USER_FILES", "{}")
    monkeypatch.syspath_prepend(str(tmp_path / "nowhere"))  # puts sys.path back afterwards
    (tmp_path / "runs").mkdir()
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence."""
    assert main(["doctor", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("net.py:Raises", "line 11 of net.py, in forward: ValueError: my own mistake"),
        ("net.py:CannotBeMade", "line 16 of net.py, in __init__: RuntimeError: not made"),
        ("net.py:NoFewSamples", "line 26 of net.py, in forward: AssertionError: few"),
        ("net.py:Leaves", "line 32 of net.py, in forward: SystemExit: 0"),
        ("net.py:WantsFive", "a batch does not get through the network (WantsFive), line 21 of net.py, in forward: "),
        ("net.py:Nobody", "'net.py' has no 'Nobody'"),
        ("gone.py:Net", "there is no file 'gone.py'"),
    ],
)  # fmt: skip
def test_a_network_that_fails_is_told_by_its_own_line(
    model: str, sentence: str, asked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (asked / "own.toml").write_text(PRESET.format(model=model))
    assert sentence in refused(capsys, "own.toml")


@pytest.mark.parametrize("subject", ["gone.toml", "no-such-run"])
def test_what_is_not_there_is_said_to_be_missing(
    subject: str, asked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "there is no" in refused(capsys, subject)


def test_a_damaged_run_is_not_called_healthy(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunDir.create(asked / "runs", "damaged", "own")
    for path in (run.run_json_path, run.preset_path, run.events_path):
        path.write_text("{")
    assert "missing or damaged" in refused(capsys, run.name)


def test_a_run_that_has_just_begun_is_to_be_asked_again(
    asked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDir.create(asked / "runs", "young", "own")
    run.preset_path.write_text(PRESET.format(model="mlp"))
    with run.lock():
        run.write_state({"status": "running"})
        assert "nothing is recorded yet" in refused(capsys, run.name)


def test_a_run_that_failed_at_once_says_why(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunDir.create(asked / "runs", "failed", "own")
    run.preset_path.write_text(PRESET.format(model="mlp"))
    run.write_state({"status": "failed", "error": "the disk is full"})
    assert refused(capsys, run.name).endswith("the disk is full")
