"""What is typed behind `/`."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlcore.run_dir import RunSummary
from tui.run_filter import figure, parse


def summary(name: str = "fashion-cnn-7", **fields: object) -> RunSummary:
    known = {
        "status": "running",
        "preset": "fashion-cnn",
        "model": "cnn",
        "epoch": 7,
        "epochs": 20,
        "lr": 1e-3,
        "best": {"metric": "val/accuracy", "value": 0.92, "epoch": 6},
        "metrics": {"train/accuracy": 0.99, "val/accuracy": 0.91, "val/loss": 0.3, "train/loss": None},
    }
    return RunSummary(name, Path("runs") / name, **(known | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "", "fashion", "FASHION cnn", "running", "acc>0.9", "acc > 0.9", "accuracy>=0.92", "val/loss<0.5",
        "epoch=7", "epoch!=8 running", "lr<=1e-3", "status=run", "train/acc>0.95", "name!=vit",
    ],
)  # fmt: skip
def test_finds(text: str) -> None:
    assert parse(text).matches(summary())


@pytest.mark.parametrize(
    "text", ["vit", "fashion vit", "acc>0.95", "epoch>7", "finished", "f1>0", "train/loss<9", "epoch>x"]
)
def test_leaves_out(text: str) -> None:
    assert not parse(text).matches(summary())


def test_a_metric_means_its_best_value_where_the_run_is_judged_by_it() -> None:
    assert figure(summary(), "acc") == 0.92
    assert figure(summary(best=None), "acc") == 0.91
    assert figure(summary(best=None, metrics={}), "acc") is None


def test_a_condition_still_being_typed_asks_for_nothing() -> None:
    assert parse("acc>").apply([summary()]) == [summary()]
    assert not parse("   ")


def test_keeps_the_order_of_what_it_is_given() -> None:
    runs = [summary("b-run"), summary("c-other"), summary("a-run")]
    assert [run.name for run in parse("run run").apply(runs)] == ["b-run", "c-other", "a-run"]
    assert [run.name for run in parse("name=-run").apply(runs)] == ["b-run", "a-run"]
