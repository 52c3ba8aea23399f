"""Rules on figures made for them: each fires beyond its threshold, with the place and the figures, and not before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcore import preset as presets
from dlcore.doctor.diagnosis import diagnose
from dlcore.doctor.findings import Finding
from dlcore.doctor.record import Curve, Record
from dlcore.doctor.registry import rules
from dlcore.run_dir import RunDir

CLASSES = {"target": "class", "num_outputs": 10, "class_names": [str(at) for at in range(10)]}
PRESET = {
    "optimizer": {"name": "adamw", "lr": 0.001, "weight_decay": 0.01},
    "model": {"widths": [64], "activation": "sigmoid", "batch_norm": False, "init": "default", "dropout": 0.0},
    "training": {"clip_norm": 0.0, "epochs": 20, "batch_size": 64, "patience": 0},
    "scheduler": {"name": "constant"},
}  # fmt: skip


def curve(values: Any) -> Curve:
    values = np.asarray(values, dtype=float)
    return Curve(np.arange(1, len(values) + 1), values)


def record(**known: Any) -> Record:
    values: dict[str, Any] = {"preset": PRESET, "spec": CLASSES, "task": "classification", **known}
    values["curves"] = {name: curve(each) for name, each in values.get("curves", {}).items()}
    return Record(**values)


def found(name: str, **known: Any) -> Finding | None:
    matching = [
        finding for each in rules() for finding in each.check(record(**known)) if finding.rule == name
    ]
    assert len(matching) <= 1
    return matching[0] if matching else None


def falling(start: float, end: float, count: int = 400) -> list[float]:
    return list(end + (start - end) * np.exp(-np.arange(count) / (count / 8)))


def layers(*gradients: float, **activation: float) -> dict[str, Any]:
    """A look at layers with gradients of these root mean squares."""
    rows = [
        {
            "path": f"layer{at}",
            "type": "Linear",
            "activation": activation,
            "parameters": {"weight": {"shape": [10, 10], "gradient": {"norm": 10 * size}}},
        }
        for at, size in enumerate(gradients)
    ]
    return {"step": 100, "batch": 64, "layers": rows}


def test_every_rule_says_where_its_threshold_comes_from() -> None:
    assert len(rules()) >= 25
    assert [each.name for each in rules() if len(each.doc) < 120] == []


def test_a_record_of_nothing_has_no_findings() -> None:
    assert diagnose(Record()) == []


def test_a_healthy_course_has_no_findings() -> None:
    curves = {
        "train/loss": falling(2.3, 0.05),
        "val/loss": falling(2.2, 0.1, 20),
        "train/grad_norm": [1.0] * 20,
        "train/update_ratio": [1e-3] * 20,
        "system/memory": [3e8] * 20,
    }
    assert diagnose(record(curves=curves, last_look=layers(0.01, 0.02, 0.05, dead=0.1))) == []


@pytest.mark.parametrize(("first", "fires"), [(1e-5, True), (1e-2, False)])
def test_vanishing_gradients_name_the_first_layer(first: float, fires: bool) -> None:
    finding = found("vanishing gradients", last_look=layers(first, 0.01, 0.02, 0.1))
    assert (finding is not None) is fires
    if finding is not None:
        assert (finding.layer, finding.step) == ("layer0", 100)
        assert "1.0e-05 in layer0" in finding.evidence
        assert finding.changes[0].set == ("model.activation=relu", "model.init=he")


@pytest.mark.parametrize(("first", "fires"), [(200.0, True), (0.1, False)])
def test_exploding_gradients_by_depth(first: float, fires: bool) -> None:
    assert (found("exploding gradients", last_look=layers(first, 1.0, 0.1)) is not None) is fires


def test_exploding_gradients_by_length() -> None:
    assert found("exploding gradients", curves={"train/grad_norm": [5_000.0] * 9}) is not None
    assert found("exploding gradients", curves={"train/grad_norm": [5.0] * 9 + [5_000.0]}) is None


@pytest.mark.parametrize(("dead", "severity"), [(0.95, "error"), (0.75, "hint"), (0.4, None)])
def test_dead_relus(dead: float, severity: str | None) -> None:
    finding = found("dead ReLUs", last_look=layers(0.1, 0.1, dead=dead))
    assert (finding.severity if finding else None) == severity


@pytest.mark.parametrize("kind", ["dead", "saturated"])
@pytest.mark.parametrize("name", ["mlp", "net.py:Net"])
@pytest.mark.parametrize("at_first", [True, False])
def test_what_was_so_before_the_first_step_is_no_matter_of_the_rate(
    kind: str, name: str, at_first: bool
) -> None:
    preset = {
        "model": {"name": name} | ({"init": "default", "activation": "tanh"} if name == "mlp" else {}),
        "optimizer": {"lr": 0.1},
    }
    last = layers(0.1, 0.1, **{kind: 0.95})
    last["layers"][1]["activation"] = {}
    first = last if at_first else layers(0.1, 0.1, **{kind: 0.2})
    rule = {"dead": "dead ReLUs", "saturated": "saturated units"}[kind]

    finding = found(rule, preset=preset, last_look=last, first_look=first | {"step": 0})

    assert finding is not None
    changed = [key.partition("=")[0] for change in finding.changes for key in change.set]
    assert ("optimizer.lr" in changed) is not at_first
    assert ("model.init" in changed) is (name == "mlp")
    assert any("your own code" in change.say for change in finding.changes) is (name != "mlp")
    assert ("before the first step 95.0%" in finding.evidence) is at_first


def test_saturated_units_do_not_count_at_the_output() -> None:
    look = layers(0.1, 0.1)
    look["layers"][1]["activation"] = {"saturated": 0.99}
    assert found("saturated units", last_look=look) is None
    look["layers"][0]["activation"] = {"saturated": 0.995}
    assert found("saturated units", last_look=look) is not None


def test_non_finite_numbers_tell_layer_step_and_samples() -> None:
    event = {"event": "nonfinite", "step": 30, "epoch": 2, "what": "loss", "layer": "log", "indices": [4, 9]}
    finding = found("non-finite numbers", events=[event])
    assert finding is not None
    assert (finding.layer, finding.step, finding.epoch) == ("log", 30, 2)
    assert "[4, 9]" in finding.evidence


def test_a_learning_rate_is_too_high_when_the_loss_ends_above_its_start() -> None:
    finding = found("learning rate too high", curves={"train/loss": [2.3] * 20 + [2.8] * 200})
    assert finding is not None
    assert ("optimizer.lr=0.0001",) in [change.set for change in finding.changes]
    assert found("learning rate too high", curves={"train/loss": falling(2.3, 0.1)}) is None


def test_long_steps_that_learn_are_no_fault() -> None:
    curves = {"train/loss": falling(2.3, 0.1), "train/update_ratio": [0.2] * 9}
    assert found("learning rate too high", curves=curves) is None
    curves["train/loss"] = [loss + 0.3 * (-1) ** step for step, loss in enumerate(falling(2.3, 1.9))]
    assert found("learning rate too high", curves=curves) is not None


def test_long_steps_are_no_fault_of_a_loss_that_does_not_jump() -> None:
    """As Muon's are, which are as long as its rate: smoothed labels leave more than half of the loss."""
    loss = [value + 0.015 * (-1) ** step for step, value in enumerate(falling(2.3, 1.17, 115))]
    curves = {"train/loss": loss, "train/update_ratio": [0.14] * 59}
    assert found("learning rate too high", curves=curves) is None


