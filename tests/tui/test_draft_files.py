"""Presets into drafts, drafts into files and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dlcore import launch, preset
from dlcore.engine.drafts import validate
from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from tui import draft_files
from tui.draft import BLANK, Draft


@pytest.mark.parametrize("name", [path.stem for path in preset.shipped()])
def test_every_shipped_preset_is_a_draft_without_faults(name: str) -> None:
    draft = draft_files.load(name)
    told = validate({"values": draft.values, "base": str(draft.base)})
    assert [place for place, _ in told["faults"] if place != ["data", "path"]] == []
    assert draft.command() == f"dltui run {name}" and not draft.changed


def test_a_path_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('[model]\nname = "cnn"\n')
    draft = draft_files.load("mine.toml")
    assert (draft.values, draft.source, draft.base) == ({"model": {"name": "cnn"}}, "mine.toml", tmp_path)


@pytest.mark.parametrize("text", ["[model\n", "\0", "x = 1", ""])
def test_any_text_is_a_draft_or_an_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    try:
        assert draft_files.load(str(path)).values == {}
    except UserError as error:
        assert len(error.lines) == 1


def test_what_is_saved_loads_the_same(tmp_path: Path) -> None:
    draft = Draft(BLANK)
    draft.set("training", "epochs", 3, 10)
    draft_files.save(draft, tmp_path / "saved.toml")
    assert draft_files.load(str(tmp_path / "saved.toml")).values == draft.values


def test_a_run_is_made_and_its_worker_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(
        launch, "start_detached", lambda run, **options: calls.append((run, options["wait_ready"]))
    )
    draft = Draft(BLANK)
    draft.set("training", "epochs", 3, 10)
    path = draft_files.start(draft, tmp_path / "runs")
    assert calls == [(RunDir(path), False)]
    assert path.parent == tmp_path / "runs" and path.name.endswith("-digits-cnn")
    assert "epochs = 3" in RunDir(path).preset_path.read_text()


def test_a_run_that_cannot_start_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> int:
        raise UserError("no data")

    monkeypatch.setattr(launch, "start_detached", fails)
    with pytest.raises(UserError, match="no data"):
        draft_files.start(Draft(BLANK), tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_runs_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(UserError):
        draft_files.start(Draft(BLANK), tmp_path / "runs")


def test_a_wrong_draft_is_told_before_a_run_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training\.epochs"):
        draft_files.start(Draft({**BLANK, "training": {"epochs": "x"}}), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
