"""`dltui bench`: the page of what was measured, its JSON, and one sentence for each mistake."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tui.cli import main
from tui.commands.bench import page

FACTS: dict[str, Any] = {
    "preset": "digits-cnn", "model": "cnn", "data": "digits", "task": "classification", "device": "cpu",
    "precision": "fp32", "threads": 2, "batch_size": 64,
    "accumulate": 2, "unit": "samples",
    "choices": {"threads": "2 (they sleep while they wait: cores are shared)"},
    "ours": {"median": 17641.0, "low": 17025.0, "high": 20488.0},
    "bare": {"median": 17300.0, "low": 17000.0, "high": 20000.0},
    "ratio": {"median": 1.02, "low": 0.99, "high": 1.04, "rounds": 7, "steps": 1},
    "split": {"recording": 5e-5, "backward": 1.24e-3, "data": 1.3e-4, "forward": 2.18e-3, "optimizer": 2e-4},
    "memory": {"peak": 434110464, "before": 414187520, "kind": "resident"},
    "flops": {"step": 131_000_000, "achieved": 3.6e10, "peak": 1.15e11, "share": 0.313,
              "peak_of": "convolution", "how": "counted while …"},
    "changes": [
        {"set": ["training.batch_size=256"], "say": "4 times fewer steps", "median": 1.45, "low": 1.4, "high": 1.5,
         "worth": True},
        {"set": ["training.threads=1"], "say": "last digits", "median": 0.47, "low": 0.4, "high": 0.5, "worth": False},
    ],
    "not_tried": {"training.workers": "the data is in memory"},
    "notes": ["2 samples were dropped"],
    "seconds": 25.0,
}  # fmt: skip


def shown(facts: dict[str, Any], width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(page(facts))
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, written.splitlines())) <= width
    return str(written)


def test_a_page_says_everything_that_was_measured() -> None:
    text = shown(FACTS)
    for figure in (
        "17,641", "1.02× [0.99, 1.04]", "7 rounds", "1 step each", "64 × 2", "57.4%", "2.18 ms", "50.0 µs",
        "414 MiB", "19.0 MiB more", "131 MFLOP", "36 GFLOP/s", "31.3%",
        "115 GFLOP/s of the fastest convolution here", "training.batch_size=256", "1.45×",
        "0.47×", "2 (they sleep while they wait", "samples/s", "the data is in memory", "2 samples were dropped",
    ):  # fmt: skip
        assert figure in text, figure
    assert "Faster here: --set training.batch_size=256, 1.45×." in text


def test_parts_of_a_step_come_in_the_order_they_are_made() -> None:
    text = shown(FACTS)
    assert sorted(("data ", "forward", "backward", "optimizer", "recording"), key=text.index)[0] == "data "
    assert (
        text.index("forward ") < text.index("backward ") < text.index("optimizer ") < text.index("recording ")
    )


def test_nothing_is_promised_where_nothing_pays() -> None:
    slow = {**FACTS, "changes": [FACTS["changes"][1]]}
    assert "No change that was tried makes it faster here." in shown(slow)


def test_a_narrow_terminal_loses_no_figure() -> None:
    assert "1.45×" in shown(FACTS, width=80)


def test_hostile_names_are_made_visible() -> None:
    assert "\x1b" not in shown({**FACTS, "model": "\x1b[31mred", "notes": ["\x1b]0;x\x07"]})


def test_json_is_all_that_is_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    code = main(["bench", "iris-perceptron", "--set", "training.device=cpu", "--seconds", "1", "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert code == 0
    assert facts["ratio"]["median"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "there is no preset 'nowhere'"),
        (["digits-mlp", "--set", "training.bach_size=3"], "batch_size"),
        (["digits-mlp", "--seconds", "0"], "seconds"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
