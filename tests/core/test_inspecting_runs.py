"""A run that is looked into by itself: the files it leaves can be read with nothing but NumPy and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.core.preset_runs import train


def test_a_run_leaves_its_first_and_last_look(tmp_path: Path) -> None:
    sets = (
        "training.max_steps=30",
        "training.device=cpu",
        "inspection.share=0.99",
    )  # however slow the machine is
    run = train("digits-cnn", tmp_path, *sets).path
    files = sorted((run / "inspections").glob("*.json"))
    looks = [json.loads(path.read_text()) for path in files]
    assert [looks[0]["why"], looks[-1]["why"]] == ["first", "last"]
    assert [looks[0]["step"], looks[-1]["step"]] == [0, 30]
    updates = [t["update"] for row in looks[-1]["layers"] for t in row["parameters"].values()]
    assert updates
    assert all(update is not None and 0 < update < 1 for update in updates if update is not None)
    with np.load(files[-1].with_suffix(".npz"), allow_pickle=False) as arrays:
        names = {name for row in looks[-1]["layers"] for name in row["tensors"].values()}
        assert names <= set(arrays.files)
        assert arrays[looks[-1]["views"]["filters"]["array"]].shape[1:] == (1, 3, 3)
        assert arrays[looks[-1]["views"]["embedding"]["array"]].shape == (64, 2)


def test_switched_off_a_run_leaves_none(tmp_path: Path) -> None:
    sets = ("training.max_steps=5", "training.device=cpu", "inspection.share=0")
    run = train("iris-perceptron", tmp_path, *sets).path
    assert list((run / "inspections").iterdir()) == []


def test_the_best_weights_are_seen_even_where_looking_is_dear(tmp_path: Path) -> None:
    """Its validation loss turns after a few epochs, so the best weights are gone at the end."""
    sets = ("training.epochs=25", "training.device=cpu", "inspection.share=1e-9")
    summary = train("moons-overfitting", tmp_path, *sets)
    assert summary.best is not None
    looks = [json.loads(path.read_text()) for path in sorted((summary.path / "inspections").glob("*.json"))]
    assert [(look["why"], look["epoch"]) for look in looks] == [
        ("first", 0), ("best", summary.best["epoch"]), ("last", 25)
    ]  # fmt: skip
    best, last = looks[1:]
    assert best["loss"] != last["loss"]
