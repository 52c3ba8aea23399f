"""Time series: windows that never see what comes after them, and a sentence for everything that can be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlcore.data.series import split_rows
from dlcore.data.spec import Data, DataContext, Part, TensorPart
from dlcore.errors import UserError
from dlcore.registry import DATA

ROWS = 60


def build(path: Path, **options: Any) -> Data:
    data = DATA.build("series", DataContext(Path("nowhere")), path=str(path), **{"window": 5, **options})
    assert isinstance(data, Data)
    return data


def write(folder: Path, lines: list[str], header: str = "month,rain,people") -> Path:
    path = folder / "series.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def months(rows: int = ROWS) -> list[str]:
    """People count up from 100 by 1, rain goes round."""
    return [f"{1990 + row // 12}-{row % 12 + 1:02},{row % 7},{100 + row}" for row in range(rows)]


def windows(part: Part | None) -> tuple[torch.Tensor, torch.Tensor]:
    assert isinstance(part, TensorPart) and part.prepare is not None
    return part.prepare(part.inputs), part.targets


def in_units(data: Data, inputs: torch.Tensor) -> torch.Tensor:
    facts = data.spec.preprocessing
    return inputs * torch.tensor(facts["std"]) + torch.tensor(facts["mean"])


def test_a_window_is_followed_by_its_target(tmp_path: Path) -> None:
    data = build(write(tmp_path, months()), horizon=2)
    for part in (data.train, data.val, data.test):
        inputs, targets = windows(part)
        people = in_units(data, inputs)[:, :, 0]
        torch.testing.assert_close(people, people[:, :1] + torch.arange(5.0))
        torch.testing.assert_close(targets, people[:, -1:] + torch.tensor([1.0, 2.0]), rtol=1e-5, atol=1e-3)
    assert data.spec.input_shape == (5, 1)
    assert data.spec.target_names == ("people +1", "people +2")


def test_parts_follow_each_other_and_no_forecast_is_in_two(tmp_path: Path) -> None:
    data = build(write(tmp_path, months()), horizon=3, val=0.2, test=0.2)
    last = -1.0
    for part in (data.train, data.val, data.test):
        _, targets = windows(part)
        assert float(targets.min()) > last
        last = float(targets.max())
    assert last == 100 + ROWS - 1, "the last row is forecast"


def test_statistics_come_from_training_rows_only(tmp_path: Path) -> None:
    lines, spoilt = months(), months()
    spoilt[-15:] = [line.rpartition(",")[0] + ",99999" for line in spoilt[-15:]]
    facts = [build(write(tmp_path, text)).spec.preprocessing for text in (lines, spoilt)]
    assert facts[0] == facts[1]


@pytest.mark.parametrize("rows", [40, 41, 100])
@pytest.mark.parametrize(("window", "horizon"), [(1, 1), (5, 1), (5, 4)])
def test_every_row_behind_the_first_window_is_forecast_once_by_its_part(
    rows: int, window: int, horizon: int
) -> None:
    starts = split_rows(rows, window=window, horizon=horizon, val=0.2, test=0.25)
    forecast = [{s + window + step for s in part for step in range(horizon)} for part in starts]
    assert sorted(set.union(*forecast)) == list(range(window, rows))
    assert sum(map(len, forecast)) == rows - window


def test_further_columns_are_seen_and_not_forecast(tmp_path: Path) -> None:
    data = build(write(tmp_path, months()), also=["rain"])
    assert data.spec.input_shape == (5, 2)
    assert data.spec.feature_names == ("people", "rain")
    assert data.spec.num_outputs == 1
    inputs, _ = windows(data.train)
    torch.testing.assert_close(in_units(data, inputs)[0, :, 1], torch.arange(5.0), rtol=1e-4, atol=1e-4)


def test_newest_first_is_turned_round_with_a_note(tmp_path: Path) -> None:
    forwards = build(write(tmp_path, months()))
    backwards = build(write(tmp_path, months()[::-1]))
    assert backwards.spec == forwards.spec
    assert torch.equal(windows(backwards.test)[1], windows(forwards.test)[1])
    assert any("newest row first" in note for note in backwards.notes)


def test_gaps_take_the_value_before_with_a_note(tmp_path: Path) -> None:
    lines = months()
    lines[3] = lines[3].rpartition(",")[0] + ","
    data = build(write(tmp_path, lines))
    inputs, _ = windows(data.train)
    assert np.round(in_units(data, inputs)[0, :, 0].numpy()).tolist() == [100, 101, 102, 102, 104]
    assert any("1 gaps" in note or "1 gap" in note for note in data.notes)


def test_a_logarithm_is_of_the_inputs_and_targets_keep_their_unit(tmp_path: Path) -> None:
    data = build(write(tmp_path, months()), scale="log")
    inputs, targets = windows(data.train)
    torch.testing.assert_close(
        in_units(data, inputs)[0, :, 0].exp(), torch.arange(100.0, 105.0), rtol=1e-4, atol=1e-2
    )
    assert float(targets[0]) == pytest.approx(105)


def test_what_turns_rows_into_inputs_is_plain_data(tmp_path: Path) -> None:
    spec = build(write(tmp_path, months()), season=4).spec
    assert json.loads(json.dumps(spec.preprocessing)) == spec.preprocessing
    assert spec.preprocessing["kind"] == "series"


@pytest.mark.parametrize(
    ("change", "options", "what"),
    [
        (lambda lines: lines, {"window": 70}, "leave no window"),
        (lambda lines: lines, {"val": 0.5, "test": 0.5}, "nothing to train on"),
        (lambda lines: lines, {"season": 12}, "look back on a whole season"),
        (lambda lines: lines, {"target": "peeple"}, "peeple"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], {}, "is not in order"),
        (lambda lines: [lines[0].rpartition(",")[0] + ",many", *lines[1:]], {}, "is no number"),
        (lambda lines: [lines[0].rpartition(",")[0] + ",", *lines[1:]], {}, "where the series begins"),
        (lambda lines: [line.rpartition(",")[0] + ",7" for line in lines], {}, "the same number"),
        (lambda lines: [line.rpartition(",")[0] + f",{n - 30}" for n, line in enumerate(lines)],
         {"scale": "log"}, "have no logarithm"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_a_sentence(
    tmp_path: Path, change: Any, options: dict[str, Any], what: str
) -> None:
    with pytest.raises(UserError, match=what):
        build(write(tmp_path, change(months())), **options)
