"""A step's memory and work: one figure wherever it is told, for presets and for networks that come alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dlcore import checking, inspecting
from dlcore import preset as presets
from dlcore.choosing import Fits
from dlcore.engine.engine import Engine, Question
from dlcore.inspection.breaking_off import BreakOff
from dlcore.inspection.shapes import Arguments
from dlcore.opening import load_and_build
from dlcore.preset.toml import to_toml
from dlcore.step_cost import UNSEEN, memory_alone, memory_of_preset
from dlcore.training.memory import MemorySplit
from tests.core.allocations import allocated
from tests.core.test_shipped_presets import PLAYED, SHORTER, with_batches, with_stand_in

CPU = ("training.device=cpu", "training.threads=1")
FEW = ("digits-cnn", "digits-gan", "digits-transfer")

READER = """
from torch import nn


class Reader(nn.Module):
    '''Goes one way or the other, as its numbers are.'''

    def __init__(self, spec):
        super().__init__()
        self.layer = nn.Linear(64, spec.num_outputs)

    def forward(self, inputs):
        outputs = self.layer(inputs.flatten(1))
        return outputs * 2 if outputs.sum().item() > 0 else outputs
"""


def told_in_new_run(preset: presets.Preset) -> Any:
    """What the app is told in the end."""
    sections = ("data", "model", "task", "optimizer")
    values: dict[str, Any] = {
        name: {"name": getattr(preset, name).name, **getattr(preset, name).options} for name in sections
    }
    values["training"] = preset.training.model_dump()
    said: list[Mapping[str, Any]] = []
    engine = Engine(said.append)
    base = str(preset.base)
    question: Question | None = Question(1, "shapes", {"values": values, "base": base})
    while question is not None:
        engine.work(question)
        question = engine.inbox.take(60) if said[-1].get("more") else None
    return said[-1]["answer"]["memory"]


@pytest.mark.parametrize("name", with_batches(FEW))
def test_one_figure_wherever_a_preset_is_looked_at(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_stand_in(name, tmp_path, monkeypatch)
    sets = (*CPU, *SHORTER.get(name, ()))
    preset = presets.load(name, sets, builders=True)

    checked = checking.check(preset)["memory"]
    inspected = inspecting.inspect(name, sets=sets)["memory"]
    fitted = Fits(load_and_build(preset, lambda line: None)).expected(
        min(preset.training.batch, checking.check(preset)["data"]["train"])
    )

    del checked["free"]
    assert checked == inspected == told_in_new_run(preset)
    assert fitted <= checked["peak"]
    if preset.training.accumulate == 1:
        assert fitted == checked["peak"]


def check(*sets: str, name: str = "digits-mlp") -> dict[str, int]:
    found: dict[str, int] = checking.check(presets.load(name, (*CPU, *sets), builders=True))["memory"]
    return found


@pytest.mark.parametrize("times", [2, 5])
def test_batches_of_a_step_are_there_at_once(times: int) -> None:
    one, several = check(), check(f"training.accumulate={times}")
    assert several["data"] == times * one["data"]
    assert several["activations"] == one["activations"]


def test_what_is_computed_twice_is_not_kept() -> None:
    usual = check(name="digits-cnn")
    twice = check("training.gradient_checkpointing=true", name="digits-cnn")
    assert twice["peak"] < usual["peak"]
    assert twice["weights"] == usual["weights"]


def test_a_step_that_reads_numbers_is_made_on_a_copy(tmp_path: Path) -> None:
    (tmp_path / "reader.py").write_text(READER)
    sections = {"data": {"name": "digits"}, "model": {"name": f"{tmp_path / 'reader.py'}:Reader"}}
    preset = presets.loads(to_toml(sections), "own", CPU, builders=True)
    built = load_and_build(preset, lambda line: None)
    before = {name: value.clone() for name, value in built.parts.model.state_dict().items()}

    memory = checking.check(preset)["memory"]

    assert memory["weights"] == 4 * (64 * 10 + 10)
    assert memory["data"] == 64 * (64 * 4 + 8)
    assert Fits(built).expected(64) == 0  # so it is only tried
    assert all(torch.equal(value, before[name]) for name, value in built.parts.model.state_dict().items())


def test_what_is_played_is_known_from_playing() -> None:
    assert check(name=PLAYED)["peak"] > 0
    assert inspecting.inspect(PLAYED, sets=CPU)["memory"] is None


class Two(nn.Module):
    """Takes two inputs and gives two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(300, 400), nn.Linear(300, 50)

    def forward(self, left: torch.Tensor, *, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.first(left).relu()
        return hidden.sum(1), self.second(right).relu()


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_network_without_data_is_expected_like_one_with(device: str) -> None:
    model, inputs = Two(), (torch.randn(64, 300), torch.randn(64, 300))
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        sum(output.mean() for output in model(inputs[0], right=inputs[1])).backward()  # type: ignore[union-attr]
        optimizer.step()

    step()
    optimizer.zero_grad()
    held = 3 * sum(weight.nbytes for weight in model.parameters()) + sum(each.nbytes for each in inputs)
    given = held + allocated(step)

    left, right = (each.to(device) for each in inputs)
    split = memory_alone(model.to(device), Arguments((left,), {"right": right}))

    assert split is not None and given <= UNSEEN * split.peak
    assert split.peak == pytest.approx(given, rel=0.1)


def test_a_network_that_learns_nothing_has_no_step() -> None:
    frozen = nn.Linear(3, 2).requires_grad_(False)
    assert memory_alone(frozen, Arguments((torch.zeros(4, 3),), {})) is None
    assert memory_alone(frozen, Arguments((), {})) is None


def test_working_it_out_ends_when_something_else_waits() -> None:
    preset = presets.load("digits-mlp", CPU, builders=True)
    parts = load_and_build(preset, lambda line: None).parts
    asked: list[int] = []

    def waits() -> bool:
        asked.append(1)
        return len(asked) > 5

    end = BreakOff(waits)
    assert memory_of_preset(preset, "fp32", parts.model, parts.data.spec, 64, within=end) is None
    assert end.done and len(asked) == 6
    whole = memory_of_preset(preset, "fp32", parts.model, parts.data.spec, 64, within=BreakOff(lambda: False))
    assert isinstance(whole, MemorySplit)