@pytest.mark.parametrize(
    ("ratio", "end", "fires"), [(1e-6, 2.29, True), (1e-6, 1.0, False), (1e-3, 2.29, False)]
)
def test_a_learning_rate_is_too_low_when_steps_are_short_and_nothing_falls(
    ratio: float, end: float, fires: bool
) -> None:
    curves = {"train/loss": falling(2.3, end), "train/update_ratio": [ratio] * 9}
    assert (found("learning rate too low", curves=curves) is not None) is fires


def test_not_learning_is_staying_at_a_guess() -> None:
    guess = math.log(10)
    assert found("not learning", curves={"train/loss": [guess] * 200}) is not None
    assert found("not learning", curves={"train/loss": falling(guess, 1.5)}) is None


def test_overfitting_tells_since_when() -> None:
    val = [1.0, 0.5, 0.3, 0.35, 0.4, 0.5, 0.6]
    finding = found("overfitting", curves={"train/loss": falling(2.3, 0.001), "val/loss": val})
    assert finding is not None
    assert finding.step == 3
    assert finding.severity == "hint"
    assert (
        found("overfitting", curves={"train/loss": falling(2.3, 0.001), "val/loss": sorted(val)[::-1]})
        is None
    )


def test_underfitting_offers_a_wider_network() -> None:
    finding = found("underfitting", curves={"train/loss": falling(2.3, 1.6), "val/loss": [1.6] * 10})
    assert finding is not None
    assert ("model.widths=[256]",) in [change.set for change in finding.changes]


