"""The doctor against presets with one fault each, and against healthy ones: every row of the table of `table`.

A header says what the doctor says of a preset with a fault, and how it is asked: before it trains, or of the run.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dlcore import preset as presets
from dlcore.doctor.record import Record
from dlcore.doctor.registry import rules
from dlcore.run_dir import RunDir
from tests.core.doctor import table
from tests.core.doctor.table import LESSONS, asked_before, expected, header
from tests.core.preset_runs import train
from tests.core.real_presets import folder_of_real_data, has_bundled_data, overrides

QUICK_RUNS = {
    "vanishing-sigmoid",
    "lr-too-high",
    "lr-too-low",
    "dead-relus",
    "log-of-nothing",
    "digits-vanishing",
}
QUICK_PRESETS = {"iris-perceptron", "digits-mlp", "wine-mlp", "spirals-mlp"}
QUICK_TRAININGS = {"iris-perceptron", "digits-mlp"}

BEFORE = [path for path in presets.pitfalls() if asked_before(path)]
AFTER = [path for path in presets.pitfalls() if not asked_before(path)] + LESSONS
HEALTHY = [path for path in presets.shipped() if path not in LESSONS]


def marked(paths: list[Path], quick: set[str]) -> list[object]:
    slow = pytest.mark.slow, pytest.mark.timeout(3600)
    return [pytest.param(path, id=path.stem, marks=() if path.stem in quick else slow) for path in paths]


@pytest.fixture
def with_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Where data sets and runs are."""
    scratch, runs = tmp_path / "data", tmp_path / "runs"
    scratch.mkdir()
    runs.mkdir()
    monkeypatch.setenv("DLTUI_DATA", str(scratch))
    monkeypatch.setenv("DLTUI_RUNS", str(runs))
    return scratch, runs


def own_data(path: Path, scratch: Path, runs: Path) -> list[str]:
    """What points a preset at its data; skips it where there is none."""
    data = folder_of_real_data()
    if data is None and not has_bundled_data(path):
        pytest.skip("needs the folder of real data sets (set DLTUI_TEST_DATA)")
    sets = [] if data is None else overrides(path, data, scratch)
    if path.stem == "digits-transfer":  # goes on from another lesson
        train("digits-0-4", runs, "training.device=cpu")
    return sets


def test_there_are_pitfalls_of_every_kind() -> None:
    assert len(BEFORE) >= 12
    assert len(AFTER) >= 12
    assert {expected(path) for path in presets.pitfalls()} <= {rule.name for rule in rules()}


@pytest.mark.parametrize("path", presets.pitfalls(), ids=lambda path: path.stem)
def test_a_pitfall_says_what_it_is(path: Path) -> None:
    about = presets.load(path, builders=False).about
    assert f"dltui doctor {path.stem}" in header(path)
    assert expected(path)
    assert about.title
    assert about.summary
    assert about.teaches
    assert about.chapter == 0


@pytest.mark.parametrize("path", BEFORE, ids=lambda path: path.stem)
def test_a_fault_is_named_before_training(path: Path) -> None:
    row = table.noted(table.before(path))
    assert row.right, str(row)


@pytest.mark.parametrize("path", marked(AFTER, QUICK_RUNS))
def test_a_fault_is_named_while_training(path: Path, with_data: tuple[Path, Path]) -> None:
    row = table.noted(table.after(path, with_data[1]))
    assert row.right, str(row)
    assert row.findings[0].evidence
    assert row.findings[0].changes


@pytest.mark.parametrize("path", marked(HEALTHY, QUICK_PRESETS))
def test_a_healthy_preset_is_left_alone_before_training(path: Path, with_data: tuple[Path, Path]) -> None:
    row = table.noted(table.before(path, *own_data(path, *with_data)))
    assert row.right, row.told


@pytest.mark.parametrize("path", marked(HEALTHY, QUICK_TRAININGS))
def test_a_healthy_preset_is_left_alone_while_training(path: Path, with_data: tuple[Path, Path]) -> None:
    scratch, runs = with_data
    sets = own_data(path, scratch, runs)
    row = table.noted(table.after(path, runs, *sets))
    assert row.right, row.told
    (run,) = [each for each in runs.iterdir() if each.name.endswith(path.stem)]
    told = [e for e in Record.read(RunDir(run)).of_kind("finding") if e["severity"] == "error"]
    assert told == [], "on the way, too"


def test_findings_are_told_as_events_while_training(tmp_path: Path) -> None:
    run = train("lr-too-low", tmp_path, "training.device=cpu").path
    record = Record.read(RunDir(run))
    told = [event["rule"] for event in record.of_kind("finding")]
    assert "learning rate too low" in told
    assert len(told) == len(set(told))
