"""What `dltui inspect` finds in presets, users' files and torchvision's networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dlcore.errors import UserError
from dlcore.inspecting import inspect

CODE = """
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self, hidden, classes=10):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.fc = nn.Linear(8 * 14 * 14, hidden)
        self.out = nn.Linear(hidden, classes)

    def forward(self, x, scale=None):
        x = F.max_pool2d(self.conv(x), 2).flatten(1)
        return {"logits": self.out(F.relu(self.fc(x)))}


class Heads(nn.Module):
    def __init__(self, width=20, heads=4):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


class Builder(nn.Module):
    def __init__(self, spec, *, width: int = 4):
        super().__init__()
        self.fc = nn.Linear(spec.input_shape[0], width)
        self.out = nn.Linear(5, spec.num_outputs)

    def forward(self, x):
        return self.out(self.fc(x))


ready = nn.Sequential(nn.Linear(4, 3))


def count():
    return 3
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "net.py"
    path.write_text(CODE)
    return str(path)


def test_a_class_with_arguments(own: str) -> None:
    facts = inspect(f"{own}:Net", ["Bx1x28x28"], ["hidden=16"], operations=True)
    assert facts["failure"] is None
    assert [row["path"] for row in facts["rows"]] == ["", "conv", "fc", "out"]
    conv = facts["rows"][1]
    assert (conv["receptive"], conv["parameters"], conv["source"]["line"]) == ([3, 3], 80, 15)
    assert facts["batch"]["rows"][1]["outputs"] == ["B×8×28×28"]
    assert {"conv2d", "max_pool2d", "flatten", "relu", "linear"} <= {
        each["name"] for each in facts["operations"]
    }
    json.dumps(facts)


def test_a_module_is_taken_as_it_is(own: str) -> None:
    assert inspect(f"{own}:ready", ["B" + "x4"])["parameters"] == 15


def test_a_failure_leaves_the_rows_before_it_and_a_tested_patch(own: str) -> None:
    facts = inspect(f"{own}:Net", ["8x1x32x32"], ["hidden=16"])
    assert [row["path"] for row in facts["rows"]] == ["conv"]
    failure = facts["failure"]
    assert (failure["path"], failure["marks"]) == ("fc", [[0, 1], [1, 1]])
    line = failure["source"][-1]
    assert line["code"][line["begin"] : line["end"]] == "self.fc(x)"
    assert "in_features=2048" in facts["fixes"][0]["say"]
    assert "nn.Linear(2048, hidden)" in facts["fixes"][0]["diff"]
    json.dumps(facts)


def test_an_argument_that_was_given_is_mended_first(own: str) -> None:
    facts = inspect(f"{own}:Heads", ["4x9x20"], ["heads=3"])
    assert facts["failure"]["kind"] == "build"
    assert facts["failure"]["source"][-1]["code"].startswith("self.attention = ")
    assert facts["fixes"][0]["set"] == {"arg": {"heads": 4}}


def test_a_builder_that_wants_a_spec_gets_one(own: str) -> None:
    facts = inspect(f"{own}:Builder", ["8x7"], ["width=5"])
    assert facts["outputs"][0]["shape"] == [8, 10]


@pytest.mark.parametrize(
    ("name", "inputs", "arguments", "says"),
    [
        ("Net", [], ["hidden=3"], "such as --input 32x1x64x64"),
        ("Net", ["8x1x28x28"], [], "--arg hidden=…"),
        ("Net", ["8x1x28x28"], ["hiden=3"], "did you mean 'hidden'?"),
        ("Net", ["8x1x28x28"], ["hidden"], "must be key=value"),
        ("Nets", ["8x1x28x28"], [], "did you mean 'Net'?"),
        ("Builder", ["8x7", "8x7"], [], "one --input"),
    ],
)
def test_a_wrong_command_line_is_told(
    own: str, name: str, inputs: list[str], arguments: list[str], says: str
) -> None:
    with pytest.raises(UserError) as raised:
        inspect(f"{own}:{name}", inputs, arguments)
    assert any(says in line for line in raised.value.lines), raised.value.lines


def test_what_builds_no_module_is_told(own: str) -> None:
    assert "not an nn.Module" in inspect(f"{own}:count", ["4x4"])["failure"]["message"]


def test_a_preset_and_its_mended_options() -> None:
    assert inspect("digits-cnn")["failure"] is None
    facts = inspect("digits-cnn", sets=["model.channels=[8, 8, 8, 8]"])
    assert "too small" in facts["failure"]["message"]
    assert facts["fixes"][0]["set"] == {"model": {"channels": [8, 8, 8]}}
    assert inspect("digits-cnn", sets=["model.channels=[8, 8, 8]"])["failure"] is None


def test_a_preset_with_the_users_own_model_is_mended_by_a_patch(own: str, tmp_path: Path) -> None:
    preset = tmp_path / "own.toml"
    preset.write_text(f'[data]\nname = "wine"\n[model]\nname = "{own}:Builder"\n')
    facts = inspect(str(preset))
    assert facts["failure"]["path"] == "out"
    assert facts["fixes"] and "net.py" in facts["fixes"][0]["diff"]
    assert inspect(str(preset), sets=["model.width=5"])["failure"] is None


@pytest.mark.parametrize("name", ["resnet18", "fcn_resnet50"])
def test_torchvision_by_name(name: str) -> None:
    facts: dict[str, Any] = inspect(f"torchvision:{name}")
    assert facts["failure"] is None
    assert facts["batch"]["outputs"][0].startswith("B×")


def test_torchvision_with_a_misspelt_name_or_no_known_input() -> None:
    with pytest.raises(UserError, match="did you mean 'resnet18'"):
        inspect("torchvision:resnet81")
    with pytest.raises(UserError, match="--input"):
        inspect("torchvision:fasterrcnn_resnet50_fpn")