def test_a_spike_is_one_step() -> None:
    losses = falling(2.3, 0.1)
    losses[250] = 30.0
    finding = found("loss spikes", curves={"train/loss": losses})
    assert finding is not None
    assert finding.step == 251


def test_clipping_is_for_the_few() -> None:
    preset = PRESET | {"training": PRESET["training"] | {"clip_norm": 1.0}}
    assert found("clipped almost always", preset=preset, curves={"train/grad_norm": [3.0] * 10}) is not None
    assert (
        found("clipped almost always", preset=preset, curves={"train/grad_norm": [0.3] * 8 + [3.0] * 2})
        is None
    )


def test_waiting_for_data_is_a_share_of_a_step() -> None:
    times = {
        f"time/{part}": [seconds] * 9
        for part, seconds in zip(
            ("data", "forward", "backward", "optimizer"), (0.01, 0.004, 0.004, 0.001), strict=True
        )
    }
    finding = found("waiting for data", curves=times)
    assert finding is not None
    assert "53%" in finding.what
    assert found("waiting for data", curves=times | {"time/data": [1e-4] * 9}) is None


def test_waiting_for_data_is_seen_beside_a_replayed_step() -> None:
    """One launch has no parts; a first few steps that were not replayed do not matter."""
    times = {"time/data": [0.01] * 9, "time/replay": [0.009] * 8, "time/forward": [0.1]}
    finding = found("waiting for data", curves=times)
    assert finding is not None
    assert "53%" in finding.what


def test_an_idle_gpu() -> None:
    assert found("idle GPU", curves={"system/gpu": [0.1] * 9}) is not None
    assert found("idle GPU", curves={"system/gpu": [0.9] * 9}) is None


@pytest.mark.parametrize(("left", "fires"), [(0.2e9, True), (2e9, False)])
def test_memory_near_its_limit(left: float, fires: bool) -> None:
    curves = {"system/memory": [8e9] * 9, "system/memory_left": [3e9] * 5 + [left] + [3e9] * 3}
    finding = found("memory is nearly full", curves=curves)
    assert (finding is not None) is fires
    if finding is not None:
        assert finding.step == 6
        assert finding.changes[0].set == ("training.batch_size=32", "training.accumulate=2")


def test_memory_that_grows_evenly() -> None:
    growing = 5e8 + 2e7 * np.arange(40)
    assert found("memory grows", curves={"system/memory": growing}) is not None
    assert found("memory grows", curves={"system/memory": [5e8] * 10 + [9e8] * 30}) is None, (
        "a cache that fills up"
    )


def test_a_gan_that_one_side_has_won() -> None:
    curves = {
        "train/loss_discriminator": [1.4] * 100 + [0.001] * 100,
        "train/loss_generator": [0.7] * 100 + [9.0] * 100,
    }
    assert found("one-sided GAN", curves=curves, task="gan") is not None
    even = {"train/loss_discriminator": [1.3] * 200, "train/loss_generator": [0.8] * 200}
    assert found("one-sided GAN", curves=even, task="gan") is None


@pytest.mark.parametrize(("kl", "fires"), [(0.01, True), (12.0, False)])
def test_posterior_collapse(kl: float, fires: bool) -> None:
    assert (found("posterior collapse", curves={"val/kl": [kl] * 5}, task="vae") is not None) is fires


def test_classes_are_judged_by_their_fair_share() -> None:
    even = CLASSES | {"class_counts": [100] * 10}
    assert found("classes are unbalanced", spec=even) is None
    finding = found("classes are unbalanced", spec=CLASSES | {"class_counts": [100] * 9 + [1]})
    assert finding is not None
    assert finding.severity == "error"
    weighed = PRESET | {"task": {"class_weights": "balanced"}}
    assert (
        found("classes are unbalanced", spec=CLASSES | {"class_counts": [100] * 9 + [1]}, preset=weighed)
        is None
    )


@pytest.mark.parametrize(
    ("met", "within", "fires"), [(10, 0.0, True), (1, 0.0, False), (10, 0.06, False), (60, 0.5, True)]
)
def test_a_leak_is_more_than_the_data_repeats_itself(met: int, within: float, fires: bool) -> None:
    duplicates = {"within_train": within, "val": {"rows": 100, "in_train": met, "first": [0, 3]}}
    finding = found("samples leak between splits", examination={"duplicates": duplicates})
    assert (finding is not None) is fires


def test_frozen_on_purpose_is_no_fault() -> None:
    examination = {"frozen": {"names": ["trunk.weight"], "count": 1, "share": 0.9}}
    assert found("frozen parameters", examination=examination) is not None
    meant = PRESET | {"model": {"name": "resnet", "freeze": ["trunk"]}}
    assert found("frozen parameters", examination=examination, preset=meant) is None


