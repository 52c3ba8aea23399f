"""The engine's evaluations: measured a slice at a time, and samples chosen as was wished."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dlcore import trained
from dlcore.deploy.evaluate import evaluate
from dlcore.deploy.gallery import Wish, chosen
from dlcore.engine import evaluation as engine_evaluation
from dlcore.engine.engine import Engine, Question
from dlcore.engine.evaluation import Evaluations
from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from tests.core.deploy.small_runs import CARTPOLE, DIABETES, DIGITS, SCENES, train_text

TrainedOnce = Callable[[str], RunDir]


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> TrainedOnce:
    """A run of a preset's text, trained when it is first asked for."""
    runs: dict[str, RunDir] = {}
    folder = tmp_path_factory.mktemp("runs")

    def run_of(text: str) -> RunDir:
        return runs.get(text) or runs.setdefault(text, train_text(text, folder))

    return run_of


def question(run: RunDir, **more: Any) -> dict[str, Any]:
    return {"run": str(run.path), "checkpoint": "best", "split": "", "turn": 0} | more


def measured(run: RunDir) -> tuple[Evaluations, list[dict[str, Any]]]:
    evaluations, said = Evaluations(), []
    more = True
    while more:
        answer, more = evaluations.answer(question(run))
        said.append(answer)
    return evaluations, said


def test_it_says_how_far_it_is_and_ends_with_what_evaluate_says(
    trained_once: TrainedOnce, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_evaluation, "SLICE", 0.0)
    monkeypatch.setattr(engine_evaluation, "BATCH", 100)
    _, said = measured(trained_once(DIGITS))
    result = said[-1]["result"]
    assert [each["state"] for each in said] == ["loading"] + ["measuring"] * (len(said) - 2) + ["done"]
    wanted = evaluate(trained.load(trained_once(DIGITS), device="cpu"))
    assert result["metrics"] == pytest.approx(wanted["metrics"], rel=1e-5)
    assert result["report"]["confusion"] == wanted["report"]["confusion"]
    assert said[-1]["classes"] == [str(code) for code in range(10)]


def test_samples_are_those_of_the_confusion_matrix(trained_once: TrainedOnce) -> None:
    run = trained_once(DIGITS)
    evaluations, said = measured(run)
    cells = said[-1]["result"]["report"]["confusion"]["cells"]
    for verdict, total in (
        ("right", sum(cells[at][at] for at in range(10))),
        ("wrong", sum(map(sum, cells)) - sum(cells[at][at] for at in range(10))),
        ("", sum(map(sum, cells))),
    ):
        found = evaluations.gallery(question(run, verdict=verdict, count=12))
        assert found["total"] == total
        sure = [max(row["probabilities"]) for row in found["rows"]]
        assert sure == sorted(sure, reverse=True)
        assert all(
            (row["target"] == row["prediction"]) == (verdict == "right") for row in found["rows"] if verdict
        )
        assert all(len(row["pixels"]) == 1 for row in found["rows"]), "each with its picture"
    of_three = evaluations.gallery(question(run, target=3, count=48))
    assert of_three["total"] == sum(cells[3])
    assert {row["target"] for row in of_three["rows"]} == {3}
    unsure = evaluations.gallery(question(run, low=0.0, high=0.5, descending=False))
    assert all(max(row["probabilities"]) <= 0.5 for row in unsure["rows"])
    last = evaluations.gallery(question(run, offset=10**9))
    assert len(last["rows"]) == 1, "beyond the end is the end"


@pytest.mark.parametrize("text", [DIABETES, SCENES], ids=["numbers", "masks"])
def test_what_is_off_by_more_or_less_comes_worst_first(text: str, trained_once: TrainedOnce) -> None:
    run = trained_once(text)
    evaluations, said = measured(run)
    assert said[-1]["sorted_by"] == "error"
    worst, best = (
        evaluations.gallery(question(run, descending=descending, count=1))["rows"][0]["index"]
        for descending in (True, False)
    )
    listed = said[-1]["result"]["report"]["mistakes"]["rows"]
    assert worst in [row[0] for row in listed if row[-1] == listed[0][-1]]
    assert best not in [row[0] for row in listed[:3]]


def test_a_policy_shows_its_episodes_as_they_come(trained_once: TrainedOnce) -> None:
    run = trained_once(CARTPOLE)
    evaluations, said = measured(run)
    assert said[-1]["sorted_by"] == ""
    rows = evaluations.gallery(question(run))["rows"]
    assert [row["index"] for row in rows] == [0, 1, 2, 3]
    assert rows[0]["frames"]


def test_a_gallery_needs_its_evaluation(trained_once: TrainedOnce) -> None:
    run = trained_once(DIGITS)
    evaluations, _ = measured(run)
    with pytest.raises(UserError, match="r measures again"):
        evaluations.gallery(question(run, split="val"))
    evaluations.answer({"run": ""})
    with pytest.raises(UserError, match="r measures again"):
        evaluations.gallery(question(run))


def test_a_run_that_cannot_be_measured_is_one_sentence(tmp_path: Path) -> None:
    evaluations, ask = Evaluations(), {"run": str(tmp_path / "gone"), "turn": 0}
    evaluations.answer(ask)
    with pytest.raises(UserError):
        evaluations.answer(ask)
    assert evaluations.answer(ask) == ({"state": "loading"}, True), "asked again it tries again"


def test_other_questions_are_answered_between_two_slices(
    trained_once: TrainedOnce, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_evaluation, "SLICE", 0.0)
    said: list[Any] = []
    engine = Engine(said.append)
    engine.inbox.put(Question(1, "evaluation", question(trained_once(DIGITS))))
    engine.inbox.put(Question(2, "novel", {}))
    for _ in range(3):
        waiting = engine.inbox.take(0)
        assert waiting is not None
        engine.work(waiting)
    ended = [message["id"] for message in said if "id" in message]
    assert ended == [1, 2, 1]


def test_no_verdict_leaves_the_order_as_it_is() -> None:
    assert chosen({}, 3, Wish()).tolist() == [0, 1, 2]
    assert chosen({"error": torch.tensor([0.1, 3.0, 0.2])}, 3, Wish()).tolist() == [1, 2, 0]
