"""A forecasting network asked about series of its kind, judged on them, and taken away."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dlcore import trained
from dlcore.deploy.card import card
from dlcore.deploy.evaluate import evaluate
from dlcore.deploy.export import describe, export
from dlcore.deploy.exporting import Checked, Options
from dlcore.deploy.formats.programs import ExportedProgram
from dlcore.deploy.inputs import Unreadable
from dlcore.deploy.predict import Answer, predict
from dlcore.deploy.serving import Limits, RefusedError, Service
from dlcore.deploy.serving_inputs import example_of
from tests.core.deploy.small_runs import TRAINING, train_text

ROWS, WINDOW = 90, 8
HEADER = "month,rain,people"
LINES = [
    f"{1990 + row // 12}-{row % 12 + 1:02},{row % 7},{100 + row + 20 * math.sin(row / 2):.3f}"
    for row in range(ROWS)
]


def preset(*options: str) -> str:
    return (
        '[data]\nname = "series"\npath = "people.csv"\nalso = ["rain"]\n'
        + f"window = {WINDOW}\n"
        + "\n".join(options)
        + '\n[model]\nname = "lstm"\nhidden = 4\n[task]\nname = "forecasting"\n'
        + TRAINING
    )


@pytest.fixture(
    scope="module", params=["horizon = 1", 'horizon = 3\nscale = "log"'], ids=["one", "three log"]
)
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[trained.Trained]:
    folder = tmp_path_factory.mktemp("series")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write(folder / "people.csv", LINES)
        yield trained.load(train_text(preset(request.param), folder / "runs", base=folder), device="cpu")


def write(path: Path, lines: list[str], header: str = HEADER) -> str:
    path.write_text("\n".join([header, *lines]) + "\n")
    return str(path)


def numbers(answer: Answer | Unreadable) -> list[float]:
    assert isinstance(answer, Answer)
    said: Any = answer.content["prediction"]
    return list(said.values()) if isinstance(said, dict) else [said]


def test_the_forecast_is_that_of_the_test_window_that_ends_there(
    found: trained.Trained, tmp_path: Path
) -> None:
    test = found.data().test
    assert test is not None
    window = test.prepare(test.inputs[:1])  # type: ignore[union-attr, misc]
    last = int(test.inputs[0]) + WINDOW  # type: ignore[union-attr]
    (answer,) = predict(found, [write(tmp_path / "a.csv", LINES[:last])])
    assert answer.name == f"{tmp_path / 'a.csv'}:{last + 1}"
    wanted = found.task.answers(window)[0]["prediction"]
    assert numbers(answer) == pytest.approx(list(wanted.values()) if isinstance(wanted, dict) else [wanted])
    assert 50 < numbers(answer)[0] < 300, "in the series' units"


def test_judged_on_the_rows_of_the_test_part_it_has_the_test_figures(
    found: trained.Trained, tmp_path: Path
) -> None:
    test = found.data().test
    first = int(test.inputs[0])  # type: ignore[union-attr]
    result = evaluate(found, other=write(tmp_path / "a.csv", LINES[first:]))
    recorded = found.run.summary().metrics
    assert result["metrics"]["rmse"] == pytest.approx(recorded["test/rmse"], rel=1e-4)
    assert result["samples"] == len(test)  # type: ignore[arg-type]
    assert [row[0] for row in result["report"]["errors"]["rows"]] == list(found.spec.target_names)


def test_the_order_of_rows_and_columns_does_not_matter(found: trained.Trained, tmp_path: Path) -> None:
    (forward,) = predict(found, [write(tmp_path / "a.csv", LINES)])
    (backward,) = predict(found, [write(tmp_path / "b.csv", LINES[::-1])])
    turned = [",".join(reversed(line.split(","))) for line in LINES]
    (sideways,) = predict(found, [write(tmp_path / "c.csv", turned, "people,rain,month")])
    assert numbers(forward) == numbers(backward) == numbers(sideways)


async def test_served_it_answers_as_the_file_is_answered(found: trained.Trained, tmp_path: Path) -> None:
    (wanted,) = predict(found, [write(tmp_path / "a.csv", LINES)])
    rows = [[float(cell) for cell in reversed(line.split(",")[1:])] for line in LINES]
    service = Service(found, Limits())
    assert numbers(Answer("", service._answer({"input": rows}))) == pytest.approx(numbers(wanted))
    assert "prediction" in service._answer(example_of(found))
    with pytest.raises(RefusedError, match="must be 8 rows or more of 2 numbers each: people, rain"):
        service._answer({"input": rows[:7]})


@pytest.mark.parametrize(
    ("lines", "header", "reason"),
    [
        (LINES[:5], HEADER, "has 5 rows; a forecast looks back on 8"),
        (LINES, "month,rain,persons", "lacks the column 'people'; it has month, rain, persons"),
        ([*LINES[:40], "1993-05,1,many", *LINES[41:]], HEADER, "holds 'many' in line 42, which is no number"),
        ([*LINES[:9], LINES[3]], HEADER, "is not in order"),
    ],
)
def test_a_series_that_cannot_be_used_is_one_reason(
    lines: list[str], header: str, reason: str, found: trained.Trained, tmp_path: Path
) -> None:
    (answer,) = predict(found, [write(tmp_path / "a.csv", lines, header)])
    assert isinstance(answer, Unreadable)
    assert reason in answer.reason
    assert str(tmp_path) not in answer.reason, "who prints it names the file"


def test_an_exported_forecast_gets_its_units_as_the_card_says(found: trained.Trained, tmp_path: Path) -> None:
    subject, _ = describe(found)
    ExportedProgram().write(subject, tmp_path / "a.pt2", Options(dynamic=True))
    units = subject.facts["answer_units"]
    inputs = subject.inputs[0]
    raw = torch.export.load(tmp_path / "a.pt2").module()(inputs)
    said = raw * torch.tensor(units["scale"]) + torch.tensor(units["offset"])
    said = said.exp() if units["log"] else said
    wanted = [numbers(Answer("", content)) for content in found.task.answers(inputs)]
    torch.testing.assert_close(said, torch.tensor(wanted))
    text = card(found, Checked(tmp_path / "a.pt2", 1, 0.0, 1.0, 1, True), "pt2", {})
    assert ("then take the exponential" in text) == units["log"]
    assert f"multiply by {units['scale'][0]:.6g}" in text


@pytest.mark.slow
def test_weights_of_a_forecaster_keep_the_names_of_its_network(
    found: trained.Trained, tmp_path: Path
) -> None:
    checked = export(found, "safetensors", tmp_path / "a", Options())
    assert checked.difference <= checked.tolerance
    assert load_file(tmp_path / "a").keys() == found.task.model.state_dict().keys()
