"""`dltui shape` on the command line."""

from __future__ import annotations

import json

import pytest

from tui.cli import main

LINE = "Conv2d(3,32,3,padding=1) > MaxPool2d(2) > Flatten() > Linear(?,10)"


def test_steps_solution_and_result(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shape", LINE, "--input", "8x3x32x32"]) == 0
    text = capsys.readouterr().out
    assert "Linear(8192, 10)" in text and "result  8×10" in text


def test_a_problem_is_underlined(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shape", "a: 3x4; b: 5x4; a @ b"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].strip() == "a: 3x4; b: 5x4; a @ b"
    assert lines[1].index("^") == lines[0].index("a @ b") and lines[1].count("^") == 5
    assert "cannot multiply" in lines[2]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shape", "grad x**2 at x=3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["result"] == "x**2 = 9, d/dx = 6"
