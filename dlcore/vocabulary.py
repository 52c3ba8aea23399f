"""Text to token ids and back, by characters, words or byte pairs; described by plain JSON.

A tokenizer is fitted on training text only and travels in the data's `preprocessing`, so that what a model was
trained on is what it is asked later. Invariant: ``from_plain(t.to_plain())`` encodes like ``t``.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

TokenKind = Literal["characters", "words", "bpe"]

PAD = "[PAD]"
"""Fills up short sequences; always id 0 where there is one."""

UNKNOWN = "[UNK]"
"""Stands for what the training text did not have."""

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


class Tokenizer(ABC):
    """Cuts text into tokens.

    Attributes:
        vocabulary: the token of each id.
        pad_id: id that fills up short sequences, or None.
        unknown_id: id of what is not in the vocabulary; None where nothing is unknown.
        separator: what stands between two tokens of decoded text.
    """

    separator = ""
    vocabulary: tuple[str, ...]
    pad_id: int | None
    unknown_id: int | None

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """The text's token ids."""

    @abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids; padding is left out."""

    @abstractmethod
    def to_plain(self) -> dict[str, Any]:
        """All there is to know, as JSON-able data."""

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text."""
        return [self.encode(text) for text in texts]

    def characters(self) -> list[int] | None:
        """How many characters of text each id stands for; None where decoding does not give the text back."""
        return None


class Listed(Tokenizer):
    """Tokens looked up in a list; what is not there is unknown."""

    kind: str

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.vocabulary = tuple(vocabulary)
        self._ids = {token: number for number, token in enumerate(self.vocabulary)}
        self.pad_id = self._ids.get(PAD)
        self.unknown_id = self._ids[UNKNOWN]

    @staticmethod
    @abstractmethod
    def cut(text: str) -> Sequence[str]:
        """The text's tokens."""

    @classmethod
    def fit(cls, texts: Iterable[str], *, padded: bool, size: int, min_count: int = 1) -> Listed:
        """The `size` most frequent tokens of these texts, in order of frequency."""
        counts = Counter(token for text in texts for token in cls.cut(text))
        special = [PAD, UNKNOWN] if padded else [UNKNOWN]
        kept = [token for token, count in counts.items() if count >= min_count and token not in special]
        kept.sort(key=lambda token: (-counts[token], token))
        return cls([*special, *kept[: max(0, size - len(special))]])

    def encode(self, text: str) -> list[int]:
        """The text's token ids."""
        ids, unknown = self._ids, self.unknown_id
        assert unknown is not None
        return [ids.get(token, unknown) for token in self.cut(text)]

    def to_plain(self) -> dict[str, Any]:
        """The list of tokens."""
        return {"type": self.kind, "tokens": list(self.vocabulary)}


class Characters(Listed):
    """Every character is a token: a small vocabulary, long sequences."""

    kind = "characters"

    @staticmethod
    def cut(text: str) -> Sequence[str]:
        """The characters."""
        return text

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids; what was unknown is �."""
        shown = ("�" if number == self.unknown_id else self.vocabulary[number] for number in _real(self, ids))
        return "".join(shown)

    def characters(self) -> list[int] | None:
        """One each."""
        return [1] * len(self.vocabulary)


class Words(Listed):
    """Words in small letters and single marks: short sequences, and rare words are unknown."""

    kind = "words"
    separator = " "

    @staticmethod
    def cut(text: str) -> Sequence[str]:
        """Words and marks, without what separates them."""
        return _WORD.findall(text.lower())

    def decode(self, ids: Iterable[int]) -> str:
        """The words with spaces between them."""
        return " ".join(self.vocabulary[number] for number in _real(self, ids))


class BytePairs(Tokenizer):
    """Byte-pair encoding as in GPT-2: frequent strings are tokens, and any text can be told by its bytes.

    Begins with single bytes and joins, again and again, the most frequent pair of neighbours (Sennrich et al. 2016,
    arXiv:1508.07909).
    """

    unknown_id = None

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        listed = sorted(inner.get_vocab().items(), key=lambda item: item[1])
        self.vocabulary = tuple(token for token, _ in listed)
        self.pad_id = inner.token_to_id(PAD)

    @classmethod
    def fit(cls, texts: Iterable[str], *, padded: bool, size: int, min_count: int = 2) -> BytePairs:
        """Joins found in these texts until there are `size` tokens, the 256 bytes included."""
        from tokenizers import Tokenizer as Inner
        from tokenizers import decoders, models, pre_tokenizers, trainers

        inner = Inner(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=min_count,
            special_tokens=[PAD] if padded else [],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        inner.train_from_iterator(texts, trainer)
        return cls(inner)

    def encode(self, text: str) -> list[int]:
        """The text's token ids."""
        return list(self._inner.encode(text, add_special_tokens=False).ids)

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text, several at once."""
        return [list(one.ids) for one in self._inner.encode_batch(list(texts), add_special_tokens=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids; bytes that are no text become �."""
        return str(self._inner.decode(list(_real(self, ids))))

    def characters(self) -> list[int] | None:
        """Bytes that begin a character; the marks of this alphabet stand for one byte each."""
        begins = {mark for mark, byte in _byte_of_mark().items() if byte & 0xC0 != 0x80}
        return [0 if token == PAD else sum(mark in begins for mark in token) for token in self.vocabulary]

    def to_plain(self) -> dict[str, Any]:
        """The JSON of the tokenizers library."""
        return {"type": "bpe", "tokenizer": json.loads(self._inner.to_str())}


KINDS: dict[str, type[Characters] | type[Words] | type[BytePairs]] = {
    "characters": Characters,
    "words": Words,
    "bpe": BytePairs,
}


def fit(kind: TokenKind, texts: Iterable[str], *, padded: bool, size: int, min_count: int = 1) -> Tokenizer:
    """A tokenizer for texts like these.

    Args:
        padded: whether short sequences will be filled up.
        size: the most tokens, special ones included.
        min_count: tokens seen less often are left out.
    """
    return KINDS[kind].fit(texts, padded=padded, size=size, min_count=min_count)


def from_plain(plain: Mapping[str, Any]) -> Tokenizer:
    """Inverse of `Tokenizer.to_plain`."""
    if plain["type"] == "bpe":
        from tokenizers import Tokenizer as Inner

        return BytePairs(Inner.from_str(json.dumps(plain["tokenizer"])))
    listed: type[Characters] | type[Words] = Characters if plain["type"] == "characters" else Words
    return listed(plain["tokens"])


def _real(tokenizer: Tokenizer, ids: Iterable[int]) -> Iterable[int]:
    return (number for number in ids if number != tokenizer.pad_id)


def _byte_of_mark() -> dict[str, int]:
    """The 256 printable marks that byte-level tokens are written in, and the byte of each (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    marks = {chr(byte): byte for byte in printable}
    return marks | {chr(256 + place): byte for place, byte in enumerate(others)}
