"""A network of the user's own that prints, warns, forks, raises or exits when it is used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.core.deploy.small_runs import TRAINING, train_text
from tui.cli import main

NET = '''
import os
import sys
import warnings

from torch import nn

print("printed at import")


class Net(nn.Module):
    """Does what the environment says."""

    def __init__(self, spec, *, hidden: int = 4):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, spec.num_outputs))

    def forward(self, inputs):
        does = os.environ.get("NET_DOES", "")
        if does == "print":
            print("noise")
            os.write(1, b"noise from below\\\\n")
        if does == "warn":
            warnings.warn("careful")
        if does == "fork":
            child = os.fork()
            if not child:
                os._exit(0)
            os.waitpid(child, 0)
        if does == "raise":
            return self.misspelt(inputs)
        if does == "exit":
            sys.exit(7)
        return self.layers(inputs)
'''
OWN = '[data]\nname = "iris"\n[model]\nname = "net.py:Net"\n' + TRAINING.replace("epochs = 3", "epochs = 1")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DLTUI_USER_FILES", "{}")
        patch.syspath_prepend(str(folder / "nowhere"))  # puts sys.path back afterwards
        (folder / "net.py").write_text(NET.replace("\\\\n", "\\n"))
        train_text(OWN, folder / "runs")
    (folder / "flowers.csv").write_text("5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n")
    return folder / "runs"


@pytest.mark.filterwarnings("default:careful")
@pytest.mark.parametrize("does", ["", "print", "warn", "fork"])
@pytest.mark.parametrize(
    "verb", [["predict", "small", "flowers.csv"], ["evaluate", "small"]], ids=["predict", "evaluate"]
)
def test_what_it_prints_never_reaches_the_answers(
    does: str, verb: list[str], runs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(runs.parent)
    monkeypatch.setenv("NET_DOES", does)
    name, _, *rest = verb
    (run,) = (path.name for path in runs.iterdir())
    assert main([name, run, *rest, "--runs", str(runs), "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)
    assert ("noise from below" in err) == (does == "print")


@pytest.mark.parametrize(
    ("does", "sentence"),
    [("raise", "AttributeError: 'Net' object has no attribute 'misspelt'"), ("exit", "SystemExit: 7")],
)
def test_what_it_raises_is_told_by_its_own_lines(
    does: str, sentence: str, runs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(runs.parent)
    monkeypatch.setenv("NET_DOES", does)
    (run,) = (path.name for path in runs.iterdir())
    assert main(["predict", run, "flowers.csv", "--runs", str(runs)]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert sentence in err.splitlines()[-1]
    named = [line for line in err.splitlines() if 'File "' in line]
    assert len(named) == 1, "the user's own line alone"
    assert named[0].strip().startswith('File "') and "net.py" in named[0]
