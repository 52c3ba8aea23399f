"""A measurement: what it says for every kind of task, what it suggests, and what it leaves as it was."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dlcore import preset as presets
from dlcore.bench import bench as benching
from dlcore.bench.bench import Bench, bench
from dlcore.bench.changes import Change, candidates
from dlcore.bench.hardware import flops_of_step
from dlcore.bench.turns import Spread
from dlcore.errors import UserError
from dlcore.opening import Opened, load_and_build
from dlcore.training.capture.stepper import CapturedStepper
from tests.core.training.replaying import Replaying, replaying

SLOW = pytest.mark.slow


def measure(name: str, *sets: str, seconds: float = 0.5) -> dict[str, Any]:
    return bench(
        presets.load(name, ("training.device=cpu", *sets), builders=True), seconds, lambda line: None
    )


@pytest.mark.parametrize(
    "name",
    [
        "digits-mlp",
        *(pytest.param(n, marks=SLOW) for n in (
            "digits-gan", "cartpole-policy", "digits-diffusion", "docs-gpt", "digits-lstm", "docs-bert", "scenes-unet",
            "moons-overfitting", "diabetes-mlp", "digits-autoencoder",
        )),
    ],
)  # fmt: skip
def test_every_kind_of_task_is_measured(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    facts = measure(name)

    assert all(facts[who][key] > 0 for who in ("ours", "bare", "ratio") for key in ("low", "median", "high"))
    assert facts["ratio"]["rounds"] >= 3
    assert {"data", "forward", "backward", "optimizer", "recording"} <= facts["split"].keys()
    assert facts["memory"]["peak"] >= facts["memory"]["before"] > 0
    assert facts["flops"]["step"] > 0
    assert 0 < facts["flops"]["share"] < 1.5
    assert math.isclose(facts["flops"]["share"], facts["flops"]["achieved"] / facts["flops"]["peak"])
    assert {each for change in facts["changes"] for each in change["set"]} | facts["not_tried"].keys()
    assert list(tmp_path.iterdir()) == []  # nothing is kept


def test_flops_are_those_of_the_layers() -> None:
    """A multiply-add counts as 2; forward once, backward twice but for the first layer's inputs."""
    facts = measure("digits-mlp", "model.widths=[32]", "training.batch_size=10")
    forward = 2 * 10 * (64 * 32 + 32 * 10)
    assert facts["flops"]["step"] == 3 * forward - 2 * 10 * 64 * 32


def test_a_recurrent_network_whose_kernel_hides_its_work_is_estimated() -> None:
    facts = measure("digits-lstm")
    assert facts["flops"]["step"] > 1e6


