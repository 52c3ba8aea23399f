"""Texts of one's own with classes: columns, vocabulary, parts, and every mistake in one sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from dlcore.data.batches import Batches
from dlcore.data.spec import Batch, Data, DataContext, Part
from dlcore.errors import UserError
from dlcore.registry import DATA
from dlcore.vocabulary import PAD, UNKNOWN, from_plain

WORDS = [
    "the",
    "a",
    "film",
    "plot",
    "cast",
    "music",
    "is",
    "was",
    "feels",
    "good",
    "bad",
    "slow",
    "fine",
    "dull",
]
LABELS = ("meh", "nay", "yea")


def rows(count: int = 60) -> list[tuple[str, str]]:
    """Different texts of 3 to 7 words, with three classes in turn."""
    texts = [
        " ".join(WORDS[(n * 7 + k * (n // 15 + 1)) % len(WORDS)] for k in range(3 + n % 5)) + f" w{n}"
        for n in range(count)
    ]
    return [(text, LABELS[n % 3]) for n, text in enumerate(texts)]


def write_csv(path: Path, pairs: Sequence[tuple[str, ...]], header: str = "text,label") -> Path:
    path.write_text("\n".join([header, *(",".join(pair) for pair in pairs)]))
    return path


def build(path: Path, seed: int = 0, **options: Any) -> Data:
    data = DATA.build("text", DataContext(path.parent, seed=seed), path=str(path), **options)
    assert isinstance(data, Data)
    return data


def whole(part: Part) -> Batch:
    (batch,) = Batches(part, len(part), seed=0, device="cpu", shuffle=False, train=False).epoch(0)
    return batch


def texts_of(data: Data, part: Part) -> list[str]:
    tokenizer = from_plain(data.spec.preprocessing["tokenizer"])
    return [tokenizer.decode(ids) for ids in whole(part).inputs.tolist()]


def test_texts_and_classes_come_back_from_ids(tmp_path: Path) -> None:
    data = build(write_csv(tmp_path / "reviews.csv", rows()), tokens="characters", length=80)
    assert data.spec.class_names == LABELS
    pairs = []
    for part in (data.train, data.val, data.test):
        assert part is not None
        names = [LABELS[code] for code in whole(part).targets.tolist()]
        pairs += zip(texts_of(data, part), names, strict=True)
    assert sorted(pairs) == sorted(rows())


def test_batches_are_as_the_spec_says(tmp_path: Path) -> None:
    data = build(write_csv(tmp_path / "reviews.csv", rows()))
    batch = whole(data.train)
    assert batch.inputs.dtype == batch.targets.dtype == torch.int64
    assert tuple(batch.inputs.shape[1:]) == data.spec.input_shape == (8,)  # seven words and a mark
    assert (data.spec.input, data.spec.target, data.spec.num_outputs) == ("tokens", "class", 3)
    assert sum(data.spec.class_counts) == len(data.train) == 48
    assert int(batch.inputs.max()) < len(data.spec.vocabulary)


def test_the_vocabulary_is_the_training_texts_own(tmp_path: Path) -> None:
    data = build(write_csv(tmp_path / "reviews.csv", rows()))
    words = {word for text in texts_of(data, data.train) for word in text.split()}
    assert set(data.spec.vocabulary) == words | {PAD, UNKNOWN}
    assert data.test is not None
    held_back = " ".join(texts_of(data, data.test)).split()
    assert held_back.count(UNKNOWN) == len(data.test)  # each text's own mark
    assert not any(word.startswith("w") and word[1:].isdigit() for word in held_back)


def test_rare_words_and_words_beyond_the_vocabulary_are_unknown(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "reviews.csv", rows())
    assert not any(word[1:].isdigit() for word in build(path, min_count=2).spec.vocabulary)
    assert len(build(path, vocabulary=10).spec.vocabulary) == 10


def test_longer_texts_are_cut_and_it_is_said(tmp_path: Path) -> None:
    data = build(write_csv(tmp_path / "reviews.csv", rows()), length=4)
    assert data.spec.input_shape == (4,)
    assert "48 of 60 texts are longer than 4 tokens and are cut" in data.notes


@pytest.mark.parametrize("name", ["reviews.jsonl", "reviews.ndjson"])
def test_json_lines_hold_the_same_as_a_table(tmp_path: Path, name: str) -> None:
    lines = [json.dumps({"label": label, "id": n, "text": text}) for n, (text, label) in enumerate(rows())]
    (tmp_path / name).write_text("\n".join([*lines, "", ""]))
    table = build(write_csv(tmp_path / "reviews.csv", rows()))
    ours = build(tmp_path / name)
    assert ours.spec == table.spec
    assert torch.equal(whole(ours.train).inputs, whole(table.train).inputs)


def test_classes_that_are_numbers_or_truth_values_are_named_as_written(tmp_path: Path) -> None:
    path = tmp_path / "spam.jsonl"
    path.write_text("\n".join(json.dumps({"text": t, "spam": n % 2 == 0}) for n, (t, _) in enumerate(rows())))
    data = build(path)
    assert data.spec.class_names == ("false", "true")
    assert (data.spec.target, data.spec.num_outputs) == ("binary", 1)


def test_columns_are_found_and_can_be_named(tmp_path: Path) -> None:
    triples = [(f"{n}", label, text) for n, (text, label) in enumerate(rows())]
    path = write_csv(tmp_path / "reviews.csv", triples, header="id,sentiment,review")
    found, named = build(path), build(path, column="review", target=1)
    assert found.spec == named.spec
    assert "texts are column 'review', classes 'sentiment'" in found.notes
    assert named.notes == ()


def test_tabs_separate_cells(tmp_path: Path) -> None:
    path = tmp_path / "reviews.tsv"
    path.write_text("label\ttext\n" + "\n".join(f"{label}\t{text}, so" for text, label in rows()))
    assert build(path).spec.class_names == LABELS


def test_the_same_text_in_the_same_class_counts_once(tmp_path: Path) -> None:
    data = build(write_csv(tmp_path / "reviews.csv", [*rows(), *rows(10), ("", "yea")]))
    assert sum(len(part) for part in (data.train, data.val, data.test) if part) == 60
    assert "10 rows repeat another's text and class and are left out" in data.notes
    assert "1 rows without a text or a class are left out" in data.notes


def test_the_seed_decides_the_parts(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "reviews.csv", rows())
    first, again, other = (set(texts_of(build(path, seed), build(path, seed).val)) for seed in (0, 0, 1))
    assert first == again != other


def test_a_model_learns_nothing_from_the_padding(tmp_path: Path) -> None:
    data = build(write_csv(tmp_path / "reviews.csv", rows()))
    assert data.spec.pad_id == 0 and data.spec.vocabulary[0] == PAD
    lengths = {len(text.split()) for text in texts_of(data, data.train)}
    assert lengths == {4, 5, 6, 7, 8}


MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("text,label\na b,x\nc d,x\n", {}, "is 'x' in every row: there is nothing to learn"),
    ("text\nab\ncd\n", {}, "must hold texts and a class for each, but has only 'text'"),
    ("", {}, "is empty"),
    ("text,label\n", {}, "has no rows below its first line"),
    ("text,label\na b,x\nc d\n", {}, "line 3 has 1 cell and the first line 2"),
    ("text,label\na b,x\nc d,y\ne f,z\n", {}, "has 3 different values in 3 rows, too many for classes"),
    ("text,label\n,x\n,y\n", {}, "no row has both a text and a class"),
    ("GOOD", {"column": "review"}, "data.column: no column 'review'"),
    ("GOOD", {"target": 5}, "data.target: no column at position 5: there are 2"),
    ("GOOD", {"column": "label", "target": "label"}, "data.column and data.target both name column 'label'"),
    ("GOOD", {"tokens": "bpe", "vocabulary": 256}, "data.vocabulary must be at least 257 for bpe"),
    ("GOOD", {"vocabulary": 2}, "data.vocabulary must be at least 3 for words, got 2"),
    ("GOOD", {"min_count": 1000}, "no token comes 1000 times in the training texts"),
    ("GOOD", {"val": 0.6, "test": 0.5}, "leave nothing to train on"),
    ("GOOD", {"encoding": "utf-99"}, 'unknown data.encoding "utf-99"'),
    ("GOOD", {"delimiter": "::"}, "data.delimiter must be one character"),
]


@pytest.mark.parametrize(("content", "options", "what"), MISTAKES)
def test_a_mistake_is_one_plain_sentence(
    tmp_path: Path, content: str, options: dict[str, Any], what: str
) -> None:
    path = tmp_path / "reviews.csv"
    if content == "GOOD":
        write_csv(path, rows())
    else:
        path.write_text(content)
    with pytest.raises(UserError) as caught:
        build(path, **options)
    assert what in str(caught.value)
    assert len(caught.value.lines) == 1 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('{"text": "a", "label": "x"}\n{"text": ', "line 2 is no JSON"),
        ('{"text": "a", "label": "x"}\n[1, 2]', "line 2 is no JSON object"),
        ("[" * 100_000, "line 1 is no JSON"),
        ('{"text": "a"}\n{"label": "x"}', "but its rows have no key in common"),
    ],
)
def test_a_mistake_in_json_lines_is_one_plain_sentence(tmp_path: Path, content: str, what: str) -> None:
    (tmp_path / "reviews.jsonl").write_text(content)
    with pytest.raises(UserError) as caught:
        build(tmp_path / "reviews.jsonl")
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_a_folder_is_one_plain_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no file or folder .*nothing\.csv"):
        build(tmp_path / "nothing.csv")
    with pytest.raises(UserError, match="is a folder, not a file of texts"):
        build(tmp_path)
