"""Running text: windows, what comes next, parts that do not overlap, Python's own documentation."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from dlcore.data.batches import Batches
from dlcore.data.python_docs import chunks, deal, distinct_paragraphs
from dlcore.data.spec import Batch, Data, DataContext
from dlcore.data.text_file import cut
from dlcore.data.tokens import Windows
from dlcore.errors import UserError
from dlcore.registry import DATA
from dlcore.vocabulary import Tokenizer, from_plain

TEXT = "".join(f"{n}: the quick brown fox jumps over the lazy dog.\n" for n in range(400))


def build(name: str = "text_file", seed: int = 0, **options: Any) -> Data:
    data = DATA.build(name, DataContext(Path("nowhere"), seed=seed), **options)
    assert isinstance(data, Data)
    return data


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "story.txt").write_text(TEXT)
    return str(tmp_path / "story.txt")


def tokenizer_of(data: Data) -> Tokenizer:
    return from_plain(data.spec.preprocessing["tokenizer"])


def epoch_of(data: Data, epoch: int = 0, batch_size: int = 7, shuffle: bool = True) -> list[Batch]:
    batches = Batches(data.train, batch_size, seed=0, device="cpu", shuffle=shuffle, train=True)
    return list(batches.epoch(epoch))


def test_targets_are_the_same_tokens_one_later(path: str) -> None:
    data = build(path=path, window=16, test=0.1)
    for part in (data.train, data.val, data.test):
        assert part is not None
        for inputs, targets, _ in Batches(part, 5, seed=0, device="cpu", shuffle=True, train=True).epoch(0):
            assert inputs.dtype == targets.dtype == torch.int64
            assert inputs.shape[1:] == targets.shape[1:] == (16,)
            assert torch.equal(inputs[:, 1:], targets[:, :-1])


def test_the_parts_are_stretches_of_the_text_in_its_order() -> None:
    train, val, test = cut(TEXT, val=0.1, test=0.2)
    assert train + val + test == TEXT
    assert len(test) == pytest.approx(len(TEXT) * 0.2, abs=1)
    assert len(val) == pytest.approx(len(TEXT) * 0.1, abs=1)


def test_held_back_windows_are_all_of_their_stretch(path: str) -> None:
    data = build(path=path, window=16)
    (batch,) = Batches(data.val, len(data.val), seed=0, device="cpu", shuffle=False, train=False).epoch(0)
    stretch = cut(TEXT, val=0.1, test=0)[1]
    assert tokenizer_of(data).decode(batch.inputs.flatten().tolist()) == stretch[: len(data.val) * 16]
    assert len(data.val) == (len(stretch) - 1) // 16


@pytest.mark.parametrize("tokens", ["characters", "words", "bpe"])
def test_the_tokens_are_the_training_parts_own(tmp_path: Path, tokens: str) -> None:
    (tmp_path / "story.txt").write_text(TEXT + "Ω omega " * 200)
    data = build(path=str(tmp_path / "story.txt"), tokens=tokens, vocabulary=400, window=16)
    assert not any("Ω" in token or "omega" in token for token in data.spec.vocabulary)
    assert data.spec.num_outputs == len(data.spec.vocabulary)
    assert data.spec.pad_id is None


def test_bpe_tokens_tell_how_many_characters_they_stand_for(path: str) -> None:
    data = build(path=path, tokens="bpe", vocabulary=400, window=16)
    lengths = data.spec.preprocessing["characters"]
    ids = tokenizer_of(data).encode(TEXT)
    assert sum(lengths[number] for number in ids) == len(TEXT)
    assert len(ids) < len(TEXT) / 3


def test_a_pass_takes_each_window_once_and_the_next_cuts_elsewhere() -> None:
    windows = Windows(torch.arange(1000), 10, seed=0)
    starts = [sorted(int(windows[epoch, index][0][0]) for index in range(len(windows))) for epoch in range(8)]
    for ordered in starts:
        assert [b - a for a, b in pairwise(ordered)] == [10] * (len(windows) - 1)
        assert 0 <= ordered[0] < 10 and ordered[-1] + 10 <= 999
    assert len({ordered[0] for ordered in starts}) > 3


def test_shorter_epochs_add_up_to_whole_passes() -> None:
    windows = Windows(torch.arange(1000), 10, seed=0, epoch_windows=14)
    whole = Windows(torch.arange(1000), 10, seed=0)
    assert (len(windows), len(whole)) == (14, 98)
    first = [int(windows[epoch, index][0][0]) for epoch in range(7) for index in range(14)]
    assert sorted(first) == sorted(int(whole[0, index][0][0]) for index in range(98))
    assert max(first[:14]) - min(first[:14]) > 500  # from all over the text


@pytest.mark.parametrize("count", [11, 12, 20, 21, 29])
def test_a_text_of_hardly_more_than_a_window_is_enough(count: int) -> None:
    windows = Windows(torch.arange(count), 10, seed=0)
    assert len(windows) == 1
    for epoch in range(20):
        inputs, targets = windows[epoch, 0]
        assert inputs.shape == targets.shape == (10,)
        assert torch.equal(targets, inputs + 1)


def test_an_epoch_is_the_same_again_and_another_with_another_seed(path: str) -> None:
    first, again, other = (
        torch.cat([batch.inputs for batch in epoch_of(build(path=path, window=16, seed=seed))])
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    for name, text in (("b.txt", "second " * 100), ("a.txt", "first " * 100), ("c.md", "never")):
        (tmp_path / name).write_text(text)
    data = build(path=str(tmp_path), window=8, val=0.1)
    text = tokenizer_of(data).decode(epoch_of(data, batch_size=1, shuffle=False)[0].inputs[0].tolist())
    assert set(text) <= set("first second\n")
    assert "v" not in data.spec.vocabulary and "n" in data.spec.vocabulary


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"window": 5000}, "the validation part has 1,989 tokens, too few"),
        ({"val": 0.0}, "the validation part has 0 tokens, too few for a window of 128"),
        ({"val": 0.5, "test": 0.5}, "leave nothing to train on"),
        ({"tokens": "bpe", "vocabulary": 255}, "data.vocabulary must be at least 256 for bpe"),
        (
            {"tokens": "characters", "vocabulary": 1},
            "data.vocabulary must be at least 2 for characters, got 1",
        ),
        ({"encoding": "utf-99"}, 'unknown data.encoding "utf-99"'),
    ],
)
def test_a_mistake_is_one_plain_sentence(path: str, options: dict[str, Any], what: str) -> None:
    with pytest.raises(UserError) as caught:
        build(path=path, **options)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_text_and_an_empty_file_are_one_plain_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no \.txt file"):
        build(path=str(tmp_path))
    (tmp_path / "empty.txt").write_text(" \n")
    with pytest.raises(UserError, match="is empty"):
        build(path=str(tmp_path / "empty.txt"))


def test_the_documentation_is_prose_about_python_without_repetitions() -> None:
    paragraphs = distinct_paragraphs()
    assert len(set(paragraphs)) == len(paragraphs) > 1000
    assert any("iterator" in paragraph for paragraph in paragraphs)


def test_no_paragraph_of_the_documentation_is_in_two_parts() -> None:
    pieces = chunks(distinct_paragraphs())
    parts = deal(pieces, val=0.1, test=0.1, seed=0)
    assert sorted(piece for part in parts for piece in part) == sorted(pieces)
    sets = [{paragraph for piece in part for paragraph in piece.split("\n\n")} for part in parts]
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
    sizes = [sum(map(len, part)) for part in parts]
    assert sizes[1] / sum(sizes) == pytest.approx(0.1, abs=0.02)


def test_the_seed_deals_the_documentation_out() -> None:
    first, other = build("python_docs"), build("python_docs", seed=1)
    assert first.notes != other.notes
    assert len(first.train) > 5 * len(first.val) > 0


@pytest.mark.parametrize(("name", "options"), [("python_docs", {}), ("python_docs", {"tokens": "bpe"})])
def test_the_documentation_has_all_of_its_characters(name: str, options: dict[str, Any]) -> None:
    data = build(name, **options)
    tokenizer = tokenizer_of(data)
    line = "An *iterable* is an object: it implements __iter__()."
    assert tokenizer.decode(tokenizer.encode(line)) == line
