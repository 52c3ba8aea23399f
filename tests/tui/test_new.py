"""Starting points of the user's own: each works as it is written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dlcore import preset as presets
from dlcore.checking import check
from tui.cli import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("DLTUI_USER_FILES", "{}")
    return tmp_path


def test_all_three_kinds_go_together_in_one_preset(folder: Path) -> None:
    assert main(["new", "mine.py"]) == 0
    text = (
        '[data]\nname = "mine.py:make"\nsamples = 200\n[model]\nname = "mine.py:Net"\nhidden = 8\n'
        '[training]\ndevice = "cpu"\n'
    )
    facts = check(presets.loads(text, "mine.toml", builders=True, base=folder))
    assert facts["failure"] is None
    assert facts["data"]["train"] == 140


@pytest.mark.parametrize(
    ("kind", "setting"),
    [("model", "model.name=a.py:Net"), ("data", "data.name=a.py:make"), ("task", "task.name=a.py:OwnTask")],
)
def test_a_single_kind_is_checked_as_the_hint_says(
    kind: str, setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "a.py", "--kind", kind]) == 0
    hint = capsys.readouterr().out.splitlines()[-1].split()
    assert hint[-1] == setting
    preset = presets.load(hint[2], [setting, "training.device=cpu"], builders=True)
    assert check(preset)["failure"] is None


@pytest.mark.parametrize("source", [path.stem for path in presets.shipped()])
def test_a_preset_trains_the_same_as_the_one_it_started_from(source: str, folder: Path) -> None:
    assert main(["new", "mine.toml", "--from", source]) == 0
    mine, origin = (presets.load(name, builders=False) for name in ("mine.toml", source))
    assert mine.about.title == "mine"
    assert mine.model_dump(exclude={"about"}) == origin.model_dump(exclude={"about"})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["there.py"], "there.py is there already"),
        (["a.txt"], "name a file that ends in .py or .toml"),
        (["a.py", "--from", "digits-cnn"], "must end in .toml"),
        (["a.toml", "--from", "digits-cn"], "did you mean 'digits-cnn'?"),
        (["no/folder/a.py"], "cannot be written"),
        (["a.py", "--kind", "modle"], "say model, data, task"),
    ],
)
def test_what_cannot_be_written_is_one_sentence_and_leaves_nothing(
    arguments: list[str], sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "there.py").write_text("mine")
    assert main(["new", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line
    assert [path.name for path in folder.iterdir()] == ["there.py"]
    assert (folder / "there.py").read_text() == "mine"