def make_bench(name: str, folder: Path, *sets: str, seconds: float = 1.0) -> Bench:
    preset = presets.load(name, ("training.device=cpu", *sets), builders=True)
    return Bench(preset, folder, seconds, lambda line: None)


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every training replays recorded steps."""
    monkeypatch.setattr(Opened, "stepping", lambda opened: replaying())


@pytest.mark.usefixtures("replayed")
def test_a_recorded_step_is_told_in_the_parts_that_the_device_timed(tmp_path: Path) -> None:
    bench = make_bench("digits-mlp", tmp_path, "training.record_seconds=1000", "training.ema=0.9")
    with bench.training(bench.opened) as trainer:
        trainer.advance(8)
        stepper = trainer.stepper
        assert isinstance(stepper, CapturedStepper)
        before, usual = stepper.replayed, stepper._shapes[0].recorded
        split = trainer.split(3)
        assert stepper.replayed == before + 3
        assert stepper._shapes[0].recorded is usual  # which does not stop to look at a clock
    assert split.keys() == {"data", "forward", "backward", "optimizer", "launch"}
    assert all(split[part] > 0 for part in ("data", "forward", "backward", "optimizer"))


@pytest.mark.usefixtures("replayed")
def test_a_recorded_step_that_cannot_be_timed_is_one_launch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench("digits-mlp", tmp_path, "training.record_seconds=1000")
    with bench.training(bench.opened) as trainer:
        trainer.advance(8)

        def fails(backend: Replaying, step: Any) -> Any:
            raise RuntimeError("no such events here")

        monkeypatch.setattr(Replaying, "record", fails)
        assert trainer.split(3).keys() == {"data", "replay"}


@pytest.mark.usefixtures("replayed")
def test_the_work_of_a_recorded_step_is_counted(tmp_path: Path) -> None:
    """A launch hides its operations."""
    bench = make_bench("digits-mlp", tmp_path, "model.widths=[32]", "training.batch_size=10")
    with bench.training(bench.opened) as trainer:
        trainer.advance(8)
        flops, how = flops_of_step(trainer)
    assert flops == 3 * 2 * 10 * (64 * 32 + 32 * 10) - 2 * 10 * 64 * 32
    assert how.startswith("counted")


def test_the_work_of_a_step_of_frozen_layers_is_less(tmp_path: Path) -> None:
    """Nothing goes back through them: three forward passes would be more than the device can do."""
    frozen = ('model.freeze=["blocks"]', "model.widths=[512, 512]")
    bench = make_bench("digits-mlp", tmp_path, *frozen, "training.batch_size=10")
    with bench.training(bench.opened) as trainer:
        flops, how = flops_of_step(trainer)
    forward = 2 * 10 * (64 * 512 + 512 * 512 + 512 * 10)
    assert forward <= flops < 1.1 * forward
    assert how.startswith("counted")


def test_a_hidden_step_of_frozen_layers_counts_its_forward_pass(tmp_path: Path) -> None:
    found = []
    for name, sets in {"frozen": ('model.freeze=["blocks"]',), "learning": ()}.items():
        (tmp_path / name).mkdir()
        bench = make_bench("digits-lstm", tmp_path / name, *sets, "training.batch_size=10")
        with bench.training(bench.opened) as trainer:
            found.append(flops_of_step(trainer))
    (flops, how), (learning, _) = found
    assert 3 * flops == learning
    assert how.startswith("estimated as at least")


def test_what_does_not_pay_is_not_suggested(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gains = {"a": Spread(1.5, 1.2, 1.6), "b": Spread(1.5, 0.9, 2.0), "c": Spread(1.01, 1.005, 1.02)}
    todo = [Change({name: True}) for name in gains]
    monkeypatch.setattr(benching, "candidates", lambda opened: (todo, {}))
    bench = make_bench("digits-mlp", tmp_path, seconds=1e6)
    monkeypatch.setattr(
        bench, "beside", lambda base, change, step, seconds: gains[next(iter(change.training))]
    )
    with bench.training(bench.opened) as trainer:
        tried, left = bench.try_changes(trainer, 1e-3, time.perf_counter())
    assert {change["set"][0]: change["worth"] for change in tried} == {
        "training.a=true": True, "training.b=true": False, "training.c=true": False,
    }  # fmt: skip
    assert left == {}


def test_what_there_was_no_time_for_says_how_much_it_wants(tmp_path: Path) -> None:
    bench = make_bench("digits-cnn", tmp_path, seconds=1e-6)
    with bench.training(bench.opened) as trainer:
        tried, left = bench.try_changes(trainer, 1e-3, time.perf_counter())
    assert tried == []
    assert all("--seconds" in reason for name, reason in left.items() if "=" in name)


@pytest.mark.parametrize(
    "change",
    [{"batch_size": 128}, {"threads": 1}, {"channels_last": True}, {"deterministic": True}],
    ids=lambda change: next(iter(change)),
)
def test_a_change_is_measured_and_undone(change: dict[str, Any], tmp_path: Path) -> None:
    bench = make_bench("digits-cnn", tmp_path)
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with bench.training(bench.opened) as trainer:
        gain = bench.beside(trainer, Change(change), 1e-3, 0.1)
    assert gain.low > 0
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_a_change_that_does_not_work_is_left_out_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    change = Change({"gradient_checkpointing": True})
    monkeypatch.setattr(benching, "candidates", lambda opened: ([change], {}))
    bench = make_bench("iris-perceptron", tmp_path, seconds=1e6)
    with bench.training(bench.opened) as trainer:
        tried, left = bench.try_changes(trainer, 1e-3, time.perf_counter())
    assert tried == []
    assert "needs a model with repeated blocks" in left["training.gradient_checkpointing=true"]


@pytest.mark.parametrize(
    ("name", "sets", "tried", "left"),
    [
        ("digits-cnn", (), {"batch_size", "channels_last"}, {"training.workers"}),
        ("digits-mlp", ("training.deterministic=true",), {"deterministic"}, {"training.channels_last"}),
        ("cartpole-policy", (), {"batch_size"}, {"training.workers"}),
        ("iris-perceptron", ("training.batch_size=100",), set(), {"training.batch_size"}),
    ],
)
def test_only_what_can_matter_is_tried(
    name: str, sets: tuple[str, ...], tried: set[str], left: set[str]
) -> None:
    opened = load_and_build(
        presets.load(name, ("training.device=cpu", *sets), builders=True), lambda line: None
    )
    changes, reasons = candidates(opened)
    assert tried <= {key for change in changes for key in change.training}
    assert left <= reasons.keys()


def test_a_batch_that_does_not_go_through_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, spec):\n"
        "        super().__init__()\n"
        "        self.layer = nn.Linear(5, 10)\n"
        "    def forward(self, x):\n"
        "        return self.layer(x.flatten(1))\n"
    )
    with pytest.raises(UserError, match=r"does not go through the network .*dltui check digits-mlp"):
        measure("digits-mlp", f"model.name={tmp_path / 'net.py'}:Net")


@pytest.mark.parametrize(
    ("sets", "change", "reason"),
    [
        ((), {"graph": False}, ""),
        (("training.graph=false",), {"graph": True}, ""),
        (("training.accumulate=2",), None, "a step takes several batches"),
    ],
    ids=["on", "asked not to", "cannot"],
)
def test_on_a_gpu_recorded_steps_are_compared_with_usual_ones(
    sets: tuple[str, ...], change: dict[str, Any] | None, reason: str, tmp_path: Path
) -> None:
    opened = replace(make_bench("digits-mlp", tmp_path, *sets).opened, device=torch.device("cuda"))

    found, left = candidates(opened)

    graphs = [each.training for each in found if "graph" in each.training]
    assert graphs == ([change] if change else [])
    assert left.get("training.graph", "") == reason
