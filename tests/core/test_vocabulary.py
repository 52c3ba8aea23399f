"""Tokenizers: text to ids and back, and as plain data."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcore.vocabulary import PAD, UNKNOWN, TokenKind, fit, from_plain

TEXTS = ["The cat's on the mat, naïve & well.", "the dog sat; the cat sat.", "Über 100 Hüte… 日本"] * 3
every_kind = pytest.mark.parametrize("kind", ["characters", "words", "bpe"])
SIZES = {"characters": 200, "words": 200, "bpe": 300}


@every_kind
@pytest.mark.parametrize("padded", [True, False])
def test_plain_data_gives_the_same_tokenizer(kind: TokenKind, padded: bool) -> None:
    first = fit(kind, TEXTS, padded=padded, size=SIZES[kind])
    again = from_plain(json.loads(json.dumps(first.to_plain())))
    assert again.vocabulary == first.vocabulary
    assert (again.pad_id, again.unknown_id) == (first.pad_id, first.unknown_id)
    text = TEXTS[0] + " something new: €"
    assert again.encode(text) == first.encode(text)
    assert again.encode_many([text, ""]) == [first.encode(text), []]


@every_kind
def test_fitting_again_gives_the_same(kind: TokenKind) -> None:
    first, again = (fit(kind, TEXTS, padded=True, size=SIZES[kind]) for _ in range(2))
    assert first.vocabulary == again.vocabulary


@every_kind
def test_padding_is_the_first_token_where_there_is_one(kind: TokenKind) -> None:
    padded, whole = (fit(kind, TEXTS, padded=padded, size=SIZES[kind]) for padded in (True, False))
    assert padded.vocabulary[0] == PAD and padded.pad_id == 0
    assert PAD not in whole.vocabulary and whole.pad_id is None
    assert padded.decode([*padded.encode("the cat"), 0, 0]) == "the cat"


@pytest.mark.parametrize("kind", ["characters", "bpe"])
def test_known_text_comes_back(kind: TokenKind) -> None:
    tokenizer = fit(kind, TEXTS, padded=False, size=SIZES[kind])
    for text in TEXTS:
        assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
@settings(max_examples=60, deadline=None)
def test_byte_pairs_tell_any_text(text: str) -> None:
    tokenizer = fit("bpe", ["abc"], padded=True, size=300)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    lengths = tokenizer.characters()
    assert lengths is not None and sum(lengths[number] for number in ids) == len(text)


@pytest.mark.parametrize("kind", ["characters", "words"])
def test_what_was_never_seen_is_unknown(kind: TokenKind) -> None:
    tokenizer = fit(kind, TEXTS, padded=True, size=200)
    assert tokenizer.encode("ж") == [tokenizer.unknown_id] == [tokenizer.vocabulary.index(UNKNOWN)]


def test_words_are_small_letters_and_single_marks() -> None:
    tokenizer = fit("words", TEXTS, padded=True, size=200)
    assert [tokenizer.vocabulary[number] for number in tokenizer.encode("The CAT'S, on!")] == [
        "the", "cat's", ",", "on", UNKNOWN
    ]  # fmt: skip


def test_the_most_frequent_tokens_are_kept() -> None:
    tokenizer = fit("words", TEXTS, padded=True, size=5)
    assert tokenizer.vocabulary == (PAD, UNKNOWN, "the", ".", "sat")  # 12, 6 and 6 times
    rare = fit("words", ["a a b"], padded=False, size=50, min_count=2)
    assert rare.vocabulary == (UNKNOWN, "a")


def test_frequent_strings_become_tokens() -> None:
    tokenizer = fit("bpe", ["banana banana banana"], padded=False, size=300)
    assert len(tokenizer.encode("banana")) < 3
    assert len(tokenizer.vocabulary) < 300  # nothing else was frequent
