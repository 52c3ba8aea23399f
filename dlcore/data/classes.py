"""Keeping only some classes of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlcore.errors import UserError
from dlcore.problems import show, unknown


class Kept(NamedTuple):
    """The chosen classes, in the order of their codes.

    Attributes:
        names: of the classes.
        codes: what they were before.
    """

    names: tuple[str, ...]
    codes: NDArray[np.int64]

    def rows(self, codes: NDArray[Any]) -> NDArray[np.int64]:
        """Positions of the samples that are of these classes."""
        return np.flatnonzero(np.isin(codes, self.codes))

    def renumbered(self, codes: NDArray[Any]) -> NDArray[np.int64]:
        """Codes of such samples counted from 0 again."""
        return np.searchsorted(self.codes, codes).astype(np.int64)


def keep_classes(wanted: Sequence[str], known: Sequence[str], *, word: str = "class") -> Kept:
    """The classes that ``data.classes`` names; all of them when it is empty.

    Raises:
        UserError: a name that there is no class of, or fewer than two.
    """
    for name in wanted:
        if name not in known:
            raise UserError(f"data.classes: {show(name)}: {unknown(word, name, known)}")
    codes = [code for code, name in enumerate(known) if not wanted or name in wanted]
    if len(codes) < 2:
        several = {"class": "classes"}.get(word, word)
        raise UserError(f"data.classes: must name at least 2 {several} of {', '.join(known)}")
    return Kept(tuple(known[code] for code in codes), np.array(codes, np.int64))
