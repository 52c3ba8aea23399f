"""From texts to `Data` of token ids: fitted on the training texts, filled up or cut into windows, and described.

Builders of text data end here. Two forms: labelled texts are rows filled up to one length; running text is cut
into windows whose targets are the same tokens, one later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from dlcore.data.build import Classes, answer_tensor, class_facts
from dlcore.data.seeding import derived_seed
from dlcore.data.spec import Data, DatasetPart, DataSpec, Part, TensorPart
from dlcore.data.splits import Split
from dlcore.errors import UserError
from dlcore.vocabulary import Tokenizer, TokenKind, fit

LONGEST = 256
"""The most tokens a labelled text keeps when no length is asked for."""


def fitted(
    tokens: TokenKind, training_texts: Iterable[str], *, padded: bool, vocabulary: int, min_count: int = 1
) -> Tokenizer:
    """A tokenizer for texts like the training part's.

    Args:
        padded: whether short sequences will be filled up.
        vocabulary: the most tokens.
        min_count: tokens seen less often are left out.

    Raises:
        UserError: the vocabulary cannot hold what it must, or holds nothing.
    """
    least = 256 + padded if tokens == "bpe" else 2 + padded
    if vocabulary < least:
        why = ": the 256 single bytes come first" if tokens == "bpe" else ""
        raise UserError(f"data.vocabulary must be at least {least} for {tokens}{why}, got {vocabulary}")
    tokenizer = fit(tokens, training_texts, padded=padded, size=vocabulary, min_count=min_count)
    if len(tokenizer.vocabulary) < least:
        raise UserError(
            f"no token comes {min_count} times in the training texts: lower data.min_count (now {min_count})"
        )
    return tokenizer


def to_ids(stored: Tensor) -> Tensor:
    """int64 ids of ids stored in a shorter type."""
    return stored.to(torch.int64)


def labelled(
    texts: Sequence[str],
    answers: Classes,
    parts: Split,
    tokenizer: Tokenizer,
    *,
    length: int,
    notes: Sequence[str] = (),
) -> Data:
    """Data of texts with a class each.

    Args:
        length: tokens a text is filled up or cut to; 0 takes the longest training text, up to `LONGEST`.
    """
    encoded = tokenizer.encode_many(texts)
    longest = max((len(encoded[row]) for row in parts.train), default=1)
    length = length or max(1, min(longest, LONGEST))
    cut = sum(len(ids) > length for ids in encoded)
    said = [f"{cut:,} of {len(texts):,} texts are longer than {length} tokens and are cut"] if cut else []
    preprocessing = {"kind": "text", "tokenizer": tokenizer.to_plain(), "length": length}
    spec = DataSpec(
        input="tokens",
        input_shape=(length,),
        input_dtype="int64",
        vocabulary=tokenizer.vocabulary,
        pad_id=tokenizer.pad_id,
        preprocessing=preprocessing,
        **class_facts(answers.names, answers.codes[parts.train]),
    )
    inputs, targets = filled(encoded, length, tokenizer.pad_id or 0), answer_tensor(answers)
    train, val, test = (
        TensorPart(inputs[rows], targets[rows], prepare=to_ids) for rows in map(torch.from_numpy, parts)
    )
    return Data(spec, train, val, test if len(test) else None, (*notes, *said))


def filled(encoded: Sequence[Sequence[int]], length: int, pad_id: int) -> Tensor:
    """int32 (texts, length): each row cut, or filled up at its end."""
    rows = np.full((len(encoded), length), pad_id, np.int32)
    for row, ids in zip(rows, encoded, strict=True):
        row[: len(ids)] = ids[:length]
    return torch.from_numpy(rows)


@dataclass(frozen=True)
class Windows(Dataset[Any]):
    """Running text cut anew each pass: all windows begin later by an offset drawn from (seed, pass).

    Every token is seen about once a pass, but not always after the same others and not always at a window's start,
    where there is little to guess from. An epoch may be less than a pass: the next one goes on with the rest.

    Args:
        ids: (tokens,).
        length: tokens a window.
        seed: names the offsets and the order.
        epoch_windows: windows an epoch; 0 for a pass.
    """

    ids: Tensor
    length: int
    seed: int
    epoch_windows: int = 0

    def __len__(self) -> int:
        return self.epoch_windows or self.pass_windows

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = key
        number, place = divmod(epoch * len(self) + index, self.pass_windows)
        start = (
            self.offset(number) + int(pass_order(self.seed, number, self.pass_windows)[place]) * self.length
        )
        window = self.ids[start : start + self.length + 1].to(torch.int64)
        return window[:-1], window[1:]

    @property
    def pass_windows(self) -> int:
        """Windows that lie side by side in the text, less one that leaves room for the offset."""
        return max(1, (len(self.ids) - 1) // self.length - 1)

    def offset(self, number: int) -> int:
        """Where the first window of pass ``number`` begins."""
        room = len(self.ids) - 1 - self.pass_windows * self.length
        return derived_seed(self.seed, number, "window") % (min(room, self.length - 1) + 1)


@lru_cache(maxsize=4)
def pass_order(seed: int, number: int, count: int) -> NDArray[np.int64]:
    """The order of a pass's windows: an epoch that is a part of it sees windows from all over the text."""
    return np.random.default_rng(derived_seed(seed, number, "pass")).permutation(count)


def running(
    train: str,
    val: str,
    test: str,
    *,
    tokens: TokenKind,
    vocabulary: int,
    window: int,
    epoch_windows: int,
    seed: int,
    notes: Sequence[str] = (),
) -> Data:
    """Data of running text: windows of tokens, each to be answered by the token after it.

    Args:
        window: tokens a window.
        epoch_windows: training windows an epoch; 0 for all.

    Raises:
        UserError: a part is shorter than a window.
    """
    tokenizer = fitted(tokens, [train], padded=False, vocabulary=vocabulary)
    ids = [np.array(tokenizer.encode(part), np.int32) for part in (train, val, test)]
    for name, part in zip(("training", "validation", "test"), ids, strict=True):
        if len(part) <= window and (len(part) or name != "test"):
            raise UserError(
                f"the {name} part has {len(part):,} token{'s' * (len(part) != 1)}, too few for a window of {window}: "
                "lower data.window, give the part a larger share, or use a longer text"
            )
    said = f"{len(ids[0]):,} training tokens of {len(tokenizer.vocabulary):,} kinds, {window} a window"
    preprocessing = {
        "kind": "running_text",
        "tokenizer": tokenizer.to_plain(),
        "length": window,
        "characters": tokenizer.characters(),
    }
    spec = DataSpec(
        input="tokens",
        input_shape=(window,),
        input_dtype="int64",
        target="tokens",
        num_outputs=len(tokenizer.vocabulary),
        vocabulary=tokenizer.vocabulary,
        preprocessing=preprocessing,
    )
    parts: list[Part] = [side_by_side(part, window) for part in ids[1:]]
    cut = DatasetPart(Windows(torch.from_numpy(ids[0]), window, seed, epoch_windows))
    return Data(spec, cut, parts[0], parts[1] if len(ids[2]) else None, (*notes, said))


def side_by_side(ids: NDArray[np.int32], length: int) -> TensorPart:
    """The text as windows one after the other; views of one tensor, so targets take no memory of their own."""
    whole = torch.from_numpy(ids).to(torch.int64)
    inputs, targets = whole[:-1], whole[1:]
    if len(inputs) < length:
        return TensorPart(inputs.new_empty(0, length), inputs.new_empty(0, length))
    return TensorPart(inputs.unfold(0, length, length), targets.unfold(0, length, length))