def test_symptoms_are_left_out_where_an_error_explains_them() -> None:
    curves = {"train/loss": [math.log(10)] * 200, "train/update_ratio": [1e-7] * 9}
    assert [finding.rule for finding in diagnose(record(curves=curves))] == ["learning rate too low"]


def test_a_finding_survives_json() -> None:
    finding = found(
        "overfitting", curves={"train/loss": falling(2.3, 0.001), "val/loss": [1.0, 0.3, 0.4, 0.5, 0.6]}
    )
    assert finding is not None
    assert Finding.from_dict(finding.to_dict()) == finding


@pytest.mark.parametrize("text", ["", "{", "[]", '{"layers": 3}', '{"layers": [4, {"parameters": []}]}'])
def test_a_damaged_run_is_read_as_far_as_it_goes(tmp_path: Path, text: str) -> None:
    run = RunDir(tmp_path)
    for path in (run.run_json_path, run.preset_path, run.events_path):
        path.write_text(text)
    run.inspections_path.mkdir()
    (run.inspections_path / "step-00000001.json").write_text(text)
    diagnose(Record.read(run))


def test_every_change_can_be_made_to_a_preset_that_has_the_key() -> None:
    """What a key applies must be an override that the preset takes."""
    shipped = presets.load("digits-mlp", builders=False)
    full: Mapping[str, Any] = shipped.model_dump(mode="json")
    tables = {
        name: table.get("options", table) if isinstance(table, dict) else {} for name, table in full.items()
    }
    cases = [
        {"last_look": layers(1e-6, 0.01, 0.1, dead=0.99, saturated=0.99)},
        {"curves": {"train/loss": [2.3] * 20 + [9.0] * 200, "train/grad_norm": [9e3] * 9}},
        {"curves": {"train/loss": falling(2.3, 1.6), "val/loss": [1.6] * 10}},
        {"curves": {"train/loss": falling(2.3, 0.001), "val/loss": [1.0, 0.3, 0.4, 0.5, 0.6]}},
    ]
    changes = [
        c
        for known in cases
        for each in rules()
        for f in each.check(record(preset=tables, **known))
        for c in f.changes
    ]
    assert len([change for change in changes if change.set]) >= 8
    for change in changes:
        presets.load("digits-mlp", change.set, builders=True)


def test_few_samples_need_more_silent_units_to_say_as_much() -> None:
    look = layers(0.1, 0.1, dead=0.73)
    assert found("dead ReLUs", last_look=look) is not None
    assert found("dead ReLUs", last_look=look | {"batch": 32}) is None
    assert found("dead ReLUs", last_look=layers(0.1, 0.1, dead=0.95) | {"batch": 32}) is not None


def test_a_narrow_layer_needs_more_silent_units_to_say_as_much() -> None:
    look = layers(0.1, dead=0.78)
    narrow, wide = ({**look, "layers": [{**look["layers"][0], "shape": [64, units]}]} for units in (32, 1024))
    assert found("dead ReLUs", last_look=narrow) is None
    assert found("dead ReLUs", last_look=wide) is not None


def test_a_try_that_had_no_time_tells_nothing() -> None:
    tried = {"start": 2.3, "end": 2.0, "steps": 3, "learnt": False, "samples": 16}
    assert found("cannot learn one batch", examination={"one_batch": tried}) is not None
    assert found("cannot learn one batch", examination={"one_batch": tried | {"cut": True}}) is None


def test_what_starves_a_network_is_named_and_not_its_rate() -> None:
    known = {"last_look": layers(1e-9, 1e-3, 0.1, 0.1), "curves": {"train/loss": falling(2.3, 2.29),
             "train/update_ratio": [1e-6] * 9}}  # fmt: skip
    assert found("learning rate too low", **known) is not None
    assert [finding.rule for finding in diagnose(record(**known))] == ["vanishing gradients"]


@pytest.mark.parametrize(("step", "fires"), [(200, False), (600, True)])
def test_a_generator_may_begin_with_one_picture(step: int, fires: bool) -> None:
    rows = [{"path": "generator.last", "phase": "generator", "activation": {"spread": 0.1}}]
    finding = found(
        "GAN collapse",
        curves={"train/loss_generator": [1.0] * 1000},
        last_look={"step": step, "inputs": {"spread": 0.7}, "layers": rows},
        events=[{"event": "started", "epochs": 10, "steps_per_epoch": 100}],
    )
    assert (finding is not None) is fires
