"""CSV files: what becomes of columns and target, and a sentence for everything that can be wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcore.data.delimited import read_table
from dlcore.data.preprocess import preprocess
from dlcore.data.spec import Data, DataContext, DataSpec, TensorPart
from dlcore.errors import UserError
from dlcore.registry import DATA


def build(path: Path | str, base: Path | None = None, **options: Any) -> Data:
    data = DATA.build("csv", DataContext(Path("nowhere"), base=base), path=str(path), **options)
    assert isinstance(data, Data)
    return data


def write(folder: Path, text: str, name: str = "data.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def people(rows: int = 40) -> str:
    """Ages from 20, two towns in turn, a yes or no that depends on the age."""
    lines = [
        f"{20 + row * 1.5},{('Rome', 'Oslo')[row % 2]},{('no', 'yes')[row % 4 > 1]}" for row in range(rows)
    ]
    return "age,town,buys\n" + "\n".join(lines) + "\n"


def whole(data: Data) -> tuple[torch.Tensor, torch.Tensor]:
    parts = [part for part in (data.train, data.val, data.test) if isinstance(part, TensorPart)]
    return torch.cat([part.inputs for part in parts]), torch.cat([part.targets for part in parts])


def train(data: Data) -> TensorPart:
    assert isinstance(data.train, TensorPart)
    return data.train


def sentence(path: Path | str, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        build(path, **options)
    return caught.value.lines[0]


def test_columns_become_named_features(tmp_path: Path) -> None:
    data = build(write(tmp_path, people()))
    assert data.spec.feature_names == ("age", "town=Oslo", "town=Rome")
    assert (data.spec.target, data.spec.num_outputs, data.spec.class_names) == ("binary", 1, ("no", "yes"))
    assert [len(part) for part in (data.train, data.val, data.test) if part] == [28, 4, 8]
    assert data.notes == ()


def test_numbers_are_standardised_by_the_training_part(tmp_path: Path) -> None:
    ages = train(build(write(tmp_path, people()))).inputs[:, 0]
    assert float(ages.mean()) == pytest.approx(0, abs=1e-6)
    assert float(ages.std(correction=0)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("target", ["buys", 2, -1])
def test_the_target_goes_by_name_or_position(tmp_path: Path, target: str | int) -> None:
    data = build(write(tmp_path, people()), target=target)
    assert data.spec.preprocessing["target"] == "buys"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " "])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    assert build(write(tmp_path, people().replace(",", delimiter))).spec.feature_names[0] == "age"


def test_a_named_delimiter_is_taken(tmp_path: Path) -> None:
    assert build(write(tmp_path, people().replace(",", "\t")), delimiter="tab").spec.feature_names[0] == "age"


@pytest.mark.parametrize(
    ("text", "has_header"),
    [
        ("a,b\n1,2\n3,4\n", True),
        ("1,2\n3,4\n", False),
        ("name,label\nann,x\nbob,y\ncid,x\n", True),
        ("ann,x\nbob,y\ncid,x\n", False),
        ("2010,2011\n1,2\n3,4\n", False),
        (",value\n0,5\n1,6\n", True),
    ],
)
def test_a_header_is_told_from_data(tmp_path: Path, text: str, has_header: bool) -> None:
    assert read_table(write(tmp_path, text)).has_header == has_header


def test_a_header_can_be_said(tmp_path: Path) -> None:
    path = write(tmp_path, "2010,2011\n1,2\n3,4\n")
    assert read_table(path, header="yes").names == ("2010", "2011")
    assert read_table(write(tmp_path, "a,b\n1,2\n"), header="no").names == ("column_0", "column_1")


def test_repeated_and_empty_names_are_told_apart(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, "x,x,,x\na,1,2,3\n"), header="yes").names == (
        "x",
        "x_2",
        "column_2",
        "x_3",
    )


@pytest.mark.parametrize("name", ["same", "c{}", ""])
def test_as_many_columns_as_a_file_can_hold_get_their_names_in_linear_time(tmp_path: Path, name: str) -> None:
    width = 100_000
    header = ",".join(name.format(position) for position in range(width))
    table = read_table(write(tmp_path, f"{header}\n{'1,' * (width - 1)}1\n"), header="yes")
    assert len(set(table.names)) == width


def test_white_space_blank_lines_and_a_byte_order_mark_do_not_count(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, '\ufeffa, b\r\n\r\n 1 , "two, three" \r\n\r\n'))
    assert table.names == ("a", "b") and table.columns == (["1"], ["two, three"]) and table.lines == [3]


def test_missing_numbers_get_the_training_median_and_a_feature_of_their_own(tmp_path: Path) -> None:
    lines = [f"{'?' if row % 5 == 0 else row % 7 * 2.5},{row % 2}" for row in range(60)]
    data = build(write(tmp_path, "x,y\n" + "\n".join(lines)))
    assert data.spec.feature_names == ("x", "x missing")
    column = data.spec.preprocessing["columns"][0]
    part = train(data)
    gaps = part.inputs[:, 1] == 1
    values = part.inputs[:, 0].double() * column["std"] + column["mean"]
    assert column["median"] == pytest.approx(float(np.median(values[~gaps])), abs=1e-5)
    torch.testing.assert_close(values[gaps].float(), torch.full((int(gaps.sum()),), column["median"]))


def test_values_seen_only_outside_training_are_all_zeros(tmp_path: Path) -> None:
    lines = [f"{'rare' if row == 0 else 'ab'[row % 2]},{row * 1.37}" for row in range(50)]
    path = write(tmp_path, "kind,value\n" + "\n".join(lines))
    seeds = [seed for seed in range(30) if "kind=rare" not in _seeded(path, seed).spec.feature_names]
    assert seeds
    data = _seeded(path, seeds[0])
    assert data.spec.feature_names == ("kind=a", "kind=b")
    inputs, targets = whole(data)
    assert inputs[int(targets.argmin())].tolist() == [0, 0]


def _seeded(path: Path, seed: int) -> Data:
    data = DATA.build("csv", DataContext(Path("nowhere"), seed=seed), path=str(path))
    assert isinstance(data, Data)
    return data


def test_useless_columns_are_left_out_with_a_note(tmp_path: Path) -> None:
    lines = [f"{row + 1},name{row},7,,{row % 3 * 0.5},{'xy'[row % 2]}" for row in range(60)]
    data = build(write(tmp_path, "id,name,same,empty,size,kind\n" + "\n".join(lines)))
    assert data.spec.feature_names == ("size",)
    assert len(data.notes) == 4
    for name, note in zip(("id", "name", "same", "empty"), data.notes, strict=True):
        assert f"{name!r}" in note and "left out" in note


def test_columns_can_be_dropped_and_kept(tmp_path: Path) -> None:
    lines = [f"{row + 1},{row % 3},{'xy'[row % 2]}" for row in range(60)]
    path = write(tmp_path, "id,size,kind\n" + "\n".join(lines))
    assert build(path, keep=["id"]).spec.feature_names == ("id", "size")
    assert build(path, keep=["id"], drop=[1]).spec.feature_names == ("id",)


def test_numbers_can_be_labels(tmp_path: Path) -> None:
    lines = [f"{row % 3},{'xy'[row % 2]}" for row in range(60)]
    data = build(write(tmp_path, "size,kind\n" + "\n".join(lines)), categories=["size"])
    assert data.spec.feature_names == ("size=0", "size=1", "size=2")


def test_numbers_spoilt_by_a_few_texts_get_a_hint(tmp_path: Path) -> None:
    lines = [f"{'broken' if row == 7 else row * 1.3},{row % 3},{'xy'[row % 2]}" for row in range(80)]
    path = write(tmp_path, "meter,size,kind\n" + "\n".join(lines))
    (note,) = build(path).notes
    assert "'broken'" in note and "missing" in note
    assert "meter" in build(path, missing=["broken"]).spec.feature_names


def test_a_column_that_gives_the_answer_away_is_noted(tmp_path: Path) -> None:
    lines = [f"{row % 7},{('dead', 'alive')[row % 2]},{row % 2}" for row in range(80)]
    (note,) = build(write(tmp_path, "size,state,survived\n" + "\n".join(lines))).notes
    assert "'state'" in note and "drop" in note


@pytest.mark.parametrize(
    ("values", "kind", "target"),
    [
        (["a", "b", "c"], "auto", "class"),
        (["0", "1"], "auto", "binary"),
        (["1.0", "1", "2"], "auto", "binary"),
        ([str(n) for n in range(20)], "auto", "class"),
        ([str(n) for n in range(21)], "auto", "number"),
        (["0.5", "1", "2"], "auto", "number"),
        (["0.5", "1", "2"], "class", "class"),
        (["0", "1"], "number", "number"),
    ],
)
def test_what_the_target_is_taken_for(tmp_path: Path, values: list[str], kind: str, target: str) -> None:
    lines = [f"{row % 11},{values[row % len(values)]}" for row in range(120)]
    data = build(write(tmp_path, "x,y\n" + "\n".join(lines)), kind=kind)
    assert data.spec.target == target


def test_whole_numbers_taken_as_classes_are_noted_and_in_order(tmp_path: Path) -> None:
    lines = [f"{row % 13},{(3, 10, 9)[row % 3]}" for row in range(90)]
    data = build(write(tmp_path, "x,quality\n" + "\n".join(lines)))
    assert data.spec.class_names == ("3", "9", "10")
    assert any('data.kind = "number"' in note for note in data.notes)


def test_a_number_target_keeps_its_unit(tmp_path: Path) -> None:
    lines = [f"{row % 13},{1000 + row * 0.5}" for row in range(90)]
    data = build(write(tmp_path, "x,price\n" + "\n".join(lines)))
    _, targets = whole(data)
    assert targets.shape == (90, 1) and float(targets.min()) == 1000
    assert data.spec.target_names == ("price",) and data.spec.class_names == ()
    assert data.spec.target_offset[0] == pytest.approx(float(train(data).targets.mean()))


def test_rows_without_an_answer_are_left_out_with_a_note(tmp_path: Path) -> None:
    lines = [f"{row % 7},{'' if row < 5 else 'xy'[row % 2]}" for row in range(60)]
    data = build(write(tmp_path, "size,kind\n" + "\n".join(lines)))
    assert len(whole(data)[0]) == 55
    assert any(note.startswith("5 rows have") for note in data.notes)


def test_a_decimal_comma_is_read(tmp_path: Path) -> None:
    lines = [f"{row // 10},{row % 10};{'xy'[row % 2]}" for row in range(60)]
    data = build(write(tmp_path, "size;kind\n" + "\n".join(lines)), decimal=",")
    assert data.spec.preprocessing["columns"][0]["type"] == "number"
    assert preprocess(data.spec.preprocessing, [{"size": "2,5"}]).shape == (1, 1)


def test_prediction_sees_what_training_saw(tmp_path: Path) -> None:
    path = write(tmp_path, people())
    data = build(path)
    spec = DataSpec.from_dict(json.loads(json.dumps(data.spec.to_dict(), allow_nan=False)))
    assert spec == data.spec
    table = read_table(path)
    rows = [dict(zip(table.names, row, strict=True)) for row in zip(*table.columns, strict=True)]
    features = preprocess(spec.preprocessing, rows)
    inputs, _ = whole(data)
    assert sorted(features.tolist()) == sorted(inputs.tolist())


def test_a_relative_path_is_looked_for_beside_the_preset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    write(tmp_path, people())
    assert len(whole(build("data.csv", base=tmp_path))[0]) == 40


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_another_encoding_is_read_when_named(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, people().replace("Oslo", "Tromsø"), encoding=encoding)
    assert "town=Tromsø" in build(path, encoding=encoding).spec.feature_names


def test_the_wrong_encoding_names_byte_place_and_key(tmp_path: Path) -> None:
    path = write(tmp_path, people().replace("Oslo", "Tromsø"), encoding="cp1252")
    said = sentence(path)
    assert "0xf8" in said and "position" in said and "line 3" in said and "encoding =" in said


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"a,b\n", "no rows"),
        (b"PK\x03\x04rest", "spreadsheet"),
        (b"\x1f\x8brest", "gzip"),
        ("a,b\n1,2\n".encode("utf-16"), 'data.encoding = "utf-16"'),
        ("a,b\n1,2\n".encode("utf-16-le"), 'another data.encoding, such as "utf-16"'),
        (b"a,b\n1,2\n1,2,3\n", "line 3 has 3 cells and the first line 2"),
        (b'a,b\n"1\n2",3\n4\n', "line 4 has 1 cell "),
        (b"only\n1\n2\n", "single column"),
        (b"x,y\n1,a\n2,a\n3,a\n", "is 'a' in every row"),
        (b"x,y\n1,\n2,?\n", "missing in every row"),
        (b"x,y\n" + b"".join(b"1,t%d\n" % n for n in range(50)), "too many for classes"),
        (b"x,y\n" + b"".join(b"7,%d\n" % (n % 2) for n in range(50)), "no column left to learn from"),
        (b"x,y\n1,0\n2,1\n", "too few"),
    ],
)
def test_what_is_wrong_with_a_file_is_a_sentence_with_its_path(
    tmp_path: Path, content: bytes, what: str
) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    assert what in sentence(path)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"target": "buy"}, "did you mean 'buys'?"),
        ({"target": 3}, "no column at position 3: there are 3, from 0 to 2"),
        ({"drop": ["ag"]}, "did you mean 'age'?"),
        ({"keep": ["nothing"]}, "data.keep: no column 'nothing'"),
        ({"target": "age", "kind": "class"}, "too many for classes"),
        ({"target": "town", "kind": "number"}, "holds 'Rome' in line 2, which is no number"),
        ({"encoding": "klingon"}, "unknown data.encoding"),
        ({"delimiter": "::"}, "delimiter must be one character"),
        ({"val": 0.5, "test": 0.5}, "leave nothing to train on"),
    ],
)
def test_a_wrong_option_is_a_sentence(tmp_path: Path, options: dict[str, Any], what: str) -> None:
    assert what in sentence(write(tmp_path, people()), **options)


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, people(), name="people.csv")
    assert "did you mean people.csv?" in sentence(tmp_path / "poeple.csv")


def test_a_link_to_itself_is_not_offered_as_its_own_nearest(tmp_path: Path) -> None:
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    assert sentence(tmp_path / "loop.csv").endswith("it is a link that leads nowhere")


def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    assert "is no regular file" in sentence(tmp_path / "pipe.csv")
    assert "is no regular file" in sentence("/dev/zero")


def test_a_number_that_is_not_finite_is_no_answer(tmp_path: Path) -> None:
    rows = "".join(f"{row * 1.5},{'inf' if row == 3 else row * 0.5}\n" for row in range(40))
    what = sentence(write(tmp_path, f"x,y\n{rows}"), kind="number")
    assert "holds 'inf' in line 5, which is no finite number" in what


def test_a_thousand_useless_columns_are_not_a_thousand_lines(tmp_path: Path) -> None:
    header, cells = ",".join(f"c{n}" for n in range(1000)), "7," * 1000
    path = write(tmp_path, f"{header},y\n" + "".join(f"{cells}{row % 2}\n" for row in range(40)))
    with pytest.raises(UserError) as caught:
        build(path)
    assert len(caught.value.lines) == 22
    assert caught.value.lines[-1] == "and 980 more columns with such a note"


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    assert "is a folder" in sentence(tmp_path)


@settings(max_examples=100, deadline=None)
@given(content=st.one_of(st.binary(max_size=200), st.text("ab1.,;\n\"'?-e ", max_size=200).map(str.encode)))
def test_any_bytes_make_data_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(content)
    try:
        data = build(path)
    except UserError as error:
        assert all("\n" not in line.replace(str(path), "") for line in error.lines)
    else:
        assert bool(torch.isfinite(whole(data)[0]).all())


def test_real_titanic(real_data: Path) -> None:
    data = build(real_data / "tabular" / "titanic.csv", target="survived", drop=["alive"])
    assert data.spec.target == "binary" and data.spec.class_names == ("0", "1")
    assert "age missing" in data.spec.feature_names and "sex=male" in data.spec.feature_names
    assert sum(data.spec.class_counts) == len(data.train) == 624
    assert data.notes == ()


def test_real_adult(real_data: Path) -> None:
    data = build(real_data / "tabular" / "adult-train.csv")
    assert data.spec.class_names == ("<=50K", ">50K")
    assert not any(name.endswith("=?") for name in data.spec.feature_names)
    assert "column_9=Female" in data.spec.feature_names


def test_real_wine_quality(real_data: Path) -> None:
    path = real_data / "tabular" / "winequality-white.csv"
    assert build(path).spec.class_names == tuple("3456789")
    data = build(path, kind="number")
    assert data.spec.target == "number" and data.spec.input_shape == (11,)
    assert data.spec.target_offset[0] == pytest.approx(5.88, abs=0.03)
