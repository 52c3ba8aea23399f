"""Networks that read and write text, asked as people ask them."""

from __future__ import annotations

import io
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from dlcore import trained
from dlcore.deploy.create import write
from dlcore.deploy.evaluate import evaluate
from dlcore.deploy.inputs import Unreadable
from dlcore.deploy.predict import Answer, predict
from dlcore.errors import UserError
from tests.core.deploy.small_runs import TRAINING, train_text

REVIEWS = (
    '[data]\nname = "text"\npath = "reviews.csv"\ntest = 0.3\n'
    '[model]\nname = "gru"\nhidden = 8\nembed_dim = 8\n' + TRAINING
)
PLAY = (
    '[data]\nname = "text_file"\npath = "play.txt"\nwindow = 16\ntest = 0.2\n'
    '[model]\nname = "gpt"\nembed_dim = 16\nheads = 2\nlayers = 1\n'
    + TRAINING.replace("epochs = 3", "epochs = 1")
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw, place = random.Random(0), tmp_path_factory.mktemp("texts")
    words = {"good": ["fine", "great", "lovely"], "bad": ["poor", "dull", "awful"]}
    rows = [
        f"{' '.join(draw.choices([*words[label], 'film', 'plot', 'the'], k=6))} {at},{label}"
        for at in range(120)
        for label in [draw.choice(["good", "bad"])]
    ]
    (place / "reviews.csv").write_text("review,verdict\n" + "\n".join(rows) + "\n")
    (place / "play.txt").write_text("the cat sat on the mat. " * 120)
    return place


def trained_in(folder: Path, text: str) -> Iterator[trained.Trained]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield trained.load(train_text(text, folder / "runs", base=folder))


@pytest.fixture(scope="module")
def reviews(folder: Path) -> Iterator[trained.Trained]:
    yield from trained_in(folder, REVIEWS)


@pytest.fixture(scope="module")
def play(folder: Path) -> Iterator[trained.Trained]:
    yield from trained_in(folder, PLAY)


def contents(answers: Iterator[Answer | Unreadable]) -> list[object]:
    return [each.content if isinstance(each, Answer) else each.reason for each in answers]


def test_a_text_is_answered_alike_however_it_comes(
    reviews: trained.Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "a lovely film with a dull plot"
    (tmp_path / "a.txt").write_text(f"{text}\n\n{text}\n")
    (tmp_path / "a.csv").write_text(f"id,review\n7,{text}\n8,{text}\n")
    (tmp_path / "a.jsonl").write_text(json.dumps({"n": 1, "review": text}) + "\n")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    (alone,) = contents(predict(reviews, [text]))
    assert isinstance(alone, dict)
    assert alone["prediction"] in ("good", "bad")
    places = [str(tmp_path / name) for name in ("a.txt", "a.csv", "a.jsonl")]
    for answer in contents(predict(reviews, [*places, "-"])):
        assert isinstance(answer, dict)
        assert answer["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-6)


def test_texts_of_a_file_are_evaluated_like_a_part(reviews: trained.Trained, folder: Path) -> None:
    result = evaluate(reviews, other=str(folder / "reviews.csv"))
    assert result["samples"] == 120
    parts = [evaluate(reviews, split=split) for split in ("train", "val", "test")]
    together = sum(part["metrics"]["accuracy"] * part["samples"] for part in parts)
    assert result["metrics"]["accuracy"] == pytest.approx(together / sum(part["samples"] for part in parts))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"\xff\xfe\x00", "is not UTF-8 text"),
        ("a.jsonl", b"[1]\n", "line 1 is no JSON object"),
        ("a.csv", b"", "is empty"),
    ],
)
def test_a_bad_file_is_one_reason(
    reviews: trained.Trained, tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    good, bad = contents(predict(reviews, ["fine", str(tmp_path / name)]))
    assert isinstance(good, dict)
    assert isinstance(bad, str)
    assert reason in bad


def test_a_language_model_goes_on_the_same_for_the_same_seed(play: trained.Trained) -> None:
    def once(seed: int, temperature: float = 1.0) -> list[str]:
        answers = write(play, ["the cat", "t"], max_tokens=20, temperature=temperature, top_k=0, seed=seed)
        return [each.content["prediction"] for each in answers if isinstance(each, Answer)]

    assert once(1) == once(1) != once(2)
    assert [len(text) for text in once(1)] == [20, 20]
    assert once(1, 0.0) == once(2, 0.0)


def test_an_empty_prompt_is_named_and_the_others_go_on(play: trained.Trained) -> None:
    first, second = write(play, ["", "the"], max_tokens=3, temperature=0, top_k=0, seed=0)
    assert isinstance(first, Unreadable)
    assert isinstance(second, Answer)


def test_another_text_is_judged_by_windows(play: trained.Trained, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("the cat sat on the mat. " * 10)
    result = evaluate(play, other=str(tmp_path / "other.txt"))
    assert result["samples"] == 14
    assert result["metrics"]["perplexity"] > 1
    assert result["report"]["positions"]["rows"][0][0] == "1"


def test_a_classifier_writes_nothing(reviews: trained.Trained) -> None:
    with pytest.raises(UserError, match="writes nothing"):
        list(write(reviews, ["fine"], max_tokens=3, temperature=0, top_k=0, seed=0))
