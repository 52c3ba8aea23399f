"""The network's output against what the task's loss wants: the row that fails, why, and a fix that was tried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dlcore import preset as presets
from dlcore.data.spec import DataSpec
from dlcore.engine.specs import stand_in
from dlcore.errors import UserError
from dlcore.inspecting import from_preset
from dlcore.inspection.programs import Attempt
from dlcore.inspection.records import LOSS
from dlcore.inspection.shapes import Options
from dlcore.preset import loads
from dlcore.registry import DATA

DIGITS = DataSpec("image", (1, 8, 8), "class", 10)
NUMBERS = DataSpec("vector", (10,), "number", 1)
YES_NO = DataSpec("vector", (10,), "binary", 1, class_names=("no", "yes"))
MASKS = DataSpec("image", (3, 16, 16), "mask", 4)
TOKENS = DataSpec("tokens", (12,), "tokens", 30, "int64", vocabulary=tuple("abcdefghijklmnopqrstuvwxyzABCD"))

HEAD = "nn.Linear(64, 10)", "return self.head(x.flatten(1))"
CASES = [
    # what, data, the last layer, forward, what the sentence says, what the first fix says
    ("too few classes", DIGITS, "nn.Linear(64, 7)", HEAD[1], "10 classes, not 7", "out_features=10"),
    ("too many classes", DIGITS, "nn.Linear(64, 12)", HEAD[1], "10 classes, not 12", "out_features=10"),
    ("an axis too many", DIGITS, HEAD[0], HEAD[1] + ".unsqueeze(1)", "gives 4×1×10", "without unsqueeze"),
    ("class numbers", DIGITS, HEAD[0], HEAD[1] + ".argmax(1)", "no slope", "without argmax"),
    ("two results", DIGITS, HEAD[0], "y = self.head(x.flatten(1))\n        return y, y.softmax(1)", "2 tensors",
     "return y"),
    ("an answer for each row", DIGITS, "nn.Linear(8, 10)", "return self.head(x.squeeze(1))", "gives 4×8×10", "[:, -1]"),
    ("numbers without their axis", NUMBERS, "nn.Linear(10, 1)", "return self.head(x).squeeze(1)", "needs 4×1",
     "without squeeze"),
    ("two numbers for one", NUMBERS, "nn.Linear(10, 2)", "return self.head(x)", "gives 4×2", "out_features=1"),
    ("two scores for yes or no", YES_NO, "nn.Linear(10, 2)", "return self.head(x)", "needs 4×1", "out_features=1"),
    ("yes or no without its axis", YES_NO, "nn.Linear(10, 1)", "return self.head(x)[:, 0]", "gives 4", "unsqueeze(1)"),
    ("too few classes of pixels", MASKS, "nn.Conv2d(3, 2, 1)", "return self.head(x)", "4 classes, not 2",
     "out_channels=4"),
    ("channels last", MASKS, "nn.Conv2d(3, 4, 1)", "return self.head(x).permute(0, 2, 3, 1)", "needs 4×4×16×16",
     "without permute"),
    ("vocabulary before time", TOKENS, "nn.Embedding(30, 30)", "return self.head(x).transpose(1, 2)", "needs 4×12×30",
     "without transpose"),
]  # fmt: skip


def attempt(folder: Path, spec: DataSpec, head: str, forward: str) -> tuple[Attempt, list[Any]]:
    (folder / "net.py").write_text(
        f"from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self, spec):\n"
        f"        super().__init__()\n        self.head = {head}\n\n    def forward(self, x):\n        {forward}\n"
    )
    text = '[data]\nname = "digits"\n[model]\nname = "net.py:Net"\n[training]\nbatch_size = 4\n'
    subject = from_preset(loads(text, "own.toml", builders=True, base=folder), spec, Options())
    done = subject.run(4)
    return done, list(subject.fixes()) if not done.works else []


@pytest.mark.parametrize(("spec", "head", "forward", "says", "fix"), [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])  # fmt: skip
def test_an_output_that_the_loss_cannot_compare(
    tmp_path: Path, spec: DataSpec, head: str, forward: str, says: str, fix: str
) -> None:
    done, fixes = attempt(tmp_path, spec, head, forward)
    assert done.result is not None
    failure = done.result.trace.failure
    assert failure is not None
    assert failure.path == LOSS
    assert says in failure.message
    assert failure.line is not None and failure.line.file == str(tmp_path / "net.py")
    assert done.result.trace.rows[-1].path == "head", "every row up to it is there"
    assert fix in fixes[0].say, [each.say for each in fixes]
    assert fixes[0].file == str(tmp_path / "net.py")
    assert (tmp_path / "net.py").read_text().count("\n") > 5, "nothing is written"


def test_a_loss_that_fits_is_the_last_row(tmp_path: Path) -> None:
    done, _ = attempt(tmp_path, DIGITS, *HEAD)
    assert done.result is not None and done.works
    last = done.result.trace.rows[-1]
    assert (last.path, last.type) == (LOSS, "classification")
    assert [info.text for info in last.inputs] == ["4×10", "4"]
    assert [info.text for info in last.outputs] == ["()"]


def test_a_loss_of_the_users_own_is_mended_in_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text(
        "import torch.nn.functional as F\nfrom dlcore.tasks.classification import Classification\n\n\n"
        "class Own(Classification):\n    def loss(self, batch, phase):\n        logits = self.model(batch.inputs)\n"
        "        return F.cross_entropy(logits, batch.targets.float()), logits\n"
    )
    text = '[data]\nname = "digits"\n[model]\nname = "mlp"\n[task]\nname = "task.py:Own"\n'
    subject = from_preset(loads(text, "own.toml", builders=True, base=tmp_path), DIGITS, Options())
    done = subject.run(4)
    assert done.result is not None
    failure = done.result.trace.failure
    assert failure is not None
    assert (failure.path, failure.kind) == (LOSS, "dtype")
    assert failure.line is not None and failure.line.file == str(tmp_path / "task.py")


@pytest.mark.parametrize("path", presets.shipped(), ids=lambda path: path.stem)
def test_every_shipped_preset_fits_its_loss(path: Path) -> None:
    weights = ['model.weights=""'] if "weights = " in path.read_text() else []
    preset = presets.load(path, ["training.batch_size=4", *weights], builders=True)
    spec = stand_in(DATA.entry(preset.data.name, preset.base))
    assert spec is not None
    done = from_preset(preset, spec, Options()).run(4)
    told = done.result.trace.failure if done.result else None
    assert told is None
    assert done.works or isinstance(done.error, UserError), "it needs to know more of its data than its kind"
