"""The doctor against presets with one fault each, and against healthy ones: a table of hits and false alarms.

A pitfall's header says what the doctor says, and how it is asked: of the preset before it trains, or of the run.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dlcore import examining
from dlcore import preset as presets
from dlcore.doctor.diagnosis import diagnose
from dlcore.doctor.findings import Finding
from dlcore.doctor.record import Record
from dlcore.doctor.registry import rules
from dlcore.run_dir import RunDir
from tests.core.preset_runs import train
from tests.core.test_shipped_presets import BUNDLED

SAYS = re.compile(r"# The doctor says: (.+)\.")
QUICK_RUNS = {"vanishing-sigmoid", "lr-too-high", "lr-too-low", "dead-relus", "log-of-nothing"}
QUICK_PRESETS = {"iris-perceptron", "digits-mlp", "wine-mlp", "spirals-mlp"}


def header(path: Path) -> str:
    return path.read_text().partition("\n[")[0]


def expected(path: Path) -> str:
    said = SAYS.search(header(path))
    assert said is not None, f"{path.name} does not say what the doctor says"
    return said.group(1)


def asked_before(path: Path) -> bool:
    return "dltui run" not in header(path)


def examined(path: Path) -> list[Finding]:
    gradcheck = "--gradcheck" in header(path)
    return diagnose(examining.examine(presets.load(path, builders=True), gradcheck=gradcheck))


def trained(name: str, runs: Path, *sets: str) -> list[Finding]:
    """A training that fails is one, too."""
    try:
        run = train(name, runs, "training.device=cpu", *sets).path
    except AssertionError:
        (run,) = [path for path in runs.iterdir() if path.is_dir()]
    return diagnose(Record.read(RunDir(run)))


BEFORE = [path for path in presets.pitfalls() if asked_before(path)]
AFTER = [path for path in presets.pitfalls() if not asked_before(path)]


def marked(paths: list[Path], quick: set[str]) -> list[object]:
    slow = pytest.mark.slow
    return [pytest.param(path, id=path.stem, marks=() if path.stem in quick else slow) for path in paths]


def test_there_are_pitfalls_of_every_kind() -> None:
    assert len(BEFORE) >= 12
    assert len(AFTER) >= 12
    assert {expected(path) for path in presets.pitfalls()} <= {rule.name for rule in rules()}


@pytest.mark.parametrize("path", presets.pitfalls(), ids=lambda path: path.stem)
def test_a_pitfall_says_what_it_is(path: Path) -> None:
    about = presets.load(path, builders=False).about
    assert f"dltui doctor {path.stem}" in header(path)
    assert about.title
    assert about.summary
    assert about.teaches
    assert about.chapter == 0


@pytest.mark.parametrize("path", BEFORE, ids=lambda path: path.stem)
def test_a_fault_is_named_before_training(path: Path) -> None:
    findings = examined(path)
    assert [finding.rule for finding in findings][:1] == [expected(path)]


@pytest.mark.parametrize("path", marked(AFTER, QUICK_RUNS))
def test_a_fault_is_named_while_training(path: Path, tmp_path: Path) -> None:
    findings = trained(path.stem, tmp_path)
    assert [finding.rule for finding in findings][:1] == [expected(path)]
    assert findings[0].evidence
    assert findings[0].changes


def healthy(findings: list[Finding]) -> bool:
    return not [f for f in findings if f.severity == "error"] and len(findings) <= 1


def has_its_data(path: Path) -> bool:
    return presets.load(path, builders=False).data.name in BUNDLED


HEALTHY = [path for path in presets.shipped() if has_its_data(path)]


@pytest.mark.parametrize("path", marked(HEALTHY, QUICK_PRESETS))
def test_a_healthy_preset_is_left_alone_before_training(path: Path) -> None:
    findings = examined(path)
    assert healthy(findings), [(f.rule, f.severity, f.evidence) for f in findings]


@pytest.mark.parametrize("path", marked(HEALTHY, {"iris-perceptron", "digits-mlp"}))
def test_a_healthy_preset_is_left_alone_while_training(path: Path, tmp_path: Path) -> None:
    findings = trained(path.stem, tmp_path)
    assert healthy(findings), [(f.rule, f.severity, f.evidence) for f in findings]
    (run,) = [each for each in tmp_path.iterdir() if each.is_dir()]
    told = [e for e in Record.read(RunDir(run)).of_kind("finding") if e["severity"] == "error"]
    assert told == [], "on the way, too"


def test_findings_are_told_as_events_while_training(tmp_path: Path) -> None:
    run = train("lr-too-low", tmp_path, "training.device=cpu").path
    record = Record.read(RunDir(run))
    told = [event["rule"] for event in record.of_kind("finding")]
    assert "learning rate too low" in told
    assert len(told) == len(set(told))
