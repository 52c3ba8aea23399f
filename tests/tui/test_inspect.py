"""`dltui inspect` as a page and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tui.cli import main

CODE = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.conv(x).flatten(1))
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.py"
    path.write_text(CODE)
    return path


def test_the_table_survives_a_mismatch_and_the_patch_is_printed(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", "net.py:Net", "--input", "4x1x5x5"]) == 2
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert any(line.split()[:2] == ["conv", "Conv2d"] and "B×8×3×3" in line for line in lines)
    assert any(line.startswith("✗ out") and "4×72" in line for line in lines)
    (number,) = [number for number, line in enumerate(lines) if "net.py:12  return" in line]
    start = lines[number].index("self.out(")
    assert lines[number + 1].index("^") == start
    assert "4×[72] and 3×[8]" in text
    assert "fix in_features=72" in text
    assert "+        self.out = nn.Linear(72, 3)" in lines
    assert own.read_text() == CODE


def test_a_network_that_fits_has_totals(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "net.py:Net", "-i", "Bx1x3x3"]) == 0
    text = capsys.readouterr().out
    assert "107 (428 B)" in text
    assert "the output keeps it: B×3" in text
    assert "3×3" in text and "net.py:12" in text


def test_operations_have_a_row_each(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "net.py:Net", "--input", "4x1x3x3", "--operations"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "net.py:12" in line]
    assert [cells[1] for cells in lines] == ["conv2d", "flatten", "linear"]


def test_json_is_one_object(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "net.py:Net", "--input", "4x1x5x5", "--json"]) == 2
    facts = json.loads(capsys.readouterr().out)
    assert facts["failure"]["path"] == "out"
    assert facts["fixes"][0]["file"].endswith("net.py")


def test_what_is_hostile_is_shown_and_not_obeyed(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own.write_text(CODE.replace("(8, 3)", "(8, 3)  # \x1b[31m red"))
    main(["inspect", "net.py:Net", "--input", "4x1x5x5"])
    assert "\x1b" not in capsys.readouterr().out
