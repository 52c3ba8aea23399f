"""What a network was shown, as text for a person."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from dlcore.data.spec import DataSpec
from dlcore.vocabulary import from_plain


def with_texts(rows: list[dict[str, Any]], spec: DataSpec, inputs: Tensor) -> list[dict[str, Any]]:
    """Samples of token data that say nothing of their own yet get the text of their input.

    Args:
        inputs: (batch, time) of ids, one row for each sample.
    """
    plain = spec.preprocessing.get("tokenizer")
    if spec.input != "tokens" or plain is None or any("text" in row for row in rows):
        return rows
    tokenizer = from_plain(plain)
    return [row | {"text": tokenizer.decode(ids)} for row, ids in zip(rows, inputs.tolist(), strict=True)]
