"""The doctor's panel: findings as they are, and a key that sets up a new run with the remedy."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.tui.inspection_cases import ailing_run
from tests.tui.piloting import app_on, until
from tests.tui.recorded import HOSTILE, make_run
from tests.tui.run_cases import open_run
from tui import draft_files
from tui.cli import main
from tui.panels.doctor import DoctorPanel, lines
from tui.screens.new_run import NewRunScreen
from tui.widgets.page import Page


async def test_findings_are_listed_and_the_first_one_told_in_full(home: Path) -> None:
    run = ailing_run(home)
    async with app_on(home).run_test(size=(120, 40)) as pilot:
        screen = await open_run(pilot, run)
        await pilot.press("9")
        panel = screen.query_one(DoctorPanel)
        await until(pilot, lambda: panel.findings)
        said = panel.query_one(Page).text
        assert [finding.rule for finding in panel.findings] == ["overfitting", "waiting for data"]
        assert "val/loss 0.3 at step 24" in said
        assert re.search(r"^ *d +Stop when it no longer gets better", said, re.MULTILINE)
        assert str(panel.frame_state) == "▲ 2"


async def test_a_key_sets_up_a_run_with_the_remedy(home: Path) -> None:
    run = ailing_run(home)
    async with app_on(home).run_test(size=(120, 40)) as pilot:
        screen = await open_run(pilot, run)
        await pilot.press("9")
        panel = screen.query_one(DoctorPanel)
        await until(pilot, lambda: panel.findings)
        await pilot.press("n")
        change = panel.change
        assert change is not None
        await pilot.press("d")
        await until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen))
        new = pilot.app.screen
        assert isinstance(new, NewRunScreen)
        await until(pilot, lambda: new.draft is not None)
        assert new.draft is not None
        assert new.draft.get("training", "workers") == 2
        assert change.set == ("training.workers=2",)


async def test_a_healthy_run_is_told_so(home: Path) -> None:
    run = make_run(home)
    async with app_on(home).run_test(size=(120, 40)) as pilot:
        screen = await open_run(pilot, run)
        await pilot.press("9")
        panel = screen.query_one(DoctorPanel)
        await until(pilot, lambda: panel.ready)
        assert "Nothing found" in panel.query_one(Page).text
        assert panel.frame_tone == "success"


def test_a_draft_of_a_run_takes_the_files_of_its_preset_s_folder(home: Path) -> None:
    run = make_run(home)
    about = json.loads(run.run_json_path.read_text())
    run.write_json_atomic("run.json", about | {"base": "/somewhere/else"}, durable=False)
    draft = draft_files.load(str(run.preset_path), ["optimizer.lr=0.01", "model.name=mlp"])
    assert draft.base == Path("/somewhere/else")
    assert draft.get("optimizer", "lr") == 0.01
    assert draft.get("model", "name") == "mlp"
    assert draft.get("model", "channels") is None


def test_hostile_findings_are_made_harmless() -> None:
    from dlcore.doctor.findings import Change, Finding

    text = HOSTILE.encode("utf-8", "replace").decode()
    finding = Finding("x", "error", text, text, text, (Change(text, (text,)),))
    assert "\x1b" not in "".join(part.text for line in lines([finding], 0, 0, 40) for part in line)


def test_the_command_tells_what_why_and_what_to_try(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ailing_run(home)
    assert main(["doctor", run.name, "--runs", str(home)]) == 0
    said = capsys.readouterr().out
    assert "Overfitting since step 24" in said
    assert "--set training.workers=2" in said
    assert "0 errors, 2 hints." in said


def test_the_command_as_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ailing_run(home)
    main(["doctor", run.name, "--runs", str(home), "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["run"] is True
    assert [finding["rule"] for finding in answer["findings"]] == ["overfitting", "waiting for data"]


def test_the_command_examines_a_preset(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "softmax-twice"]) == 1
    assert "The network ends in softmax" in capsys.readouterr().out


def test_an_unknown_subject_is_bad_input(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "nothing-of-the-kind", "--runs", str(home)]) == 2
    assert "nothing-of-the-kind" in capsys.readouterr().err
