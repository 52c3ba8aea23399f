"""A text file of one's own, as running text to learn a language model from.

The parts are stretches of the text, one after the other: what is held back is text that was never read, not windows
that overlap the training's.
"""

from __future__ import annotations

from dlcore.data.delimited import decode_file
from dlcore.data.files import resolve_path
from dlcore.data.spec import Data, DataContext
from dlcore.data.tokens import running
from dlcore.errors import UserError
from dlcore.fields import Count, CountOrZero, Fraction
from dlcore.registry import DATA
from dlcore.vocabulary import TokenKind


@DATA.register("text_file", group="own", input="tokens", target="tokens", shape=(128,))
def text_file(
    context: DataContext,
    *,
    path: str,
    tokens: TokenKind = "characters",
    vocabulary: Count = 1000,
    window: Count = 128,
    epoch_windows: CountOrZero = 0,
    encoding: str = "utf-8",
    val: Fraction = 0.1,
    test: Fraction = 0.0,
) -> Data:
    """Your own text file, to be continued: a language model learns to say what comes next.

    Args:
        path: the file, or a folder whose .txt files are read in the order of their names.
        tokens: what the text is cut into; bpe finds frequent strings by itself.
        vocabulary: the most different tokens; for bpe at least 256.
        window: tokens the model sees at once.
        epoch_windows: training windows that count as an epoch; 0 counts the whole text.
        encoding: of the file, such as "cp1252" or "utf-16".
        val: share of the text held back to watch the training, after what is trained on.
        test: share of the text held back for the final figure, at its end.
    """
    place = resolve_path(path, context)
    files = sorted(place.glob("*.txt")) if place.is_dir() else [place]
    if not files:
        raise UserError(f"{place} holds no .txt file: set data.path to a text file")
    whole = "\n".join(decode_file(file, encoding) for file in files)
    train, val_part, test_part = cut(whole, val=val, test=test)
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


def cut(text: str, *, val: float, test: float) -> tuple[str, str, str]:
    """The text's beginning, the stretch after it and its end."""
    if val + test >= 1:
        raise UserError(f"data.val = {val:g} and data.test = {test:g} leave nothing to train on")
    last = round(len(text) * (1 - test))
    first = round(len(text) * (1 - test - val))
    return text[:first], text[first:last], text[last:]
