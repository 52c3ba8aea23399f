"""What differs between presets, whose figures are best, and names short enough for columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tui.recorded import HOSTILE
from tui import comparison
from tui.follow import Curve, RunView
from tui.run_state import Best, RunState


def view(metrics: dict[str, float], best: str = "", curves: tuple[str, ...] = ()) -> RunView:
    state = RunState(metrics=metrics, best=Best(best, 1.0, 1) if best else None)
    steps = np.arange(3)
    found = {name: Curve(name, steps, steps * 1.0, np.array([1.0, 2.0, 3.0])) for name in curves}
    return RunView(Path("runs/a"), "a", state, "finished", True, found)


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "preset.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_settings_are_read_flat_and_readable(tmp_path: Path) -> None:
    text = '[about]\ntitle = "x"\n[model]\nname = "cnn"\nchannels = [32, 64]\n'
    text += "[optimizer]\nlr = 1e-5\nfused = true\n"
    assert comparison.settings(written(tmp_path, text)) == {
        "model.name": "cnn",
        "model.channels": "32, 64",
        "optimizer.lr": "1e-05",
        "optimizer.fused": "yes",
    }


@pytest.mark.parametrize("text", [b"\xff\xfe", "a = ", "a = [" * 5000, "x" * 1_000_000])
def test_damaged_presets_have_no_settings(tmp_path: Path, text: str | bytes) -> None:
    assert comparison.settings(written(tmp_path, text)) == {}


def test_a_missing_preset_has_no_settings(tmp_path: Path) -> None:
    assert comparison.settings(tmp_path / "none.toml") == {}


def test_hostile_values_are_made_safe(tmp_path: Path) -> None:
    found = comparison.settings(written(tmp_path, '[model]\nname = "\\u001b[31m\\u202e"\n'))
    assert all(sign.isprintable() for value in found.values() for sign in value)
    assert HOSTILE not in found.values()


def test_only_differing_keys_are_listed_in_their_order() -> None:
    rows = comparison.differing([{"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "5"}])
    assert [(row.name, row.values) for row in rows] == [("b", ("2", "5")), ("c", ("3", "-"))]


def test_equal_presets_differ_in_nothing() -> None:
    assert comparison.differing([{"a": "1"}, {"a": "1"}]) == []


def test_a_preset_that_cannot_be_read_differs_from_nothing() -> None:
    rows = comparison.differing([{"a": "1", "b": "2"}, {}, {"a": "1", "b": "3"}])
    assert [(row.name, row.values) for row in rows] == [("b", ("2", "-", "3"))]


@pytest.mark.parametrize(
    ("metric", "less"),
    [
        ("val/loss", True),
        ("test/rmse", True),
        ("val/perplexity", True),
        ("val/mae", True),
        ("val/accuracy", False),
        ("val/r2", False),
        ("test/iou", False),
        ("val/mean_reward", False),
    ],
)
def test_the_better_direction_of_a_metric(metric: str, less: bool) -> None:
    assert comparison.less_is_better(metric) is less


def test_the_best_figure_of_each_metric_is_marked() -> None:
    rows = {
        row.name: row
        for row in comparison.figures(
            [view({"val/loss": 0.3, "val/accuracy": 0.9}), view({"val/loss": 0.2, "val/accuracy": 0.8})]
        )
    }
    assert rows["val/loss"].values == ("0.3000", "▼ 0.2000")
    assert rows["val/loss"].best == {1}
    assert rows["val/accuracy"].values == ("▲ 0.9000", "0.8000")


def test_nan_is_never_best_and_one_run_alone_neither() -> None:
    nan, alone = comparison.figures(
        [view({"val/loss": float("nan")}), view({"val/loss": 0.2, "val/mae": 1.0})]
    )
    assert nan.best == frozenset()
    assert nan.values == ("nan", "0.2000")
    assert alone.best == frozenset()


def test_equal_figures_are_all_best() -> None:
    (row,) = comparison.figures([view({"val/loss": 0.2}), view({"val/loss": 0.2}), view({"val/loss": 0.3})])
    assert row.best == {0, 1}


def test_what_is_not_evaluated_has_no_best() -> None:
    (row,) = comparison.figures([view({"train/lr": 0.1}), view({"train/lr": 0.2})])
    assert row.best == frozenset()


def test_costs_stand_apart_from_figures_in_the_order_of_a_step() -> None:
    one = view({"val/loss": 0.3, "system/memory": 2**20}, curves=("time/own", "time/backward", "time/data"))
    other = view({"val/loss": 0.2}, curves=("time/backward",))
    assert [row.name for row in comparison.figures([one, other])] == ["val/loss"]
    assert [(row.name, row.values) for row in comparison.costs([one, other])] == [
        ("time/data", ("2.0 s", "-")),
        ("time/backward", ("2.0 s", "2.0 s")),
        ("time/own", ("2.0 s", "-")),
        ("system/memory", ("1.0 MiB", "-")),
    ]


def test_a_metric_that_no_event_told_is_taken_from_its_curve() -> None:
    (row,) = comparison.figures([view({}, curves=("train/loss",))])
    assert row.values == ("3.0000",)


def test_the_first_curves_are_of_what_most_runs_are_judged_by() -> None:
    names = ("train/loss", "val/accuracy", "val/f1")
    views = [view({}, "val/f1", names), view({}, "val/accuracy", names), view({}, "val/f1", names)]
    assert comparison.judged(views) == "val/f1"


def test_without_a_judge_a_loss_comes_first_and_without_curves_nothing() -> None:
    assert comparison.judged([view({}, "", ("lr", "train/loss")), None]) == "train/loss"
    assert comparison.judged([None, view({})]) == ""


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["20251120-231502-digits-cnn", "20251120-231503-digits-mlp"], ["cnn", "mlp"]),
        (["20251120-231502-cnn", "20251120-231503-cnn"], ["231502-cnn", "231503-cnn"]),
        (["a", "b"], ["a", "b"]),
        (["digits", "digits-cnn"], ["digits", "digits-cnn"]),
        (["only-one"], ["only-one"]),
        ([], []),
    ],
)
def test_names_lose_what_all_begin_with(names: list[str], short: list[str]) -> None:
    assert comparison.short_names(names) == short
