"""[model] weights, freeze, freeze_epochs and rates, from the preset to the trained run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dlcore import assembly, checking, worker
from dlcore import preset as presets
from dlcore.data.spec import Batch
from dlcore.errors import UserError
from dlcore.events import EventReader
from dlcore.preset import PresetError
from dlcore.registry import MODELS, Registry
from dlcore.registry.signatures import SchemaError
from dlcore.run_dir import RunDir
from dlcore.training.checkpoints import CheckpointFolder
from tests.core.preset_runs import process_given_back, train

SHORT = ("training.epochs=2", "training.device=cpu")
HEAD = {"head.output.weight", "head.output.bias"}
SMALL = ("model.channels=[4, 4]", "model.hidden=8", *SHORT)


def run_of(runs: Path) -> RunDir:
    """The newest one."""
    return RunDir.find(runs, None)


def weights_of(run: RunDir) -> dict[str, torch.Tensor]:
    checkpoint = CheckpointFolder(run.path / "checkpoints").newest()
    assert checkpoint is not None
    return load_file(checkpoint.path / "model.safetensors")


@pytest.fixture
def pretrained(tmp_path: Path) -> Path:
    """A folder of runs with one of digits-cnn."""
    train("digits-cnn", tmp_path / "runs", *SMALL)
    return tmp_path / "runs"


def test_weights_of_an_own_run(pretrained: Path) -> None:
    best = CheckpointFolder(run_of(pretrained).path / "checkpoints").best()
    assert best is not None
    summary = train("digits-cnn", pretrained, *SMALL, 'model.freeze=["loaded"]', 'model.weights="run:digits-cnn"',
                    'data.classes=["0", "1", "2"]')  # fmt: skip
    after, given = weights_of(RunDir.open(summary.path)), best.weights()
    same = {
        name
        for name in given
        if given[name].shape == after[name].shape and torch.equal(given[name], after[name])
    }
    assert {name for name in given if given[name].shape != after[name].shape} == HEAD
    assert same == set(given) - HEAD


def test_the_run_tells_what_was_loaded(pretrained: Path) -> None:
    run = RunDir.open(train("digits-cnn", pretrained, *SMALL, 'model.weights="run:digits-cnn"').path)
    events = EventReader(run.events_path).read()
    (told,) = [event for event in events if event["event"] == "weights"]
    assert told["message"].startswith("8 of 8 tensors from run ")
    (started,) = [event for event in events if event["event"] == "started"]
    assert started["choices"]["weights"] == told["message"]
    assert json.loads(run.run_json_path.read_bytes())["weights"]["sentence"] == told["message"]


def test_a_pretrained_start_is_better_than_a_new_one(pretrained: Path) -> None:
    preset = presets.load("digits-cnn", [*SMALL, 'model.weights="run:digits-cnn"'], builders=True)
    fresh = presets.load("digits-cnn", SMALL, builders=True)
    losses = []
    for each in (preset, fresh):
        parts = assembly.build(each, print, runs=pretrained)
        parts.model.eval()
        part = parts.data.val
        batch = Batch(part.prepare(part.inputs), part.targets, torch.arange(len(part)))
        with torch.no_grad():
            losses.append(float(parts.task.loss(batch, "main")[0]))
    assert losses[0] < losses[1] - 0.1


def test_a_reset_head_starts_new_although_the_weights_have_it(pretrained: Path) -> None:
    sets = [*SMALL, 'model.weights="run:digits-cnn"', 'model.reset=["head.output"]']
    given = assembly.build(presets.load("digits-cnn", sets, builders=True), print, runs=pretrained)
    fresh = assembly.build(presets.load("digits-cnn", SMALL, builders=True), print)
    assert given.weights is not None
    assert set(given.weights.new) == set(given.weights.unused) == HEAD
    assert torch.equal(given.model.head.output.weight, fresh.model.head.output.weight)
    assert not torch.equal(given.model.head.hidden1[0].weight, fresh.model.head.hidden1[0].weight)


def test_check_tells_every_tensor_and_what_is_frozen(
    pretrained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLTUI_RUNS", str(pretrained))
    sets = [
        *SMALL,
        'model.weights="run:digits-cnn"',
        'model.freeze=["loaded"]',
        'data.classes=["3", "4", "8"]',
    ]
    facts = checking.check(presets.load("digits-cnn", sets, builders=True))
    assert set(facts["weights"]["new"]) == HEAD
    assert facts["trainable_parameters"] == 8 * 3 + 3
    assert facts["parameters"] > facts["trainable_parameters"]


def test_a_resumed_run_needs_its_source_no_more(pretrained: Path) -> None:
    source = run_of(pretrained)
    name = f'model.weights="run:{source.name}"'
    run = RunDir.open(train("digits-cnn", pretrained, *SMALL, name, "model.freeze_epochs=1", 'model.freeze=["loaded"]',
                            'data.classes=["0", "1", "2"]').path)  # fmt: skip
    source.path.rename(pretrained.parent / "gone")
    text = run.preset_path.read_text().replace("epochs = 2", "epochs = 3")
    run.preset_path.write_text(text)
    with process_given_back():
        assert worker.run(run) == 0
    assert run.summary().epoch == 3


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("weights", "resnet50", "must be imagenet, run:NAME or a file"),
        ("weights", "run:", "must be imagenet, run:NAME or a file"),
        ("freeze", "conv1", "must be a list"),
        ("freeze_epochs", -1, "at least 0"),
        ("rates", {"conv1": 0}, "above 0"),
        ("rates", {"conv1": "slow"}, "must be a number"),
    ],
)
def test_a_wrong_value_is_told_with_its_key(key: str, value: Any, said: str) -> None:
    (problem,) = MODELS.entry("cnn").validate({key: value})[1]
    assert str(problem).startswith(key)
    assert said in str(problem)


def test_a_misspelt_key_is_told_the_nearest() -> None:
    with pytest.raises(PresetError, match=r"model.frezee: unknown key; did you mean 'freeze'"):
        presets.load("digits-cnn", ['model.frezee=["x"]'], builders=True)


def test_an_unknown_layer_is_one_sentence() -> None:
    preset = presets.load("digits-cnn", ['model.freeze=["features"]'], builders=True)
    with pytest.raises(UserError, match="no layer 'features'") as error:
        assembly.build(preset, print)
    assert len(error.value.lines) == 1


def test_every_model_has_them_and_no_builder_sees_them() -> None:
    for entry in MODELS.entries():
        assert [field.name for field in entry.fields][-5:] == [
            "weights",
            "reset",
            "freeze",
            "freeze_epochs",
            "rates",
        ]


def test_a_builder_with_such_an_option_is_refused() -> None:
    registry = Registry("model", __name__, common=MODELS.common)

    @registry.register()
    def net(spec: Any, *, freeze: int = 0) -> None:
        """A network.

        Args:
            freeze: taken.
        """

    with pytest.raises(SchemaError, match="'freeze' has the name of one that every model has"):
        _ = registry.entry("net").schema
