"""Python's own documentation, which comes with every Python: the pages that `help()` shows.

Pages repeat each other's sections. Each paragraph is kept once, so nothing held back was trained on.
"""

from __future__ import annotations

import numpy as np

from dlcore.data.seeding import derived_seed
from dlcore.data.spec import Data, DataContext
from dlcore.data.tokens import running
from dlcore.fields import Count, CountOrZero, Fraction
from dlcore.registry import DATA
from dlcore.vocabulary import TokenKind

CHUNK = 4000
"""Characters; the text is dealt out to the parts in pieces of about this size."""


@DATA.register("python_docs", group="bundled", input="tokens", target="tokens", shape=(128,))
def python_docs(
    context: DataContext,
    *,
    tokens: TokenKind = "characters",
    vocabulary: Count = 1000,
    window: Count = 128,
    epoch_windows: CountOrZero = 0,
    val: Fraction = 0.1,
    test: Fraction = 0.1,
) -> Data:
    """Python's language reference, about 370,000 characters, to be continued.

    Args:
        tokens: what the text is cut into; bpe finds frequent strings by itself.
        vocabulary: the most different tokens; for bpe at least 256.
        window: tokens the model sees at once.
        epoch_windows: training windows that count as an epoch; 0 counts the whole text.
        val: share of the text held back to watch the training.
        test: share of the text held back for the final figure.
    """
    parts = deal(chunks(distinct_paragraphs()), val=val, test=test, seed=context.seed)
    train, val_part, test_part = ("\n\n".join(part) for part in parts)
    return running(
        train,
        val_part,
        test_part,
        tokens=tokens,
        vocabulary=vocabulary,
        window=window,
        epoch_windows=epoch_windows,
        seed=context.seed,
    )


def distinct_paragraphs() -> list[str]:
    """Every paragraph once, page by page; of two pages with the same one, the longer has it."""
    from pydoc_data.topics import topics

    seen: set[str] = set()
    paragraphs = []
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        for paragraph in topics[name].split("\n\n"):
            known = " ".join(paragraph.split())
            if known and known not in seen:
                seen.add(known)
                paragraphs.append(paragraph.strip("\n"))
    return paragraphs


def chunks(paragraphs: list[str]) -> list[str]:
    """Paragraphs that follow each other, joined to pieces of at least `CHUNK` characters."""
    pieces: list[str] = []
    piece: list[str] = []
    for paragraph in paragraphs:
        piece.append(paragraph)
        if sum(map(len, piece)) >= CHUNK:
            pieces.append("\n\n".join(piece))
            piece = []
    return [*pieces, "\n\n".join(piece)] if piece else pieces


def deal(pieces: list[str], *, val: float, test: float, seed: int) -> tuple[list[str], list[str], list[str]]:
    """Pieces for training, validation and test, each in the text's order."""
    order = np.random.default_rng(derived_seed(seed, "docs")).permutation(len(pieces))
    for_test = round(len(pieces) * test)
    for_val = round(len(pieces) * val)
    chosen = (order[for_test + for_val :], order[for_test : for_test + for_val], order[:for_test])
    train, val_part, test_part = ([pieces[number] for number in sorted(part)] for part in chosen)
    return train, val_part, test_part
